# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The databases of one Postgres server that move to another: the app's own, and those that lie beside it. They move together, or none does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from . import migration_obstacles, migration_postgres
from .migration_follow import BACK, Followed
from .migration_postgres import FRESH, Database
from .migration_seen import Seen, caught_up
from .problems import BerthError
from .side_by_side import for_each

Pair = tuple[Database, Database]


def flat(lists: Iterable[list[str]]) -> list[str]:
    """All of some lists."""
    return list(chain.from_iterable(lists))


class Databases:
    """``pairs``: each with what it becomes, the app's own first."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = list(pairs)

    @property
    def target(self) -> Database:
        """What the app's own becomes."""
        return self.pairs[0][1]

    @property
    def followed(self) -> list[Followed]:
        """The copies that follow."""
        return [Followed(*each, number=len(self.pairs)) for each in self.pairs]

    @property
    def backward(self) -> list[Followed]:
        """The ways that changes take back after the switch."""
        return [Followed(target, source, "", BACK, len(self.pairs)) for source, target in self.pairs]

    # What is in the way

    def obstacles(self, *, replace: bool, begun: bool) -> list[str]:
        """What is in the way of a move, each with what to do about it. ``begun``: the sources take no writes since a switch was cut off."""
        found = flat(for_each(lambda pair: migration_obstacles.obstacles(*pair, replace=replace, begun=begun), self.pairs))
        names = [target.name for _source, target in self.pairs]
        if names[0] in names[1:]:
            found.append(
                f"{names[0]} beside the app's own database is called as that is in {self.target.title}; call it otherwise, or let app_databases leave "
                "it out"
            )
        found += migration_obstacles.room_problems(sum(source.size() for source, _target in self.pairs), self.target)
        return list(dict.fromkeys(found))

    def ahead(self) -> list[str]:
        """What is in the way of following, each with what to do about it."""
        return list(dict.fromkeys(flat(for_each(Followed.obstacles, self.followed))))

    def told(self) -> list[str]:
        """What there is, and what a move leaves behind."""
        names = [source.name for source, _target in self.pairs]
        said = []
        for source, target in self.pairs:
            size = f"{source.size() / 1e6:.0f} MB"
            said.append(f"{source.label}: {size} in {source.tables()} tables of {source.name}, for {target.name}")
            said += [f"{source.label}: {each}" for each in migration_obstacles.remarks(source)]
        return said + [f"postgres: {each}" for each in migration_obstacles.left_behind(self.pairs[0][0].server, names)]

    # The copies

    def copy(self) -> list[str]:
        """Copy each once."""
        said = []
        for source, target in self.pairs:
            size, seconds = migration_postgres.copy(source, target)
            said.append(f"{source.label}: {size / 1e6:.1f} MB (compressed) in {seconds:.1f} s")
        return said

    def discard(self) -> None:
        """Remove the copies."""
        for _source, target in self.pairs:
            migration_postgres.discard(target)

    def following(self) -> bool:
        """Whether there are copies that can be brought on."""
        return all(each.there() for each in self.followed)

    def follow(self) -> list[str]:
        """Copy each as of a place in its source's log, from where on that is kept."""
        said = []
        for each in self.followed:
            size, seconds = each.begin()
            said.append(f"{each.source.label}: {size / 1e6:.1f} MB (compressed) in {seconds:.1f} s")
        return said

    def bring_on(self) -> list[str]:
        """Bring the copies on while the sources serve."""
        said = []
        for each in self.followed:
            total = caught_up(each)
            said.append(f"{each.source.label}: {total} changes were brought along; {each.lag() / 1e3:.0f} KB of the log are left")
        return said

    def near(self, known: Mapping[str, Any]) -> bool:
        """Whether what was written since all were alike, by what :meth:`compare` has returned, is little enough to be compared at the switch."""
        return all(Seen(each).near(known.get(each.target.name)) for each in self.followed)

    def compare(self) -> dict[str, Any]:
        """Compare all rows while the sources serve. Returns what is to be remembered of it. Raises :class:`DifferenceError`."""
        return {each.target.name: Seen(each).compare() for each in self.followed}

    def seen(self, known: Mapping[str, Any]) -> list[str]:
        """What :meth:`compare` has found, in words."""
        return [
            f"{source.label}: {known[target.name]['summary']} are the same on both sides as of {known[target.name]['at']} UTC, with their sums"
            for source, target in self.pairs
        ]

    def drain(self) -> list[str]:
        """Bring the last along, once the sources take no writes."""

        def drained(each: Followed) -> str:
            changes = each.catch_up()
            each.complete()
            return f"{each.source.label}: the last {changes} changes were brought along"

        return for_each(drained, self.followed)

    def alike(self, known: Mapping[str, Any]) -> list[str] | None:
        """Compare what was written since all were alike. None where all has to be compared. Raises :class:`DifferenceError`."""
        found = for_each(lambda each: Seen(each).compared(known.get(each.target.name) or {}), self.followed)
        return None if None in found else flat(each or [] for each in found)

    def end_following(self) -> None:
        """Keep the log no longer."""
        for each in self.followed:
            Seen(each).drop()
            each.drop()

    # The switch, and the way back

    def take_over(self, aside: str, moved: str) -> None:
        """Let the copies take their places, all or none. ``aside``: what stands behind the names of what was there; ``moved``: the comment of
        what :meth:`allow` has let do so.
        """
        self.target.marked(allowed=True)
        self.target.server.swap([target.name for _source, target in self.pairs], FRESH, aside, moved)

    def allow(self, moved: str) -> None:
        """Let the copies take their places, by this very attempt."""
        for _source, target in self.pairs:
            target.server.allow(target.name + FRESH, moved)

    def took_over(self, moved: str) -> bool:
        """Whether they have, by a switch that was killed or cut off; if not, they will not any more."""
        for _source, target in self.pairs:
            target.server.call_off(target.name + FRESH)
        return self.target.server.note(self.target.name) == moved

    def in_the_way_back(self) -> list[str]:
        """What will keep changes from coming back, where the copies are there: asking takes a while."""
        return list(dict.fromkeys(flat(for_each(Followed.obstacles, self._ways_back()))))

    def keep_open(self, known: list[str] | None) -> list[str]:
        """Keep the targets' log from the switch on, so that what is written there can come back. Returns what is said of it. ``known``: what is
        in the way of that, or None where nobody has asked.
        """
        ways = self._ways_back()
        if not (found := self.in_the_way_back() if known is None else known):
            try:
                for_each(Followed.mark, ways)
                return [f"postgres: until -e migrate=finish, changes can come back: {self.target.title} keeps its log for that"]
            except BerthError as problem:
                found = [str(problem)]
        return [f"postgres: what is written from now on cannot come back with -e migrate=back, since {found[0]}"]

    def _ways_back(self) -> list[Followed]:
        return [Followed(target._replace(name=target.name + FRESH), source, "", BACK, len(self.pairs)) for source, target in self.pairs]

    def bring_back(self) -> list[str]:
        """Bring the sources to what the targets hold, which take no writes now, where their log was kept."""

        def returned(each: Followed) -> list[str]:
            if not each.there():
                return []
            changes = each.catch_up()
            each.complete()
            return [f"{each.source.label}: {changes} changes came back"]

        return flat(for_each(returned, self.backward))

    def forget_back(self) -> None:
        """Keep the targets' log no longer."""
        for each in self.backward:
            each.drop()

    def forget_aside(self, aside: str) -> list[str]:
        """Remove what was in the targets' places before. Returns what."""
        found = [target.name + aside for _source, target in self.pairs if self.target.server.exists(target.name + aside)]
        self.target.server.drop(*found)
        return found
