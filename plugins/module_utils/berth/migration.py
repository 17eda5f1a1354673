# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a move from one home to another. What the module ``data_migration`` does, and documents."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import migration_postgres, migration_redis
from .beside import Beside
from .cache_writes import gate
from .compose_backups import running
from .compose_redis import CLIENT
from .migration_postgres import ASIDE, FRESH, Database
from .migration_redis import Keys
from .postgres_server import Server
from .problems import BerthError, refuse

PHASES = ("check", "copy", "switch", "verify", "finish", "back")
# Where a move is. Nothing, when there is none.
NONE, COPIED, SWITCHING, SWITCHED = "", "copied", "switching", "switched"


class Stores:
    """A home's stores, by what the roles of its slots tell: ``{slot: slot_endpoint}``."""

    def __init__(self, title: str, told: Mapping[str, Mapping[str, Any]], named: str, *, fresh: bool) -> None:
        self.title = title
        self.postgres: Database | None = None
        self.redis: Keys | None = None
        for slot, each in told.items():
            if each.get("refused"):
                refuse(f"{title}: {each['refused']}. Nothing was touched")
            beside, client = _place(title, each)
            if slot == "postgres":
                self.postgres = migration_postgres.find(Server(beside), each, named, fresh=fresh)
            else:
                closed_by = gate(each["parameter_group"], each["region"]) if each.get("parameter_group") else None
                self.redis = Keys(beside, client, closed_by)

    def writes(self, *, allowed: bool) -> None:
        """Let the stores take writes, or not."""
        if self.postgres:
            self.postgres.writes(allowed=allowed)
        if self.redis:
            self.redis.writes(allowed=allowed)


def _place(title: str, told: Mapping[str, Any]) -> tuple[Beside, list[str]]:
    """How a store is reached, and the words of its client."""
    if told.get("project"):
        store = running(told["project"], told["service"], told["engine"])
        store.beside_it.title = f"{told['service']} of {title}"
        return store.beside_it, list(CLIENT)
    beside = Beside(f"{told['title']} of {title}", told["inside"], reach=told["reach"], before=told.get("before") or ":")
    return beside, list(told.get("client") or [])


