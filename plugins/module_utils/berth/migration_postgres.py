# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres whose database is moved to another one: which one, the copy, and whether both hold the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from . import progress, rds_writes
from .postgres_server import CLIENTS, Server, literal, quoted
from .problems import BerthError, refuse

# What stands behind the names of the copy, and of what it takes the place of.
FRESH, ASIDE = "_incoming", "_before_"
_OURS = f"({FRESH}|{ASIDE}[0-9_]+|_restored)$"
_USERS = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'"
CLASSES = f"from pg_class c join pg_namespace n on n.oid = c.relnamespace where {_USERS}"
# How many rows ``t`` has, and a sum over them, which does not depend on their order.
SUMMED = "count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)"
_TABLES = f"""select format('select %L, {SUMMED} from %I.%I t;',
 n.nspname || '.' || c.relname, n.nspname, c.relname) {CLASSES} and c.relkind = 'r' order by 1;"""
_SEQUENCES = "select 'sequence ' || schemaname || '.' || sequencename, coalesce(last_value, 0), 0 from pg_sequences order by 1;"
_LARGE = "select 'large objects', count(*), coalesce(sum(hashtextextended(encode(lo_get(oid), 'hex'), 0)::numeric), 0) from pg_largeobject_metadata;"
# Values are written alike everywhere, whatever the servers' settings.
ALIKE = "set client_encoding = 'UTF8'; set extra_float_digits = 1; set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'postgres'; set bytea_output = 'hex';"


class DifferenceError(BerthError):
    """Two sides do not hold the same."""


def need_alike(found: list[str]) -> None:
    """Raise :class:`DifferenceError` where something was found in which two sides differ."""
    if found:
        more = f" and {len(found) - 8} more" if len(found) > 8 else ""
        raise DifferenceError(f"the two sides differ: {'; '.join(found[:8])}{more}")


class Content(NamedTuple):
    """What a database holds: by table, sequence and the like, a number and a sum."""

    parts: dict[str, tuple[int, str]]

    @property
    def summary(self) -> str:
        """It, in a few words."""
        tables = [name for name in self.parts if name != "large objects" and not name.startswith("sequence ")]
        return f"{self.number} rows in {len(tables)} tables"

    @property
    def rows(self) -> Content:
        """Without the sequences, which are in no log."""
        return Content({name: part for name, part in self.parts.items() if not name.startswith("sequence ")})

    @property
    def number(self) -> int:
        """How many rows."""
        return sum(count for name, (count, _sum) in self.parts.items() if name != "large objects" and not name.startswith("sequence "))

    def differs(self, other: Content) -> list[str]:
        """What is not alike, in words."""
        found = []
        for name in sorted(self.parts.keys() | other.parts.keys()):
            ours, theirs = self.parts.get(name), other.parts.get(name)
            if ours is None or theirs is None:
                found.append(f"{name} is on one side only")
            elif ours != theirs:
                found.append(f"{name}: {ours[0]} here, {theirs[0]} there" if ours[0] != theirs[0] else f"{name} has other content")
        return found


class Database(NamedTuple):
    """One database of a server. ``storage``: bytes of a service's disk, which cannot be asked. ``logical``: how its server gets to keep a log
    that can be followed. ``mark``: what notes at a service whether the database takes writes, for who cannot ask the server. ``own``:
    whether it is the app's own one, and not one beside that.
    """

    server: Server
    name: str
    owner: str
    storage: int = 0
    logical: str = "postgres -c wal_level=logical"
    mark: Callable[[bool], None] | None = None
    own: bool = True

    def beside(self, name: str) -> Database:
        """Another one in the same server, whose service notes whether the app's own one takes writes."""
        return self._replace(name=name, mark=None, own=False)

    @property
    def label(self) -> str:
        """What people read before what is said of it."""
        return "postgres" if self.own else f"postgres, {self.name.removesuffix(FRESH)}"

    @property
    def title(self) -> str:
        """For people."""
        return self.server.beside.title

    def content(self, *, behind: str = "", snapshot: str = "") -> Content:
        """What it holds, as of one moment, or of a ``snapshot`` that is exported; ``behind`` its name: of the copy."""
        name = self.name + behind
        as_of = f"set transaction snapshot {literal(snapshot)};" if snapshot else ""
        queries = [row[0] for row in self.server.sql(_TABLES, name)]
        text = [ALIKE, "begin isolation level repeatable read read only;", as_of, *queries, _SEQUENCES, _LARGE, "commit;"]
        return Content({row[0]: (int(row[1]), row[2]) for row in self.server.sql("\n".join(text), name)})

    def some(self, queries: str, *, behind: str = "") -> Content:
        """The rows that queries like those of all tables ask for, several to a table, with every table that there is, and the sequences."""
        names = f"select n.nspname || '.' || c.relname || ' (that there is one)', 0, 0 {CLASSES} and c.relkind = 'r' order by 1;"
        found: dict[str, tuple[int, str]] = {}
        for name, count, summed in self.server.sql("\n".join([ALIKE, names, queries, _SEQUENCES]), self.name + behind):
            before = found.get(name, (0, "0"))
            found[name] = (before[0] + int(count), str(int(before[1]) + int(summed)))
        return Content(found)

    def tables(self) -> int:
        """How many tables it has; 0 where it is not there."""
        return len(self.server.sql(_TABLES, self.name)) if self.server.exists(self.name) else 0

    def size(self) -> int:
        """Its bytes."""
        return int(self.server.one(f"select pg_database_size({literal(self.name)})"))

    def room(self) -> int | None:
        """Bytes that are left for a copy, or None where nobody knows."""
        if self.storage:
            return self.storage - int(self.server.one("select sum(pg_database_size(oid)) from pg_database where datallowconn"))
        return self.server.room()

    def writes(self, *, allowed: bool) -> None:
        """Let it take writes or not. Whoever is connected comes anew, and reads go on."""
        setting = "reset default_transaction_read_only" if allowed else "set default_transaction_read_only = on"
        self.server.sql(f"alter database {quoted(self.name)} {setting}")
        # Who was connected before may write until that connection ends.
        others = f"from pg_stat_activity where datname = {literal(self.name)} and {CLIENTS}"
        end = time.monotonic() + 20
        before = self.server.one("select clock_timestamp()")
        while self.server.sql(f"select pg_terminate_backend(pid) {others} and backend_start < {literal(before)}"):
            if time.monotonic() > end:
                refuse(f"{self.title}: connections to {self.name} do not end")
            time.sleep(0.1)

    def marked(self, *, allowed: bool) -> None:
        """Note with its service, if that asks, whether the server's databases take writes."""
        if self.mark:
            self.mark(allowed)

    def writable(self) -> bool:
        """Whether it takes writes."""
        return not self.server.closed(self.name)


