# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres by way of its own client: databases that are made beside others, and take their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .beside import Beside
from .problems import BerthError

# How long connections may take to end.
_SECONDS = 20
# What a session calls itself that lets databases take others' places.
_SWAPPING = "berth swap"
# Of those that are connected. A vacuum of the server's own gives way by itself, and nobody but a superuser may end it.
CLIENTS = "backend_type = 'client backend'"
_LIKE = "select pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba) from pg_database where datname = "


class Server:
    """A server, reached from beside it."""

    def __init__(self, beside: Beside) -> None:
        self.beside = beside

    def sql(self, text: str, database: str = "template1") -> list[list[str]]:
        """Rows of what SQL answers, as text. The SQL is given on standard input, and ends at its first error."""
        words = ["psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--no-align", "--tuples-only", "--field-separator=\x1f", "--quiet"]
        # Not splitlines(), which would part names and texts that hold what else may end a line.
        lines = self.beside.ask(*words, f"--dbname={database}", stdin=text).removesuffix("\n").split("\n")
        return [line.split("\x1f") for line in lines] if lines != [""] else []

    def one(self, text: str, database: str = "template1") -> str:
        """The first field of the first row; empty where there is none."""
        return next(iter(self.sql(text, database)), [""])[0]

    def version(self) -> str:
        """Of the server that runs."""
        return self.one("show server_version").split()[0]

    def major(self) -> int:
        """The major version."""
        return int(self.version().split(".")[0])

    def room(self) -> int | None:
        """Bytes that are left on the disk that holds the data; None where it is no disk of the place beside it, as with a service."""
        try:
            said = self.beside.ask("df", "-Pk", self.one("show data_directory"))
        except BerthError:
            return None
        return int(said.splitlines()[-1].split()[3]) * 1024

    def named(self, pattern: str) -> list[str]:
        """Databases whose names match a regular expression."""
        return [row[0] for row in self.sql(f"select datname from pg_database where datname ~ {literal(pattern)} order by 1")]

    def exists(self, database: str) -> bool:
        """Whether there is such a database."""
        return bool(self.one(f"select datname from pg_database where datname = {literal(database)}"))

    def closed(self, database: str) -> bool:
        """Whether a move has kept a database from taking writes."""
        query = "select setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase"
        return "default_transaction_read_only=on" in self.one(f"{query} where setrole = 0 and datname = {literal(database)}")

    def note(self, database: str) -> str:
        """A database's comment."""
        return self.one(f"select shobj_description(oid, 'pg_database') from pg_database where datname = {literal(database)}")

    def like(self, database: str) -> dict[str, str]:
        """What another database has to be made with to be like this one: ``encoding``, ``collate``, ``ctype``; and its ``owner``."""
        return dict(zip(("encoding", "collate", "ctype", "owner"), self.sql(_LIKE + literal(database))[0], strict=True))

    def make(self, database: str, like: Mapping[str, str], owner: str) -> None:
        """Make an empty database."""
        words = f"encoding {literal(like['encoding'])} lc_collate {literal(like['collate'])} lc_ctype {literal(like['ctype'])}"
        self.sql(f"create database {quoted(database)} template template0 owner {quoted(owner)} {words}")

    def drop(self, *names: str) -> None:
        """Remove databases, whoever is connected."""
        for name in names:
            self.sql(_alone([name]) + f"drop database {quoted(name)};")

    def swap(self, places: Sequence[str], fresh: str, aside: str, note: str = "") -> list[str]:
        """Let databases take the places of others, all or none: ``fresh`` and ``aside`` are what the new and the old ones have behind their names.
        ``note``: the comment of what :meth:`allow` has let take a place; nothing else does then. Returns the names of the old ones.

        It is said at once, so that the server ends it also where nobody waits for it any more; :meth:`call_off` sees to it that it does not.
        """
        there = [name for name in places if self.exists(name)]
        shut = [*there, *(name + fresh for name in places)]
        moves = [_unless(name + fresh, note) for name in places if note]
        moves += [f"alter database {quoted(name)} rename to {quoted(name + aside)};" for name in there]
        moves += [f"alter database {quoted(name + fresh)} rename to {quoted(name)};" for name in places]
        moves += [_open(name) for name in [*places, *(name + aside for name in there)]]
        moves += [f"comment on database {quoted(name)} is {literal(note) if note else 'null'};" for name in places]
        try:
            self.sql(f"set application_name = '{_SWAPPING}'; {_alone(shut)} begin; {' '.join(moves)} commit;")
        except BerthError:
            self.sql("".join(map(_open, shut)))
            raise
        return [name + aside for name in there]

    def allow(self, fresh: str, note: str) -> None:
        """Let a database take another's place by :meth:`swap` with this note."""
        self.sql(f"comment on database {quoted(fresh)} is {literal(note)}")

    def call_off(self, fresh: str) -> None:
        """See to it that a swap that nobody waits for any more, begun or still to begin, has been done or will not be."""
        if self.exists(fresh):
            self.sql(f"comment on database {quoted(fresh)} is null")
        self.sql(f"""do $$ begin for each in 1..{_SECONDS * 10} loop
 perform pg_terminate_backend(pid) from pg_stat_activity where application_name = '{_SWAPPING}' and pid <> pg_backend_pid();
 exit when not found;
 perform pg_sleep(0.1); perform pg_stat_clear_snapshot(); end loop; end $$""")


def _unless(fresh: str, note: str) -> str:
    """SQL that fails where a database may not take another's place (any more)."""
    said = f"shobj_description((select oid from pg_database where datname = {literal(fresh)}), 'pg_database')"
    return f"do $$ begin if {said} is distinct from {literal(note)} then raise exception 'the switch was called off'; end if; end $$;"


def _alone(names: Sequence[str]) -> str:
    """SQL that lets nobody come to databases any more, and waits until those that are connected have gone."""
    shut = "".join(f"alter database {quoted(each)} allow_connections false;" for each in names)
    return f"""{shut} do $$ begin for each in 1..{_SECONDS * 10} loop
 perform pg_terminate_backend(pid) from pg_stat_activity where datname in ({", ".join(map(literal, names))}) and {CLIENTS};
 exit when not found;
 perform pg_sleep(0.1); perform pg_stat_clear_snapshot(); end loop; end $$;"""


def _open(name: str) -> str:
    return f"alter database {quoted(name)} allow_connections true;"


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"
