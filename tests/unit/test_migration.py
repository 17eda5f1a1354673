"""What a move reads, writes and compares, without a server."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from berth import migration, migration_redis, redis_values
from berth.beside import Beside
from berth.migration_postgres import Content
from berth.migration_stores import Stores
from berth.postgres_server import Server
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st


def quoted(text: bytes) -> bytes:
    """As the client writes it with --csv."""
    escapes = {0x0A: b"\\n", 0x0D: b"\\r", 0x09: b"\\t", 0x07: b"\\a", 0x08: b"\\b", 0x5C: b"\\\\", 0x22: b'\\"'}
    return b'"' + b"".join(escapes.get(each) or (bytes([each]) if 32 <= each < 127 else b"\\x%02x" % each) for each in text) + b'"'


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_whatever_a_key_holds_is_read_as_it_was(fields: list[bytes]):
    assert migration_redis.parsed(b",".join(quoted(each) for each in fields) + b"\n") == fields


def test_numbers_stand_beside_texts():
    assert migration_redis.parsed(b'"0",12,"a,b",-1\n') == [b"0", b"12", b"a,b", b"-1"]


def test_rows_sums_and_missing_tables_are_differences():
    ours = Content(
        {"public.a": (2, "7"), "public.b": (1, "5"), "public.c": (1, "1"), "sequence public.s": (9, "0"), "large objects": (0, "0")}
    )
    assert ours.differs(ours) == []
    assert ours.summary == "4 rows in 3 tables"
    theirs = Content({"public.a": (3, "9"), "public.b": (1, "6"), "sequence public.s": (8, "0"), "large objects": (0, "0")})
    assert ours.differs(theirs) == [
        "public.a: 2 here, 3 there",
        "public.b has other content",
        "public.c is on one side only",
        "sequence public.s: 9 here, 8 there",
    ]


def test_another_machines_shell_gets_each_word_whole():
    place = Beside("there", ["docker", "exec", "store"], reach=["ssh", "root@there"], before='export X="$(cat secret)"')
    *reach, line = place.words("psql", "--command", "select 'a b'")
    assert reach == ["ssh", "root@there"]
    before, command = line.split("; ", 1)
    assert before == 'export X="$(cat secret)"'
    assert shlex.split(command) == ["docker", "exec", "store", "sh", "-c", ':; exec "$@"', "sh", "psql", "--command", "select 'a b'"]


class Store(Stores):
    """A home with nothing that could be asked."""

    def __init__(self, title: str) -> None:
        super().__init__(title, {}, "", fresh=True)
        self.redis = migration_redis.Keys(Beside(title, []), [])


def test_a_move_that_is_under_way_is_not_mixed_with_another(tmp_path: Path):
    note = tmp_path / "shop.json"
    note.write_text(json.dumps({"phase": "copied", "from": "inventories/a", "to": "inventories/b"}))
    with pytest.raises(BerthError, match="a move from inventories/a to inventories/b is copied; end it first"):
        migration.Migration(Store("inventories/b"), Store("inventories/c"), note)
    move = migration.Migration(Store("inventories/a"), Store("inventories/b"), note)
    for phase in (move.verify, move.finish):
        with pytest.raises(BerthError, match="nothing has been switched"):
            phase()


def test_what_was_moved_away_from_is_not_opened_without_a_word(tmp_path: Path):
    move = migration.Migration(Store("inventories/a"), Store("inventories/b"), tmp_path / "shop.json")
    with pytest.raises(BerthError, match="no move from inventories/a to inventories/b is under way"):
        move.back(lose=False)


class Gated(migration_redis.Keys):
    """A server whose service needs a moment for what it is told."""

    def __init__(self, answers: list[str]) -> None:
        self.told: list[bool] = []
        super().__init__(Beside("there", []), [], self.told.append)
        self.answers = answers

    def ask(self, *words: str) -> str:
        answer = self.answers.pop(0)
        if answer != "0":
            raise BerthError(f"there: {words[0]}: {answer}")
        return answer


def test_a_service_that_closes_writes_is_believed_when_it_refuses_one():
    store = Gated(["0", "0", "NOREPLICAS Not enough good replicas to write."])
    store.writes(allowed=False)
    assert (store.told, store.answers) == ([False], [])
    store = Gated(["NOREPLICAS Not enough good replicas to write.", "0"])
    store.writes(allowed=True)
    assert (store.told, store.answers) == ([True], [])
    with pytest.raises(BerthError, match="NOAUTH"):
        Gated(["NOAUTH Authentication required."]).writes(allowed=False)


def test_those_that_could_take_over_are_told_too_and_what_was_asked_for_is_asked_for_again(monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[str, str]] = []

    def ask(place: Beside, *words: str) -> str:
        # A restart does not let them in again.
        told.append((place.title, words[-1] if words[0] == "redis-cli" else words[2].split()[0]))
        return "OK"

    monkeypatch.setattr(Beside, "ask", ask)
    there = Stores(
        "shop",
        {
            "redis": {
                "title": "one",
                "reach": ["ssh", "one"],
                "inside": [],
                "client": ["redis-cli"],
                "replicas": 1,
                "closed": "/data/closed.conf",
                "followers": [{"title": "two", "reach": ["ssh", "two"]}, {"title": "three", "reach": ["ssh", "three"]}],
            }
        },
        "shop",
        fresh=False,
    )
    there.writes(allowed=False)
    assert [title for title, _number in told[::2]] == ["two of shop", "three of shop", "one of shop"]
    assert [each for _title, each in told] == ["echo", "1000000"] * 3
    told.clear()
    there.writes(allowed=True)
    assert [each for _title, each in told] == ["rm", "1"] * 3


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=8), st.integers(-1, 10**9))
def test_a_key_is_spelt_as_it_was_read(held: list[bytes], left: int):
    spelt = b"".join(b"%d:%s" % (len(each), each) for each in held)
    assert redis_values.parts(spelt) == held
    found = list(redis_values.orders(b"key", "list", left, spelt))
    assert found[:2] == [(b"DEL", b"key"), (b"RPUSH", b"key", *held)]
    assert found[2:] == ([(b"PEXPIRE", b"key", b"%d" % max(left, 1))] if left >= 0 else [])


def test_a_stream_keeps_its_entries_and_its_groups_of_readers():
    held = [b"2", b"1-1", b"2", b"a", b"b", b"1-2", b"2", b"c", b"d", b"readers", b"1-1"]
    spelt = b"".join(b"%d:%s" % (len(each), each) for each in held)
    found = list(redis_values.orders(b"key", "stream", -1, spelt))
    assert found[1:3] == [(b"XADD", b"key", b"1-1", b"a", b"b"), (b"XADD", b"key", b"1-2", b"c", b"d")]
    assert found[-1] == (b"XGROUP", b"CREATE", b"key", b"readers", b"1-1")
    with pytest.raises(BerthError, match="key is a ReJSON-RL, which no command of both servers writes"):
        list(redis_values.orders(b"key", "ReJSON-RL", -1, spelt))


class Told(Beside):
    """A place that answers what it was told to."""

    def __init__(self, **answers: str) -> None:
        super().__init__("there", [])
        self.answers = answers

    def ask(self, *command: str, stdin: str = "") -> str:
        if command[0] not in self.answers:
            raise BerthError(f"there: {command[0]}: not found ({stdin})")
        return self.answers[command[0]]


def test_the_room_of_a_disk_is_known_where_there_is_one():
    shown = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vdb 2000000 1000000 900000 53% /data\n"
    assert Server(Told(psql="/data\n", df=shown)).room() == 900000 * 1024
    assert Server(Told(psql="/rdsdbdata/db\n")).room() is None
