# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy of a Postgres database that follows its source: made as of a place in the source's log, and brought on by what is decoded from there.

Nothing connects the two servers: changes are read beside the one and done beside the other.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

from . import migration_postgres, postgres_changes
from .beside import last_words
from .migration_postgres import ALIKE, FRESH, Database
from .postgres_server import literal, quoted
from .problems import BerthError, refuse

SLOT = "berth_move"
# From where on both sides have to be compared again.
SEEN = "berth_seen"
# Of the way back: it begins where both hold the same.
BACK = "berth_back"
# The first two are in one server at a time.
_SLOTS = 2
# The way back leads into a database that is closed for its app.
_WRITING = f"{ALIKE} set default_transaction_read_only = off;"
# Changes that are read at once; a transaction is never parted.
_SOME = 5000
_TABLES = """select format('%I.%I', n.nspname, c.relname), c.relreplident,
 (select string_agg(quote_ident(a.attname), chr(30)) from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
  where i.indrelid = c.oid and case c.relreplident when 'i' then i.indisreplident when 'd' then i.indisprimary else false end),
 (select string_agg(quote_ident(a.attname), chr(30)) from pg_attribute a where a.attrelid = c.oid and a.attgenerated <> ''),
 (select string_agg(quote_ident(a.attname), chr(30)) from pg_attribute a where a.attrelid = c.oid and a.attidentity = 'a'),
 c.relpersistence from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema') order by 1;"""
_MAY = """select rolsuper or rolreplication or exists (select from pg_roles r where r.rolname = 'rds_replication'
 and pg_has_role(current_user, r.oid, 'member')) from pg_roles where rolname = current_user"""


