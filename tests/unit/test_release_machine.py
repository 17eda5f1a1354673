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

from tests.unit import docker_api


def there(monkeypatch: pytest.MonkeyPatch, services: dict[str, tuple[str, str]]) -> None:
    """Have the machine run containers of release r4. ``services``: to state and status."""
    about = {
        name: {"state": each[0], "status": each[1], "release": "r4", "project": "shop-r4", "service": name}
        for name, each in services.items()
    }
    monkeypatch.setattr(machine_docker, "ask", lambda _path: docker_api.listed({f"shop-r4-{name}-1": each for name, each in about.items()}))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> release_machine.Machine:
    monkeypatch.setattr(release_machine, "_ROOT", tmp_path)
    # Whatever there is where the tests run.
    monkeypatch.setattr(machine_docker, "compose_command", lambda: ["docker", "compose"])
    there(monkeypatch, {})
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


def containers(**states: str) -> dict[str, list[dict[str, Any]]]:
    return {release: [{"name": f"shop-{release}-web-1", "service": "web", "state": state}] for release, state in states.items()}


@pytest.mark.parametrize(
    ("states", "active"),
    [
        ({"r4": "running", "r3": "exited"}, {"r4"}),
        ({"r4": "running", "r3": "running"}, {"r4", "r3"}),
        ({"r4": "running", "r3": "restarting"}, {"r4", "r3"}),
        # Nobody goes back there at once, so its containers are to be removed.
        ({"r4": "running", "r3": "exited", "r2": "exited"}, {"r4", "r2"}),
    ],
)
def test_a_stopped_release_that_a_rollback_goes_to_is_as_it_should_be(machine: release_machine.Machine, states, active):
    machine.serves(release="r4", before="r3")
    assert machine.active(containers(**states)) == active


@pytest.mark.parametrize(("ending", "command"), [("r3", "stop"), ("r2", "down")])
def test_the_release_before_keeps_its_stopped_containers_and_no_other_does(machine: release_machine.Machine, ending: str, command: str):
    machine.serves(release="r4", before="r3")
    machine.params["front_door"] = None
    said = machine.folder / "said"

    def run(words: list[str], **_more: Any) -> tuple[int, str, str]:
        # It ends in a process of its own.
        with said.open("a") as file:
            file.write(" ".join(words) + "\n")
        return 0, "", ""

    machine.docker.run = run
    machine.end(ending)
    machine.all_ended()
    asked = [line.split() for line in said.read_text().splitlines() if " compose " in line]
    assert [command in words for words in asked] == [True]


def test_what_ended_comes_back_after_a_restart_as_its_release_says(machine: release_machine.Machine, monkeypatch: pytest.MonkeyPatch):
    services = {"web": {"restart": "always"}, "worker": {}, "more": {"restart": "always"}}
    machine.file("r4").write_text(json.dumps({"services": services}))
    asked = []

    def run(words: list[str], **_more: Any) -> tuple[int, str, str]:
        asked.append(words[1:])
        return 0, "", ""

    there(monkeypatch, dict.fromkeys((*services, "gone"), ("exited", "Exited (0)")))
    machine.docker.run = run
    machine.keep_up()
    assert asked == [
        ["update", "--restart", "always", "shop-r4-web-1", "shop-r4-more-1"],
        ["update", "--restart", "no", "shop-r4-worker-1"],
    ]


def test_what_ended_by_itself_is_started_at_once_and_counted_anew(machine: release_machine.Machine, monkeypatch: pytest.MonkeyPatch):
    machine.file("r4").write_text(json.dumps({"services": {"web": {"restart": "always"}, "api": {"restart": "always"}}}))
    asked = []

    def run(words: list[str], **_more: Any) -> tuple[int, str, str]:
        asked.append(words[1:])
        return 0, "", ""

    there(monkeypatch, {"web": ("running", "Up 5 minutes"), "api": ("restarting", "Restarting (1) 50 seconds ago")})
    machine.docker.run = run
    machine.keep_up()
    assert asked[1:] == [["restart", "shop-r4-api-1"]]


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
        return 0, "", ""

    machine.docker.run = machine.run = run
    machine.params["auths"] = {}
    machine.file("r4").write_text(json.dumps({"services": services}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine_docker, "ask", lambda _path: {"Architecture": theirs} if asked else None)
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