class Migration:
    """A move, and the note of it that outlives each run."""

    def __init__(self, source: Stores, target: Stores, note: Path) -> None:
        self.source, self.target, self.note = source, target, note
        if not (source.postgres and target.postgres) and not (source.redis and target.redis):
            refuse(f"{source.title} and {target.title} have no store of the same kind. Nothing was touched")
        try:
            self.state: dict[str, Any] = json.loads(note.read_text())
        except FileNotFoundError:
            self.state = {"phase": NONE}
        if self.state["phase"] and (self.state["from"], self.state["to"]) != (source.title, target.title):
            refuse(
                f"a move from {self.state['from']} to {self.state['to']} is {self.state['phase']}; end it first with -e migrate=finish or "
                f"-e migrate=back ({note})"
            )

    def keep(self, phase: str, **known: Any) -> None:
        """Write down where the move is, in one step."""
        self.state = {**self.state, "phase": phase, "from": self.source.title, "to": self.target.title, **known}
        self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.note.with_suffix(".new")
        fresh.write_text(json.dumps(self.state))
        fresh.replace(self.note)

    @property
    def _databases(self) -> tuple[Database, Database] | None:
        return (self.source.postgres, self.target.postgres) if self.source.postgres and self.target.postgres else None

    @property
    def _keys(self) -> tuple[Keys, Keys] | None:
        return (self.source.redis, self.target.redis) if self.source.redis and self.target.redis else None

    # Phases

    def check(self, *, replace: bool) -> list[str]:
        """Look for what is in the way. Raises :class:`BerthError` with all of it; nothing is touched."""
        found, said = [], []
        begun = self.state["phase"] in (COPIED, SWITCHING)
        if self._databases:
            source, target = self._databases
            found += migration_postgres.obstacles(source, target, replace=replace, begun=self.state["phase"] == SWITCHING)
            said += [f"postgres: {source.size() / 1e6:.0f} MB in {source.tables()} tables of {source.name}, for {target.name}"]
            said += [f"postgres: {each}" for each in migration_postgres.remarks(source)]
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

    def _begin(self, phase: str, **known: str) -> None:
        """Note that something is written on the other side from now on, and whether there were keys before."""
        empty = self.state.get("no_keys", bool(self._keys and self._keys[1].count() == 0))
        self.keep(phase, no_keys=empty, **known)
        if self._keys:
            self._keys[1].writes(allowed=True)

    def _copy(self) -> list[str]:
        said = []
        if self._databases:
            size, seconds = migration_postgres.copy(*self._databases)
            said.append(f"postgres: {size / 1e6:.1f} MB (compressed) in {seconds:.1f} s")
        if self._keys:
            said.append(f"redis: {migration_redis.copy(*self._keys)} keys")
        return said

    def switch(self, *, replace: bool) -> list[str]:
        """Stop writes, copy, compare, and let the target take over; on any failure the source takes writes again."""
        if self.state["phase"] == SWITCHED:
            refuse(f"{self.target.title} has taken over already; -e migrate=finish ends the move, -e migrate=back goes back")
        if self._databases and self.state["phase"] == SWITCHING:
            target = self._databases[1]
            if target.server.note(target.name) == self.state["moved"]:
                # Killed after the last step, before that was written down.
                self.keep(SWITCHED)
                return [f"{self.target.title} has taken over"]
        self.check(replace=replace)
        begin = time.monotonic()
        # Of this very attempt: what stands behind the name of what is moved aside, and the comment of what takes its place.
        stamp = f"{datetime.now(UTC):%Y%m%d_%H%M%S}"
        self._begin(SWITCHING, aside=ASIDE + stamp, moved=f"moved from {self.source.title}, {stamp}")
        try:
            self.source.writes(allowed=False)
            said = [*self._copy(), *self._compared(behind=FRESH)]
            if self._databases:
                target = self._databases[1]
                target.server.swap([target.name], FRESH, self.state["aside"], self.state["moved"])
        except BerthError as problem:
            self._open_source()
            self.keep(COPIED)
            refuse(f"{problem}. {self.source.title} takes writes again, and nothing was switched")
        seconds = time.monotonic() - begin
        self.keep(SWITCHED)
        return [
            *said,
            f"{self.target.title} has the data; writes paused for {seconds:.1f} s. {self.source.title} is left as it was, for reading only",
            f"The app of {self.target.title} finds it by the address that it has, and playbooks/site.yml brings an app there that is not there yet",
            "Then -e migrate=finish, or -e migrate=back",
        ]

    def _open_source(self) -> None:
        self.source.writes(allowed=True)
        if self._databases:
            migration_postgres.discard(self._databases[1])

    def _compared(self, behind: str = "") -> list[str]:
        """Compare both sides. Raises :class:`BerthError` where they differ."""
        said, found = [], []
        if self._databases:
            ours, theirs = self._databases[0].content(), self._databases[1].content(behind=behind)
            found += [f"postgres: {each}" for each in ours.differs(theirs)]
            said.append(f"postgres: {ours.summary} are the same on both sides, with their sums and sequences")
        if self._keys:
            found += [f"redis: {each}" for each in migration_redis.differences(*self._keys)]
            said.append(f"redis: {self._keys[0].count()} keys are the same on both sides")
        if found:
            more = f" and {len(found) - 8} more" if len(found) > 8 else ""
            refuse(f"{self.source.title} and {self.target.title} differ: {'; '.join(found[:8])}{more}")
        return said

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
            target = self._databases[1]
            if target.server.exists(aside := target.name + self.state["aside"]):
                target.server.drop(aside)
                removed.append(f"{aside} of {target.title} is removed")
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
        switched = self.state["phase"] == SWITCHED
        if switched and not lose:
            try:
                self.target.writes(allowed=False)
                self._compared()
            except BerthError as problem:
                self.target.writes(allowed=True)
                refuse(
                    f"{problem}. Going back would lose that: bring it along with -e from={self.target.title} -e to={self.source.title} -e "
                    "migrate_replace=true after -e migrate=finish, or give it up with -e migrate_lose=true. Nothing was changed"
                )
        elif switched:
            self.target.writes(allowed=False)
        self._open_source()
        if self._keys and self.state.get("no_keys") and not switched:
            self._keys[1].clear()
        self.note.unlink(missing_ok=True)
        return [f"{self.source.title} takes writes"]
