from __future__ import annotations

import os
import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from rehearsal import engine


class Api:
    """What an engine is asked on its way out."""

    def __init__(self, *running: str) -> None:
        self.pruned, self.api = list[str](), self
        self.containers = SimpleNamespace(list=lambda: [SimpleNamespace(name=each) for each in running])

    def prune_images(self, filters: dict[str, bool]) -> dict[str, Any]:
        self.pruned.append(f"images {filters}")
        return {"SpaceReclaimed": 5 * 10**8}

    def prune_builds(self, **which: bool) -> dict[str, Any]:
        self.pruned.append(f"builds {which}")
        return {"SpaceReclaimed": 10**9}

    def info(self) -> dict[str, str]:
        return {"DockerRootDir": "/"}


@pytest.fixture
def started(tmp_path, monkeypatch):
    """An engine that Berth started, whose process is one of these tests'."""
    monkeypatch.setattr(engine, "_PID_FILE", tmp_path / "pid")
    monkeypatch.setattr(engine, "_is_engine", lambda _number: True)
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda number, _signal: ended.append(number))
    (tmp_path / "pid").write_text("4194305")
    return ended


def test_what_builds_left_goes_with_the_engine_that_berth_started(started, monkeypatch, capsys):
    api = Api()
    monkeypatch.setattr(engine.docker, "from_env", lambda **_more: api)
    engine.stop()
    assert (started, api.pruned) == ([4194305], ["images {'dangling': True}", "builds {'all': True}"])
    assert "1.5 GB are free again" in capsys.readouterr().out


def test_an_engine_that_serves_others_keeps_all_and_they_are_named(started, monkeypatch, capsys):
    api = Api("shop-db-1", *"abcde")
    monkeypatch.setattr(engine.docker, "from_env", lambda **_more: api)
    engine.stop()
    assert (started, api.pruned) == ([], [])
    assert "6 other containers run on it (a, b, c, d, e, …)" in capsys.readouterr().out


@pytest.mark.parametrize(("free", "told"), [(3_500_000_000, True), (50 * 10**9, False)])
def test_a_disk_that_may_become_full_is_told_of_before_anything_fails_for_it(monkeypatch, capsys, free: int, told: bool):
    monkeypatch.setattr(engine.docker, "from_env", lambda **_more: Api())
    monkeypatch.setattr(engine, "answers", lambda: True)
    monkeypatch.setattr(engine, "has_plugins", lambda: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    assert engine.set_up() == 0
    assert ("Only 3.5 GB are free where Docker keeps images (/)" in capsys.readouterr().err) is told
