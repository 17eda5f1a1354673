# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Postgres decodes from its log, as its own plugin ``test_decoding`` writes it, and the SQL that does the same elsewhere.

That plugin is in every image and on RDS, and needs nothing at the other end. Its form is that of
https://www.postgresql.org/docs/current/test-decoding.html: names and texts are quoted as in SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .postgres_server import literal
from .problems import BerthError

_UNCHANGED = "unchanged-toast-datum"
_NONE = "(no-tuple-data)"


class Table(NamedTuple):
    """A table that changes. ``key``: the names of the columns by which a row is found, quoted as in SQL; empty where the whole row is.
    ``generated``: columns that the server fills; ``numbered``: those that it numbers, and lets nobody change.
    """

    key: frozenset[str] = frozenset()
    generated: frozenset[str] = frozenset()
    numbered: frozenset[str] = frozenset()


class Change(NamedTuple):
    """``kind``: INSERT, UPDATE, DELETE or TRUNCATE. ``tables``: qualified names, quoted as in SQL; several for TRUNCATE only. ``old``: what
    identifies the row, where the plugin says that apart. ``new``: the row. Values are SQL; None is null, and what did not change is left out.
    """

    kind: str
    tables: tuple[str, ...]
    old: dict[str, str | None]
    new: dict[str, str | None]
    flags: str = ""


class _Reader:
    """A line, read from the left."""

    def __init__(self, line: str) -> None:
        self.line, self.at = line, 0

    def over(self, text: str) -> bool:
        """Go over a text, if it is next."""
        there = self.line.startswith(text, self.at)
        self.at += len(text) if there else 0
        return there

    def need(self, text: str) -> None:
        """Go over a text that has to be next."""
        if not self.over(text):
            raise BerthError(f"a change is not understood at {self.line[self.at : self.at + 40]!r}: {self.line[:80]!r}")

    def quoted(self, mark: str) -> str:
        """A text in quotation marks, which are doubled within, as it stands."""
        begin, self.at = self.at, self.at + 1
        while True:
            end = self.line.find(mark, self.at)
            if end < 0:
                raise BerthError(f"a change ends within {mark}: {self.line[:80]!r}")
            self.at = end + 1
            if not self.line.startswith(mark, self.at):
                return self.line[begin : self.at]
            self.at += 1

    def name(self) -> str:
        """A name, as it stands."""
        if self.line.startswith('"', self.at):
            return self.quoted('"')
        begin = self.at
        while self.at < len(self.line) and (self.line[self.at].isalnum() or self.line[self.at] in "_$"):
            self.at += 1
        return self.line[begin : self.at]

    def kind(self) -> None:
        """Go over a type, up to the bracket that ends it."""
        depth = 0
        while depth or not self.line.startswith("]", self.at):
            if self.at >= len(self.line):
                raise BerthError(f"a change ends within a type: {self.line[:80]!r}")
            if self.line[self.at] == '"':
                self.quoted('"')
                continue
            depth += {"[": 1, "]": -1}.get(self.line[self.at], 0)
            self.at += 1

    def value(self) -> str:
        """A value, as it stands."""
        mark = "B" if self.over("B") else ""
        if self.line.startswith("'", self.at):
            return mark + self.quoted("'")
        begin = self.at
        self.at = end if (end := self.line.find(" ", self.at)) >= 0 else len(self.line)
        return mark + self.line[begin : self.at]

    def fields(self, into: dict[str, str | None]) -> None:
        """Columns with their values, up to the end or a word that is none."""
        while self.at < len(self.line) and not self.line.startswith((" old-key:", " new-tuple:"), self.at):
            self.need(" ")
            name = self.name()
            self.need("[")
            self.kind()
            self.need("]:")
            said = self.value()
            if said != _UNCHANGED:
                # Numbers too, of which some are words.
                into[name] = None if said == "null" else said if said.startswith(("'", "B'")) else f"'{said}'"


def parsed(line: str) -> Change | None:
    """A change; None for what is none, such as the end of a transaction. Raises :class:`BerthError` for what is not understood."""
    reader = _Reader(line)
    if not reader.over("table "):
        return None
    tables = []
    while True:
        schema = reader.name()
        reader.need(".")
        tables.append(f"{schema}.{reader.name()}")
        if not reader.over(", "):
            break
    reader.need(": ")
    kind = reader.name()
    reader.need(":")
    old: dict[str, str | None] = {}
    new: dict[str, str | None] = {}
    if kind == "TRUNCATE":
        return Change(kind, tuple(tables), old, new, line[reader.at :])
    if not line.startswith(_NONE, reader.at + 1):
        if reader.over(" old-key:"):
            reader.fields(old)
            reader.need(" new-tuple:")
        reader.fields(new)
    return Change(kind, tuple(tables), old, new)


def statement(change: Change, tables: Mapping[str, Table]) -> str:
    """SQL that does the same. ``tables``: what is known of each, by its qualified name. Raises :class:`BerthError`."""
    name = change.tables[0]
    if change.kind == "TRUNCATE":
        more = [words for flag, words in (("restart_seqs", "restart identity"), ("cascade", "cascade")) if flag in change.flags]
        return f"truncate {', '.join(change.tables)} {' '.join(more)};"
    if name not in tables:
        raise BerthError(f"table {name} was made while its database was followed; begin again with -e migrate=back")
    table = tables[name]
    new = {column: value for column, value in change.new.items() if column not in table.generated}
    if change.kind == "INSERT":
        if not new:
            return f"insert into {name} default values;"
        values = ", ".join(value or "null" for value in new.values())
        return f"insert into {name} ({', '.join(new)}) overriding system value values ({values});"
    row = change.old or change.new
    if not row or not row.keys() >= table.key:
        raise BerthError(
            f"a row of table {name} was changed that nothing identifies: it has no primary key; begin again with -e migrate=back"
        )
    if table.key:
        where = " and ".join(f"{column} = {row[column]}" for column in sorted(table.key))
    else:
        # One of those that are alike. Not every type knows what is equal.
        alike = " and ".join(f"{column}::text is not distinct from {_text(row[column])}" for column in row)
        where = f"ctid = (select ctid from {name} where {alike} limit 1)"
    if change.kind == "DELETE":
        return f"delete from {name} where {where};"
    sets = [f"{column} = {value or 'null'}" for column, value in new.items() if column not in table.numbered]
    return f"update {name} set {', '.join(sets)} where {where};" if sets else ""


def _text(value: str | None) -> str:
    return "null" if value is None else value.removeprefix("B")


def script(changes: Sequence[Change], tables: Mapping[str, Table], done: str, database: str) -> str:
    """One transaction with all of them, which keeps with the database up to where in the log it got (``done``), so that none is done twice."""
    lines = [each for change in changes if (each := statement(change, tables))]
    note = f"comment on database {database} is {literal(done)};"
    # No trigger fires: what they did there is among the changes.
    return "\n".join(["set session_replication_role = replica;", "begin;", *lines, note, "commit;"])
