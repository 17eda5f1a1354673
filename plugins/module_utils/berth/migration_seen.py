# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a copy that follows holds what its source does, without reading all of both while somebody waits.

All rows are compared while the source serves, as of one place in its log. From there a slot of its own keeps the log, so that a switch knows
which rows may differ since, and compares those: how long that takes goes by what was written since, and not by how much there is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

from . import progress
from .migration_follow import SEEN, Followed
from .migration_postgres import SUMMED, need_alike
from .postgres_changes import Change, Table
from .postgres_server import literal
from .problems import refuse

_ROUNDS = 20
# Up to so many changes, and so many bytes of the log, are read while writes pause; with more, all is compared anew before.
_CHANGES = 200_000
_BYTES = 256 * 2**20
# Rows that are asked for at once: by a key of one column, and of several.
_ROWS, _ROWS_BY_SEVERAL = 2000, 200


def caught_up(followed: Followed) -> int:
    """Do what was written in the source since, and what was written meanwhile, until little is left. Returns how many changes."""
    total = 0
    for _each in range(_ROUNDS):
        begin = time.monotonic()
        total += (changes := followed.catch_up())
        progress.say(f"{followed.source.label}: {total} changes were brought along")
        if not changes or time.monotonic() - begin < 1:
            break
    return total


class Seen(NamedTuple):
    """What is known of both sides of a copy."""

    followed: Followed

    @property
    def _kept(self) -> Followed:
        return self.followed._replace(kind=SEEN)

    def drop(self) -> None:
        """Keep the log for it no longer."""
        self._kept.drop()

    def near(self, known: Mapping[str, Any] | None) -> bool:
        """Whether what was written since both were alike, by what :meth:`compare` has returned, is little enough to be compared at the switch."""
        return self._holds(known) and self._kept.lag(known["place"] if known else "") < _BYTES and self._since() is not None

    def _holds(self, known: Mapping[str, Any] | None) -> bool:
        return bool(known and self._kept.slot_there())

    def compare(self) -> dict[str, Any]:
        """Compare all rows as of one place in the log of the source, which serves meanwhile. Returns what is to be remembered of it.

        Raises :class:`DifferenceError`.
        """
        followed = self.followed
        self.drop()
        with self._kept.snapshot() as (place, snapshot):
            followed.catch_up(place)
            progress.say(f"{followed.source.label}: both sides are compared, while the source serves")
            with ThreadPoolExecutor() as asked:
                ours = asked.submit(followed.source.content, snapshot=snapshot)
                theirs = asked.submit(followed.target.content, behind=followed.behind)
            here, there = ours.result().rows, theirs.result().rows
        need_alike([f"{followed.source.label}: {each}" for each in here.differs(there)])
        return {"place": place, "summary": here.summary, "at": f"{datetime.now(UTC):%H:%M:%S}"}

    def compared(self, known: Mapping[str, Any]) -> list[str] | None:
        """Compare what was written since, when neither side takes writes any more, with the sequences. Returns what is to be said; None where all
        has to be compared. Raises :class:`DifferenceError`.
        """
        if not self._holds(known) or (changes := self._since()) is None:
            return None
        followed = self.followed
        tables = followed.tables()
        queries = "\n".join(questions(changes, tables))
        with ThreadPoolExecutor() as asked:
            ours = asked.submit(followed.source.some, queries)
            theirs = asked.submit(followed.target.some, queries, behind=followed.behind)
        here, there = ours.result(), theirs.result()
        need_alike([f"{followed.source.label}: {each}" for each in here.differs(there)])
        return [
            f"{followed.source.label}: {known['summary']} were the same on both sides at {known['at']}, and so are {here.number} that were written since, with "
            "sums and sequences"
        ]

    def _since(self) -> list[Change] | None:
        """What was done in the source since, or None where that is much."""
        return self._kept.peek(_CHANGES)


def questions(changes: Sequence[Change], tables: Mapping[str, Table]) -> Iterator[str]:
    """SQL that answers, in several lines to a table, which rows there are of those that changed, and a sum over them.

    A table whose rows have no key, and one that was emptied, is read whole.
    """
    whole: set[str] = set()
    keys: dict[str, set[tuple[str, ...]]] = {}
    for change in changes:
        for name in change.tables:
            key = sorted(tables[name].key) if name in tables else []
            if change.kind == "TRUNCATE" or not key:
                whole.add(name)
                continue
            rows = [row for row in (change.old, change.new) if row.keys() >= set(key)]
            if not rows:
                refuse(f"a row of table {name} was changed that nothing identifies: begin again with -e migrate=back")
            # A key is never null.
            keys.setdefault(name, set()).update(tuple(row[column] or "null" for column in key) for row in rows)
    for name in sorted(whole):
        yield _ask(name, "")
    for name, rows_of in sorted(keys.items()):
        if name in whole:
            continue
        columns = sorted(tables[name].key)
        some = _ROWS if len(columns) == 1 else _ROWS_BY_SEVERAL
        ordered = sorted(rows_of)
        for first in range(0, len(ordered), some):
            values = ", ".join(f"({', '.join(row)})" for row in ordered[first : first + some])
            yield _ask(name, f"where ({', '.join(columns)}) in ({values})")


def _ask(name: str, which: str) -> str:
    return f"select {literal(name)}, {SUMMED} from {name} t {which};"
