"""What is compared when a copy follows its source: everything while that serves, and at the switch what was written since."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from berth.migration import Migration
from berth.migration_follow import Followed
from berth.migration_stores import Stores
from berth.problems import BerthError

from benchmarks.moves import IMAGE, inside, servers
from rehearsal import images

pytestmark = pytest.mark.docker
OLD, NEW = "berth-bench-old", "berth-bench-new"
TABLES = """create table "Pairs; x" (a text, "B b" int, note text, primary key (a, "B b"));
insert into "Pairs; x" select 'it''s ' || i, i, repeat('n', 5000) from generate_series(1, 700) i;
create table emptied (i int primary key); insert into emptied select generate_series(1, 9); create sequence tickets"""
WRITES = """update pgbench_accounts set abalance = aid where aid <= 3000; delete from pgbench_accounts where aid = 5;
insert into pgbench_accounts values (1000001, 1, 0, ''); update "Pairs; x" set "B b" = -"B b" where "B b" > 300;
insert into pgbench_history values (1, 1, 1, 5, now(), null); truncate emptied; insert into emptied values (77); select nextval('tickets')"""


def ask(server: str, query: str, database: str = "shop") -> str:
    return inside(server, "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", query, database).strip()


@pytest.fixture
def homes() -> Iterator[tuple[Stores, Stores]]:
    images.ensure([IMAGE])
    with servers(1) as found:
        ask(OLD, TABLES)
        yield found


def test_a_switch_compares_what_was_written_since_both_were_alike(homes: tuple[Stores, Stores], tmp_path: Path, monkeypatch: Any):
    def move() -> Migration:
        return Migration(*homes, tmp_path / "note.json")

    said = " ".join(move().follow(replace=False))
    assert "100720 rows in 6 tables are the same on both sides as of" in said
    # What was compared lately is not compared again.
    ask(OLD, WRITES)
    assert "rows in 6 tables" not in " ".join(move().follow(replace=False))

    # A row that was written since, and is another one there.
    complete = Followed.complete

    def astray(followed: Followed) -> None:
        complete(followed)
        ask(NEW, "update pgbench_accounts set abalance = 0 where aid = 17", "shop_incoming")

    with monkeypatch.context() as patch:
        patch.setattr(Followed, "complete", astray)
        with pytest.raises(
            BerthError, match=r"differ: postgres: public\.pgbench_accounts has other content\. berth-bench-old takes writes again"
        ):
            move().switch(replace=False)
    ask(OLD, "update pgbench_accounts set abalance = 1 where aid = 18")
    # From then on nothing is taken for granted.
    with pytest.raises(BerthError, match=r"public\.pgbench_accounts has other content\. .* begin again with -e migrate=back"):
        move().switch(replace=False)
    ask(NEW, "update pgbench_accounts set abalance = 17 where aid = 17", "shop_incoming")

    assert "100713 rows in 6 tables are the same on both sides as of" in " ".join(move().follow(replace=False))
    ask(
        OLD,
        "update pgbench_accounts set abalance = -1 where aid between 500 and 999; truncate emptied; update pgbench_tellers set filler = 'x'",
    )
    said = " ".join(move().switch(replace=False))
    found = re.search(r"100713 rows in 6 tables were the same on both sides at \S+, and so are (\d+) that were written since", said)
    assert found, said
    assert int(found[1]) == 510
    for query in (
        'select sum(hashtext(t::text)) from "Pairs; x" t',
        "select count(*), sum(abalance) from pgbench_accounts",
        "table emptied",
    ):
        assert ask(OLD, query) == ask(NEW, query)
    assert ask(OLD, "select count(*) from pg_replication_slots") == "0"
    move().finish()


def test_with_more_written_than_can_be_compared_quickly_all_is(homes: tuple[Stores, Stores], tmp_path: Path, monkeypatch: Any):
    monkeypatch.setattr("berth.migration_seen._CHANGES", 100)
    move = Migration(*homes, tmp_path / "note.json")
    move.follow(replace=False)
    ask(OLD, WRITES)
    with monkeypatch.context() as patch:
        # As when the source has much to do meanwhile.
        patch.setattr(Migration, "_brought_on", lambda _self, _followed: [])
        said = " ".join(move.switch(replace=False))
    assert "100713 rows in 6 tables are the same on both sides, with their sums and sequences" in said
