"""Places in the write-ahead log, and what pg_controldata says."""

from __future__ import annotations

from typing import Any

import pytest
from berth.postgres_member import Member, control, position
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

SAID = """pg_control version number:            1700
Database system identifier:           7576871203245178913
Database cluster state:               shut down
Latest checkpoint location:           0/3000148
Latest checkpoint's TimeLineID:       2
"""


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_places_compare_as_numbers(one: int, other: int):
    def text(number: int) -> str:
        return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"

    assert position(text(one)) == one
    assert (position(text(one)) < position(text(other))) == (one < other)


@pytest.mark.parametrize("text", ["", "0", "0/", "x/1", "0/3000148/1"])
def test_what_is_no_place_is_said(text: str):
    with pytest.raises(BerthError, match="no place"):
        position(text)


def test_one_that_cannot_be_started_says_why():
    log = 'LOG:  redo starts at 0/3000148\nFATAL:  could not write to file "pg_wal/xlogtemp.9": No space left on device\n'

    def run(words: list[str], **_more: Any) -> tuple[int, str, str]:
        return (0, log, "") if "logs" in words else (1, "", "container berth-postgres is unhealthy")

    member = Member({"data": "/data", "project": "/etc/berth/postgres/compose.yaml"}, run)
    with pytest.raises(BerthError, match=r"is unhealthy; its log: FATAL: .*No space left on device \(the machine's disk is full"):
        member.start()


def test_what_the_files_say_is_read():
    assert control(SAID) == {"identifier": "7576871203245178913", "state": "shut down", "location": "0/3000148", "timeline": "2"}
