"""Which releases stay on a machine."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from berth import machine_docker, release_machine
from berth.release_start import bring_images


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> release_machine.Machine:
    monkeypatch.setattr(release_machine, "_ROOT", tmp_path)
    params: dict[str, Any] = {"app": "shop", "release": "r4", "keep": 3, "drain": 0}
    found = release_machine.Machine(params, lambda *_words, **_more: (0, "", ""))
    for age, name in enumerate(["r4", "r3", "r2", "r1", "r0", "first"]):
        folder = tmp_path / "shop" / "releases" / name
        folder.mkdir(parents=True)
        (folder / "compose.json").write_text("{}")
        os.utime(folder, (1000 - age, 1000 - age))
    return found


def kept(machine: release_machine.Machine) -> set[str]:
    machine.forget()
    return {each.name for each in (machine.folder / "releases").iterdir()}


def test_the_newest_stay(machine: release_machine.Machine):
    assert kept(machine) == {"r4", "r3", "r2", "r1"}


def test_what_served_before_stays_however_old_it_is(machine: release_machine.Machine):
    (machine.folder / "current.json").write_text(json.dumps({"release": "r4", "before": "first"}))
    assert kept(machine) == {"r4", "first", "r3", "r2"}


def test_where_none_are_kept_the_one_that_serves_stays(machine: release_machine.Machine):
    machine.params |= {"release": "first", "keep": 0}
    (machine.folder / "current.json").write_text(json.dumps({"release": "first", "before": "r4"}))
    assert kept(machine) == {"first"}


def test_what_knows_old_passwords_is_forgotten(machine: release_machine.Machine):
    (machine.folder / "current.json").write_text(json.dumps({"release": "r3", "before": "r4", "after": "r1"}))
    machine.forget_others("r3")
    assert {each.name for each in (machine.folder / "releases").iterdir()} == {"r3"}
    assert machine.current() == {"release": "r3"}


def test_what_is_ending_stays_until_it_has_ended(machine: release_machine.Machine):
    machine.endings.begin("r0", lambda wanted: time.sleep(1.5) if wanted() else None)
    assert kept(machine) == {"r4", "r3", "r2", "r1", "r0"}
    machine.all_ended()
    assert kept(machine) == {"r4", "r3", "r2", "r1"}


def test_what_nobody_goes_back_to_is_forgotten_when_the_old_release_has_ended(machine: release_machine.Machine):
    machine.params["front_door"] = None
    machine.end("r3")
    machine.all_ended()
    assert {each.name for each in (machine.folder / "releases").iterdir()} == {"r4", "r3", "r2", "r1"}


def bringing(machine: release_machine.Machine, services: dict[str, dict[str, str]], theirs: str, asked: list[list[str]]) -> str:
    """What keeps images from running here, on a machine that has none of them before it pulls."""

    def run(words: list[str], **_more: Any) -> tuple[int, str, str]:
        asked.append(words)
        there = any("pull" in each for each in asked)
        return (0, f"{theirs}\n" * 9, "") if there else (1, "", "No such image")

    machine.docker.run = machine.run = run
    machine.params["auths"] = {}
    machine.file("r4").write_text(json.dumps({"services": services}))
    return bring_images(machine)


@pytest.mark.parametrize(
    ("services", "with_compose"),
    [
        ({"web": {"image": "web:1"}}, False),
        ({"web": {"image": "web:1"}, "worker": {"image": "web:1"}}, False),
        ({"web": {"image": "web:1"}, "worker": {"image": "worker:1"}}, True),
        ({"web": {"image": "web:1", "platform": "linux/amd64"}}, True),
    ],
)
def test_one_image_is_pulled_without_compose(machine: release_machine.Machine, services: dict[str, dict[str, str]], with_compose: bool):
    asked: list[list[str]] = []
    bringing(machine, services, "", asked)
    assert ["compose" in each for each in asked if "pull" in each] == [with_compose]


def test_an_image_for_another_architecture_is_named(machine: release_machine.Machine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine_docker.os, "uname", lambda: SimpleNamespace(machine="x86_64"))
    services = {"web": {"image": "web:1"}}
    assert bringing(machine, services, "amd64", []) == ""
    assert bringing(machine, services, "arm64", []) == "web:1 is for arm64, and this machine is amd64; build it for linux/amd64"
