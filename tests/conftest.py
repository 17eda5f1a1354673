"""What tests need from the machine. Missing things skip with a reason; BERTH_REQUIRE_DOCKER=1 turns the skip into a failure."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

# Tests rehearse apart from demos and from tests that run beside them, and in less time. Set before anything of the rehearsal is imported.
_BESIDE = os.environ.get("PYTEST_XDIST_WORKER", "").replace("gw", "-").replace("-0", "")
os.environ["BERTH_REHEARSAL_STATE"] = str(Path(__file__).parents[1] / ".cache" / f"rehearsal-of-tests{_BESIDE}")
os.environ.setdefault("BERTH_REHEARSAL_SECONDS", "1")


@cache
def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _need(there: bool, what: str) -> None:
    if there:
        return
    if os.environ.get("BERTH_REQUIRE_DOCKER"):
        pytest.fail(f"{what}, and BERTH_REQUIRE_DOCKER asks for it")
    pytest.skip(what)


@contextmanager
def _locked(name: str, how: int) -> Iterator[None]:
    path = Path(__file__).parents[1] / ".cache" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as held:
        fcntl.flock(held, how)
        yield


def _alone(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None


# The lock of this worker's test, where it has one.
_held: list[ExitStack] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A test marked ``alone`` waits for the tests of other workers to end, and none begins beside it or beside the next that is so marked: what
    it measures is the code, not how two cores are shared. Whoever waits holds the gate, so that its turn comes."""
    if not item.get_closest_marker("docker"):
        return (yield)
    if not _held:
        with _locked("tests.gate", fcntl.LOCK_EX):
            _held.append(ExitStack())
            _held[0].enter_context(_locked("tests.room", fcntl.LOCK_EX if _alone(item) else fcntl.LOCK_SH))
    try:
        return (yield)
    finally:
        if not (_alone(item) and _alone(nextitem)):
            _held.pop().close()


# The files that take longest come first, so that no worker is left alone with one of them at the end; and those that run the app on many
# machines not at the same time.
_LONGEST = (
    "aws_home backup digitalocean_home migrate_around molecule accessories killed https many_apps clients production rehearsed_aws".split()
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}": number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("compose"):
        _need(_succeeds("docker", "compose", "version"), "no Docker Compose plugin")
    if item.get_closest_marker("docker"):
        _need(_succeeds("docker", "info"), "no Docker engine answers")
        _need(_succeeds("docker", "compose", "version"), "no Docker Compose plugin")
    if item.get_closest_marker("browser"):
        _need(_succeeds("chromium", "--version"), "no Chromium")
