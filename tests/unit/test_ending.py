"""What ends beside what serves: in a process of its own, which can be asked, waited for and recalled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from berth.ending import Endings
from berth.problems import BerthError


@pytest.fixture
def endings(tmp_path: Path) -> Endings:
    return Endings(tmp_path / "ending")


def lasting(seconds: float, done: Path) -> Callable[[Callable[[], bool]], None]:
    """An end that takes so long, and then notes by which process it was made."""

    def end(wanted: Callable[[], bool]) -> None:
        begin = time.monotonic()
        while wanted() and time.monotonic() - begin < seconds:
            time.sleep(0.05)
        if wanted():
            done.write_text(str(os.getpid()))

    return end


def test_it_goes_on_in_another_process_and_is_waited_for(endings: Endings, tmp_path: Path):
    done = tmp_path / "done"
    begin = time.monotonic()
    endings.begin("r1", lasting(1, done))
    assert time.monotonic() - begin < 0.7
    assert endings.under_way() == ["r1"]
    assert not done.exists()
    endings.wait(20)
    assert done.read_text() != str(os.getpid())
    assert (endings.under_way(), endings.problems(["r1"])) == ([], {})
    endings.wait(0)


def test_what_is_recalled_goes_on(endings: Endings, tmp_path: Path):
    endings.begin("r1", lasting(30, tmp_path / "done"))
    endings.begin("r2", lasting(1, tmp_path / "other"))
    begin = time.monotonic()
    endings.recall("r1", 20)
    assert time.monotonic() - begin < 10
    assert endings.under_way() in ([], ["r2"])
    endings.wait(20)
    assert not (tmp_path / "done").exists()
    assert (tmp_path / "other").exists()
    endings.recall("never begun", 0)


def test_what_fails_is_said_until_it_is_begun_again(endings: Endings, tmp_path: Path):
    def fails(_wanted: Callable[[], bool]) -> None:
        raise BerthError("Docker says no")

    endings.begin("r1", fails)
    endings.wait(20)
    assert endings.problems(["r1", "r2"]) == {"r1": "Docker says no"}
    # One that is gone by other means is nobody's trouble any more.
    assert endings.problems(["r2"]) == {}
    endings.begin("r1", lasting(0, tmp_path / "done"))
    endings.wait(20)
    assert endings.problems(["r1"]) == {}


def test_one_whose_process_was_killed_is_not_under_way(endings: Endings):
    def dies(_wanted: Callable[[], bool]) -> None:
        os.kill(os.getpid(), 9)

    endings.begin("r1", dies)
    endings.wait(20)
    assert (endings.under_way(), endings.problems(["r1"])) == ([], {})


def test_one_that_takes_too_long_is_said(endings: Endings, tmp_path: Path):
    endings.begin("r1", lasting(3, tmp_path / "done"))
    with pytest.raises(BerthError, match="release r1 has been ending for more than 0 s"):
        endings.wait(0)
    endings.wait(20)