class Followed(NamedTuple):
    """A database, and the copy of it, whose name is another one's with ``behind`` behind it. ``kind``: for what the log is kept for it.
    ``number``: of how many that are followed in one server.
    """

    source: Database
    target: Database
    behind: str = FRESH
    kind: str = SLOT
    number: int = 1

    @property
    def slot(self) -> str:
        """What keeps the log for it. A server knows each by one name, so those that are not the app's own have theirs in it."""
        name = self.source.name.removesuffix(FRESH)
        return self.kind if self.source.own else f"{self.kind}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    @property
    def fresh(self) -> str:
        """The copy's name."""
        return self.target.name + self.behind

    # What is in the way

    def obstacles(self) -> list[str]:
        """What is in the way of following, each with what to do about it."""
        server, name, title = self.source.server, self.source.name, self.source.title
        found = []
        if (level := server.one("show wal_level")) != "logical":
            found.append(
                f"{title} runs with wal_level {level}, and following needs logical: set that ({self.source.logical}) and restart it, or switch "
                "without following"
            )
        if server.one(_MAY) != "t":
            found.append(
                f"the user that moves data may not read the log of {title}: it lacks REPLICATION (on RDS: the role rds_replication)"
            )
        ours, needed = "|".join((SLOT, SEEN, BACK)), _SLOTS * self.number
        free = f"select current_setting('max_replication_slots')::int - count(*) from pg_replication_slots where slot_name !~ '^({ours})'"
        if int(server.one(free)) < needed:
            found.append(f"{title} has fewer than {needed} replication slots left; raise max_replication_slots there and restart it")
        rows = server.sql(_TABLES, name)
        if bare := [row[0] for row in rows if row[1] == "n" or (row[1] in "di" and not row[2])]:
            said = ", ".join(bare[:8]) + (f" and {len(bare) - 8} more" if len(bare) > 8 else "")
            found.append(
                f"nothing identifies a row of {said}: give each a primary key, or, with ALTER TABLE … REPLICA IDENTITY FULL, its whole row; or "
                "switch without following"
            )
        if unlogged := [row[0] for row in rows if row[5] == "u"]:
            found.append(f"changes of {', '.join(unlogged[:8])} are in no log: ALTER TABLE … SET LOGGED, or switch without following")
        if int(server.one("select count(*) from pg_largeobject_metadata", name)):
            found.append(f"{name} of {title} holds large objects, whose changes cannot be followed: switch without following")
        return found

    # The way

    def there(self) -> bool:
        """Whether there is a copy that can be brought on."""
        return self.target.server.exists(self.fresh) and self.slot_there() and bool(self.target.server.note(self.fresh))

    def slot_there(self) -> bool:
        """Whether the source keeps its log for it."""
        query = "select slot_name from pg_replication_slots where database = {} and slot_name = {}"
        return bool(self.source.server.one(query.format(literal(self.source.name), literal(self.slot))))

    def drop(self) -> None:
        """Follow no more: the source keeps its log no longer."""
        end = time.monotonic() + 30
        while self.slot_there():
            try:
                self.source.server.one(f"select pg_drop_replication_slot({literal(self.slot)})", self.source.name)
            except BerthError:
                # Whoever was killed may still be connected.
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def begin(self) -> tuple[int, float]:
        """Copy the database as of a place in its log, from where on it is kept. Returns the bytes that went over, and the seconds."""
        self.drop()
        with self.snapshot() as (place, snapshot):
            size, seconds = migration_postgres.copy(self.source, self.target, snapshot=snapshot)
        self._note(place)
        return size, seconds

    def mark(self) -> None:
        """Keep the log from here on, where both hold the same and neither is written to. Raises :class:`BerthError`."""
        self.drop()
        # It waits for whatever else the server has begun, and whoever asks is in a hurry.
        query = f"set statement_timeout = '5s'; select lsn from pg_create_logical_replication_slot({literal(self.slot)}, 'test_decoding')"
        self._note(self.source.server.one(query, self.source.name))

    def _note(self, place: str) -> None:
        # Also where the database is read only by itself.
        self.target.server.sql(
            f"set default_transaction_read_only = off; comment on database {quoted(self.fresh)} is {literal(place)}", "template1"
        )

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[tuple[str, str]]:
        """Make the slot. Yields its place, and the snapshot of that, which lasts as long as the connection."""
        words = ["psql", "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--field-separator=|"]
        words.append(f"--dbname=dbname={_connecting(self.source.name)} replication=database")
        beside = self.source.server.beside
        with subprocess.Popen(
            beside.words(*words), env=beside.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            assert client.stdin
            assert client.stdout
            assert client.stderr
            # It waits for the transactions that run.
            client.stdin.write(f'CREATE_REPLICATION_SLOT "{self.slot}" LOGICAL test_decoding EXPORT_SNAPSHOT;\n')
            client.stdin.flush()
            said = client.stdout.readline().strip().split("|")
            if len(said) < 3:
                client.stdin.close()
                refuse(f"{beside.title}: the log cannot be followed: {last_words(client.stderr.read())}")
            try:
                yield said[1], said[2]
            finally:
                client.stdin.close()

    def tables(self) -> dict[str, postgres_changes.Table]:
        """What is known of each table of the source, by its name as SQL has it."""

        def names(text: str) -> frozenset[str]:
            return frozenset(text.split("\x1e")) if text else frozenset()

        rows = self.source.server.sql(_TABLES, self.source.name)
        return {row[0]: postgres_changes.Table(names(row[2]), names(row[3]), names(row[4])) for row in rows}

    def catch_up(self, upto: str = "") -> int:
        """Do what was done in the source since, until nothing is left that was done when this began to look, or just up to a place in its log.
        Returns how many changes.
        """
        total, tables = 0, self.tables()
        end = upto or self.source.server.one("select pg_current_wal_lsn()")
        while True:
            changes, place, _lines = self._read(self.target.server.note(self.fresh), upto, _SOME)
            # Without a change in it the log may be far on: what comes next is there alone.
            if changes:
                done = postgres_changes.script(changes, tables, place, quoted(self.fresh))
                self.target.server.sql(f"{_WRITING}\n{done}", self.fresh)
                total += len(changes)
            if place:
                self._forget(place)
            if not place or self.source.server.one(f"select {literal(place)}::pg_lsn >= {literal(end)}::pg_lsn") == "t":
                return total

    def peek(self, most: int) -> list[postgres_changes.Change] | None:
        """What the source's log holds since it is kept; None where that is about as much as ``most`` changes, or more."""
        changes, _place, lines = self._read("", "", most)
        return changes if lines < most else None

    def _read(self, applied: str, upto: str, most: int) -> tuple[list[postgres_changes.Change], str, int]:
        """The next changes that were not ``applied`` yet, the place after them (empty where there are none), and how many lines were read.

        ``most``: lines, after which no other transaction is begun; the beginning and the end of each is one, too.
        """
        # Base64: a text may hold line ends, and whatever else would part the answer.
        query = (
            f"select lsn, translate(encode(convert_to(data, 'UTF8'), 'base64'), E'\\n', '') from pg_logical_slot_peek_changes({literal(self.slot)}, "
            f"{literal(upto) if upto else 'null'}, {most}, 'include-xids', '0', 'skip-empty-xacts', '1')"
        )
        found: list[postgres_changes.Change] = []
        transaction: list[postgres_changes.Change] = []
        place = ""
        rows = self.source.server.sql(f"{ALIKE}\n{query}", self.source.name)
        for lsn, data in rows:
            line = base64.b64decode(data).decode()
            if line == "COMMIT":
                if upto and _number(lsn) > _number(upto):
                    break
                if _number(lsn) > _number(applied):
                    found += transaction
                transaction, place = [], lsn
            elif change := postgres_changes.parsed(line):
                transaction.append(change)
        return found, place, len(rows)

    def _forget(self, place: str) -> None:
        """Let the source keep its log from a place on only."""
        self.source.server.sql(f"select pg_replication_slot_advance({literal(self.slot)}, {literal(place)})", self.source.name)

    def complete(self) -> None:
        """What is in no log: where sequences are, and what views hold that were filled."""
        query = "select format('select setval(%L, %s);', format('%I.%I', schemaname, sequencename), last_value) from pg_sequences where last_value is not null"
        sets = [row[0] for row in self.source.server.sql(query, self.source.name)]
        views = "select format('refresh materialized view %I.%I;', schemaname, matviewname) from pg_matviews where ispopulated order by 1"
        sets += [row[0] for row in self.target.server.sql(views, self.fresh)]
        if sets:
            self.target.server.sql("\n".join([_WRITING, *sets]), self.fresh)

    def lag(self, place: str = "") -> int:
        """Bytes of the source's log that the copy has not, or that come after a place."""
        applied = place or self.target.server.note(self.fresh) or "0/0"
        return max(0, int(self.source.server.one(f"select pg_current_wal_lsn() - {literal(applied)}::pg_lsn").split(".")[0]))


def _number(place: str) -> int:
    """A place in the log as a number."""
    high, _slash, low = (place or "0/0").partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def _connecting(name: str) -> str:
    """A name in a connection string."""
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"
