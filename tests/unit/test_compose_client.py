"""Which program is Compose."""

from __future__ import annotations

from pathlib import Path

import pytest
from berth.compose_client import compose_command


def place(folder: Path, mode: int = 0o755) -> Path:
    """A program called as Compose is."""
    folder.mkdir(parents=True)
    path = folder / "docker-compose"
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of Docker's client."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "own"))
    return tmp_path / "own"


def test_the_user_s_own_comes_before_the_machine_s(own: Path, tmp_path: Path):
    machines = place(tmp_path / "lib" / "docker" / "cli-plugins")
    assert compose_command((tmp_path / "libexec", tmp_path / "lib")) == [str(machines)]
    theirs = place(own / "cli-plugins")
    assert compose_command((tmp_path / "lib",)) == [str(theirs)]


def test_where_there_is_none_docker_s_client_is_asked_for_it(own: Path, tmp_path: Path):
    assert compose_command((tmp_path / "lib",)) == ["docker", "compose"]
    place(own / "cli-plugins", 0o644)
    (tmp_path / "lib" / "docker" / "cli-plugins" / "docker-compose").mkdir(parents=True)
    assert compose_command((tmp_path / "lib",)) == ["docker", "compose"]
