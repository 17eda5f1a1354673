# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a move from one home to another. What the module ``data_migration`` does, and documents."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import migration_back, migration_redis, progress
from .migration_databases import Databases
from .migration_note import NONE, Note
from .migration_postgres import ASIDE, FRESH, DifferenceError
from .migration_redis import Keys
from .migration_stores import Stores, compared
from .problems import BerthError, refuse

PHASES = ("check", "copy", "follow", "switch", "verify", "finish", "back")
# Where a move is.
COPIED, FOLLOWING, SWITCHING, SWITCHED = "copied", "following", "switching", "switched"


class Migration(Note):
    """A move. ``beside``: names of databases that move with the app's own one, where the source has them."""

    def __init__(self, source: Stores, target: Stores, note: Path, beside: Collection[str] = ()) -> None:
        self.source, self.target = source, target
        source.matches(target)
        super().__init__(note, source.title, target.title)
        # What has been begun is ended with what it was begun with.
        under_way = self.state["phase"] in (FOLLOWING, SWITCHING, SWITCHED)
        names = self.state.get("beside", []) if under_way else source.there(beside)
        source.take(names)
        target.take(names)
        self._beside = names

    @property
    def _databases(self) -> Databases | None:
        if not self.source.postgres or not self.target.postgres:
            return None
        return Databases(list(zip(self.source.databases, self.target.databases, strict=True)))

    @property
    def _keys(self) -> tuple[Keys, Keys] | None:
        return (self.source.redis, self.target.redis) if self.source.redis and self.target.redis else None

    # Phases

    def check(self, *, replace: bool, following: bool = False) -> list[str]:
        """Look for what is in the way, of ``following`` too if that is wanted. Raises :class:`BerthError` with all of it; nothing is touched."""
        found, said = [], []
        begun = self.state["phase"] in (COPIED, FOLLOWING, SWITCHING)
        if databases := self._databases:
            found += databases.obstacles(replace=replace, begun=self.state["phase"] == SWITCHING)
            said += databases.told()
            ahead = databases.ahead()
            found += ahead if following else []
            said += [f"postgres, for -e migrate=follow: {each}" for each in ahead]
        if self._keys:
            ways, notes = migration_redis.obstacles(*self._keys, replace=replace or begun)
            found += ways
            said += [f"redis: {self._keys[0].count()} keys", *(f"redis: {each}" for each in notes)]
        if found:
            refuse("; ".join(found) + ". Nothing was touched")
        return said

    def copy(self, *, replace: bool) -> list[str]:
        """Copy everything once while the source serves, to see that it goes and how long it takes."""
        if self.state["phase"] not in (NONE, COPIED):
            refuse(f"the move is {self.state['phase']} already; -e migrate=switch or -e migrate=back ends that")
        self.check(replace=replace)
        begin = time.monotonic()
        self._begin(COPIED)
        said = self._copy()
        seconds = time.monotonic() - begin
        return [*said, f"{self.source.title} serves as before. A switch pauses writes for about {seconds:.0f} s"]

    def follow(self, *, replace: bool) -> list[str]:
        """Copy once while the source serves, and bring the copy on by what is written meanwhile, so that a switch has little left to do."""
        if self.state["phase"] not in (NONE, COPIED, FOLLOWING):
            refuse(f"the move is {self.state['phase']} already; -e migrate=switch or -e migrate=back ends that")
        if not (databases := self._databases):
            refuse("there is no Postgres whose changes could be followed; keys are copied at the switch. Nothing was touched")
        self.check(replace=replace, following=True)
        said = []
        if self.state["phase"] != FOLLOWING or not databases.following():
            self._begin(FOLLOWING, seen=None)
            said += databases.follow()
        said += self._brought_on(databases)
        if self._keys:
            said.append(f"redis: {migration_redis.copy(*self._keys)} keys")
        return [
            *said,
            f"{self.source.title} serves as before, and keeps its log for the copy: go on soon with -e migrate=switch, or once more with -e "
            "migrate=follow, or end it with -e migrate=back",
        ]

    def _brought_on(self, databases: Databases) -> list[str]:
        """Bring the copies on while the source serves, and compare both sides where the last time is too long ago."""
        said = databases.bring_on()
        if not databases.near(self.state.get("seen") or {}):
            self.keep(FOLLOWING, seen=None)
            try:
                known = databases.compare()
            except DifferenceError as problem:
                refuse(f"{problem}. {self.source.title} serves as before, and nothing was switched; begin again with -e migrate=back")
            self.keep(FOLLOWING, seen=known)
            said += databases.seen(known)
        return said

    def _begin(self, phase: str, **known: Any) -> None:
        """Note that something is written on the other side from now on, and whether there were keys before."""
        if "no_keys" not in self.state:
            known["no_keys"] = bool(self._keys and self._keys[1].count() == 0)
        self.keep(phase, beside=self._beside, **known)
        if self._keys:
            self._keys[1].writes(allowed=True)

    def _copy(self) -> list[str]:
        said = self._databases.copy() if self._databases else []
        if self._keys:
            said.append(f"redis: {migration_redis.copy(*self._keys)} keys")
        return said

    def switch(self, *, replace: bool) -> list[str]:
        """Stop writes, copy, compare, and let the target take over; on any failure the source takes writes again."""
        if self.state["phase"] == SWITCHED:
            refuse(f"{self.target.title} has taken over already; -e migrate=finish ends the move, -e migrate=back goes back")
        if self._took_over():
            self._end_following()
            self.keep(SWITCHED)
            return [f"{self.target.title} has taken over"]
        databases = self._databases
        followed = databases if self.state["phase"] == FOLLOWING or self.state.get("followed") else None
        if followed and not followed.following():
            refuse("the copy that followed is not there any more; begin it anew with -e migrate=follow, or leave it with -e migrate=back")
        self.check(replace=replace)
        if followed and self.state["phase"] == FOLLOWING:
            self._brought_on(followed)
        closed = followed.in_the_way_back() if followed else None
        # Of this very attempt: what stands behind the name of what is moved aside, and the comment of what takes its place.
        stamp = f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
        try:
            self._begin(
                SWITCHING, aside=ASIDE + stamp, moved=f"moved from {self.source.title}, {stamp}", followed=bool(followed), last=False
            )
            begin = time.monotonic()
            self.source.writes(allowed=False)
            progress.say(f"{self.source.title} takes no writes now")
            said = [*(self._drained(followed) if followed else self._copy()), *self._alike(followed)]
            if databases:
                said += databases.keep_open(closed)
                databases.allow(self.state["moved"])
                self.keep(SWITCHING, last=True)
                databases.take_over(self.state["aside"], self.state["moved"])
        except BerthError as problem:
            if not self._took_over(f"{problem}. "):
                self._give_up(problem, keep_copy=bool(followed))
        seconds = time.monotonic() - begin
        self._end_following()
        self.keep(SWITCHED)
        return [
            *said,
            f"{self.target.title} has the data; writes paused for {seconds:.1f} s. {self.source.title} is left as it was, for reading only",
            f"The app of {self.target.title} finds it by the address that it has, and playbooks/site.yml brings an app there that is not there yet",
            "Then -e migrate=finish, or -e migrate=back",
        ]

    def _drained(self, followed: Databases) -> list[str]:
        """Bring the last along, once the source takes no writes; both stores at once, since somebody waits."""
        with ThreadPoolExecutor() as beside:
            keys = beside.submit(migration_redis.copy, *self._keys) if self._keys else None
            said = followed.drain()
        return [*said, f"redis: {keys.result()} keys"] if keys else said

    def _end_following(self) -> None:
        if self._databases:
            self._databases.end_following()

    def _took_over(self, why: str = "") -> bool:
        """Whether the target has taken over, and that is not written down; if not, it will not. Raises :class:`BerthError` where it cannot be asked."""
        if self.state["phase"] != SWITCHING or not self.state.get("last", True) or not self._databases:
            return False
        try:
            return self._databases.took_over(self.state["moved"])
        except BerthError as problem:
            return refuse(
                f"{why}Whether {self.target.title} has taken over cannot be asked ({problem}), so {self.source.title} takes no writes until it "
                "can: then -e migrate=switch or -e migrate=back goes on"
            )

    def _give_up(self, problem: BerthError, *, keep_copy: bool) -> None:
        """End a switch that failed before its last step: the source takes writes again. Raises :class:`BerthError`, which says so."""
        try:
            self.source.writes(allowed=True)
        except BerthError as other:
            refuse(
                f"{problem}. {self.source.title} could not be told to take writes again ({other}), and nothing was switched: -e migrate=back "
                "opens it, -e migrate=switch goes on"
            )
        # A copy that follows goes on doing so; another is removed by the next phase, where the target cannot be told now.
        self.keep(FOLLOWING if keep_copy else COPIED, seen=None)
        if self._databases and not keep_copy:
            with contextlib.suppress(BerthError):
                self._databases.discard()
        refuse(f"{problem}. {self.source.title} takes writes again, and nothing was switched")

    def _alike(self, followed: Databases | None) -> list[str]:
        """Compare the copy with what it was made of: what was written since both were last found to be alike, or all."""
        if followed and (known := self.state.get("seen")):
            progress.say("what was written lately is compared")
            with ThreadPoolExecutor() as beside:
                keys = beside.submit(compared, [], self._keys)
                if (said := followed.alike(known)) is not None:
                    return [*said, *keys.result()]
        return self._compared(behind=FRESH)

    def _compared(self, behind: str = "") -> list[str]:
        """Compare both sides. Raises :class:`DifferenceError` where they differ."""
        progress.say("both sides are compared")
        return compared(self._databases.pairs if self._databases else [], self._keys, behind=behind)

    def verify(self) -> list[str]:
        """Compare both sides again. What the app has written since the switch is a difference too."""
        if self.state["phase"] != SWITCHED:
            refuse("nothing has been switched; -e migrate=switch does")
        return self._compared()

    def finish(self) -> list[str]:
        """End the move: there is no way back from here."""
        if self.state["phase"] != SWITCHED:
            refuse("nothing has been switched; -e migrate=switch does, and -e migrate=back ends what was begun")
        removed = []
        if self._databases:
            self._databases.forget_back()
            gone = self._databases.forget_aside(self.state["aside"])
            removed = [f"{each} of {self._databases.target.title} is removed" for each in gone]
        self.note.unlink(missing_ok=True)
        return [
            *removed,
            f"{self.target.title} keeps the data. {self.source.title} stays for reading only; playbooks/destroy.yml removes it",
        ]

    def back(self, *, lose: bool) -> list[str]:
        """Go back to the source: from any phase, as long as the target holds nothing more than it."""
        if self.state["phase"] == NONE and not lose:
            refuse(
                f"no move from {self.source.title} to {self.target.title} is under way. Where {self.source.title} was moved away from, its "
                "writes stay closed, so that never both take them; -e migrate_lose=true opens it all the same. Nothing was changed"
            )
        switched, said = self.state["phase"] == SWITCHED or (not lose and self._took_over()), []
        if switched and not lose:
            try:
                self.target.writes(allowed=False)
                said = migration_back.brought(self._databases, self._keys)
            except BerthError as problem:
                try:
                    if self._keys:
                        self._keys[0].writes(allowed=False)
                    self.target.writes(allowed=True)
                except BerthError as other:
                    refuse(
                        f"{problem}. {self.target.title} could not be told to take writes again ({other}), and {self.source.title} takes none "
                        "either: -e migrate=back once more goes on"
                    )
                refuse(migration_back.why_not(problem, self.source.title, self.target.title))
        elif switched:
            self.target.writes(allowed=False)
        self.source.writes(allowed=True)
        try:
            if self._databases:
                self._end_following()
                self._databases.discard()
        except BerthError as problem:
            refuse(f"{self.source.title} takes writes. What was copied is not removed yet ({problem}): -e migrate=back once more does that")
        if self._keys and self.state.get("no_keys") and not switched:
            self._keys[1].clear()
        if self._databases:
            self._databases.forget_back()
        self.note.unlink(missing_ok=True)
        return [*said, f"{self.source.title} takes writes"]