def find(server: Server, told: Mapping[str, str], named: str, *, fresh: bool, beside: Collection[str] = ()) -> Database:
    """The app's database: the one that is named, that a role tells of, or the only one with tables; ``fresh``: it may have none yet.

    ``beside``: databases that are known to lie beside it. Raises :class:`BerthError`.
    """
    name = named or told.get("database") or ""
    if not name and fresh:
        # What the image makes where nothing else is said.
        name = server.beside.ask("sh", "-c", 'echo "${POSTGRES_DB:-${POSTGRESQL_DATABASE:-$PGUSER}}"').strip()
    if not name:
        found = [each for each in filled(server) if each not in beside]
        if len(found) != 1:
            what = f"holds the databases {', '.join(found)}" if found else "has no table in any database"
            refuse(f"{server.beside.title} {what}; name the app's with -e migrate_database=NAME. Nothing was touched")
        name = found[0]
    owner = told.get("owner") or server.one("select current_user")
    mark = rds_writes.mark(told["arn"], told["region"]) if told.get("arn") else None
    return Database(server, name, owner, int(told.get("storage") or 0), told.get("logical") or Database._field_defaults["logical"], mark)


def filled(server: Server) -> list[str]:
    """The databases of a server that have tables, but for those that a move or a restore has made."""
    # RDS has one that nobody gets into, whatever its rights say.
    ours = f"datallowconn and not datistemplate and datname <> 'rdsadmin' and datname !~ '{_OURS}'"
    query = f"select datname from pg_database where {ours} and has_database_privilege(datname, 'CONNECT') order by 1"
    return [row[0] for row in server.sql(query) if server.sql(_TABLES, row[0])]


def _extensions(source: Database, target: Database) -> list[str]:
    """Have the extensions that the app's user may not make in the copy, where it gets everything else. Returns the words that leave them out of
    the dump: those that name all others.
    """
    trusted = {row[0] for row in target.server.sql("select distinct name from pg_available_extension_versions where trusted")}
    query = "select extname, nspname from pg_extension e join pg_namespace n on n.oid = extnamespace order by e.oid"
    there = source.server.sql(query, source.name)
    # One in a schema of its own needs that first, which the dump brings.
    apart = [name for name, schema in there if name not in trusted and schema in ("public", "pg_catalog") and name != "plpgsql"]
    # Postgres 13 dumps all or none.
    if not apart or source.server.major() < 14:
        return []
    for name, schema in there:
        if name in apart:
            target.server.sql(f"create extension if not exists {quoted(name)} schema {quoted(schema)}", target.name + FRESH)
    return [f"--extension={quoted(name)}" for name, _schema in there if name not in apart]


def copy(source: Database, target: Database, *, snapshot: str = "") -> tuple[int, float]:
    """Copy a database into a fresh one beside the target's; ``snapshot``: as of one that is exported. Returns the bytes that went over, and
    the seconds.
    """
    fresh = target.name + FRESH
    discard(target)
    target.server.make(fresh, source.server.like(source.name), target.owner)
    may = "select has_database_privilege('public', oid, 'connect') from pg_database where datname = "
    if target.server.one(may + literal(target.name)) == "f":
        # What takes its place is as closed.
        target.server.sql(f"revoke connect on database {quoted(fresh)} from public")
    progress.say(f"{source.label}: {source.size() / 1e6:.0f} MB are copied, compressed on the way")
    begin = time.monotonic()
    dump = ["pg_dump", "--format=custom", "--compress=1", "--no-owner", "--no-acl", f"--dbname={source.name}"]
    dump += [f"--snapshot={snapshot}"] if snapshot else []
    load = ("pg_restore", "--exit-on-error", "--no-owner", "--no-acl", f"--role={target.owner}", f"--dbname={fresh}")
    try:
        sent = source.server.beside.pipe([*dump, *_extensions(source, target)], target.server.beside, load)
        target.server.sql("analyze", fresh)
    except BerthError:
        discard(target)
        raise
    return sent, time.monotonic() - begin


def discard(target: Database) -> None:
    """Remove the copy."""
    if target.server.exists(target.name + FRESH):
        target.server.drop(target.name + FRESH)
