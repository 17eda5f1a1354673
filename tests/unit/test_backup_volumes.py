"""Backups of an app's volumes, as far as they need no engine: which they are, copies of one moment, a restore that is cut off."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from berth import release_model
from berth.written import FOLDERS_LABEL
from berth_backup import app, volumes
from berth_backup.accessory_copies import apart
from berth_backup.app import AppKeeper
from berth_backup.common import BackupError
from berth_backup.volumes import Volume, copied, still

from tests.unit.killed import Killed, Steps


def test_labels_are_those_that_releases_have():
    assert (volumes.RELEASES, volumes.ACCESSORIES, volumes.FOLDERS) == (
        release_model.APP_LABEL,
        release_model.ACCESSORY_LABEL,
        FOLDERS_LABEL,
    )


def container(name: str, *mounts: tuple[str, str, bool], status: str = "running", folders: str = "") -> dict[str, Any]:
    """As `docker inspect` shows one."""
    found = [{"Type": kind, "Name" if kind == "volume" else "Source": what, "RW": writes} for kind, what, writes in mounts]
    state, labels = {"Status": status, "StartedAt": "then"}, {"org.berth.folders": folders} if folders else None
    return {"Name": f"/{name}", "State": state, "Mounts": found, "Config": {"Labels": labels}}


class Engine:
    """Docker, as far as volumes are asked for. ``theirs``: label to containers."""

    def __init__(
        self, theirs: dict[str, list[dict[str, Any]]], options: dict[str, Any] | None = None, missing: tuple[str, ...] = ()
    ) -> None:
        self.theirs, self.options, self.missing = theirs, options or {}, missing

    def run(self, *words: str, **_more: Any) -> tuple[int, str, str]:
        if words[:2] == ("docker", "ps"):
            label = words[-1].split("=")[1]
            return 0, "\n".join(each["Name"] for each in self.theirs.get(label, [])), ""
        if words[:2] == ("docker", "inspect"):
            known = {each["Name"]: each for found in self.theirs.values() for each in found}
            return 0, json.dumps([known[name] for name in words[2:]]), ""
        assert words[:3] == ("docker", "volume", "inspect")
        if words[3] in self.missing:
            return 1, "[]", "no such volume"
        shown = {"Driver": "local", "Mountpoint": f"/volumes/{words[3]}", "Labels": None, "Options": self.options.get(words[3])}
        return 0, json.dumps([shown]), ""

    def check(self, _problem: str, *words: str, **_more: Any) -> str:
        return self.run(*words)[1]


def found(engine: Engine, monkeypatch: pytest.MonkeyPatch, without: tuple[str, ...] = (), known: tuple[str, ...] = ()) -> dict[str, Any]:
    monkeypatch.setattr(volumes, "run", engine.run)
    monkeypatch.setattr(volumes, "check", engine.check)
    return {each.name: dict(each.writers) for each in volumes.volumes("shop", without, known)}


def test_what_containers_write_into_counts_and_what_they_read_or_throw_away_does_not(monkeypatch: pytest.MonkeyPatch):
    engine = Engine(
        {
            "org.berth.app": [
                container("web", ("volume", "uploads", True), ("volume", "static", False), ("bind", "/var/run", True)),
                container("worker", ("volume", "uploads", True), ("volume", "f" * 64, True)),
                # A copy of what an image holds.
                container("assets", ("volume", "static", True), status="exited"),
            ],
            # Stopped, it has its data all the same.
            "org.berth.accessories": [container("db", ("volume", "data-db", True), status="exited")],
        }
    )
    assert found(engine, monkeypatch) == {"uploads": {"web": "then", "worker": "then"}, "data-db": {}}


def test_what_was_backed_up_before_is_as_long_as_it_is_there_and_what_is_not_on_this_disk_never_is(monkeypatch: pytest.MonkeyPatch):
    theirs = {"org.berth.app": [container("web", ("volume", "shares", True), ("volume", "cache", True))]}
    engine = Engine(theirs, options={"shares": {"type": "nfs"}}, missing=("gone",))
    assert found(engine, monkeypatch, without=("cache",), known=("gone", "older")) == {"older": {}}


def test_folders_of_the_machine_count_where_the_release_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "mysql").mkdir()
    (tmp_path / "settings.json").touch()
    mounts = [("bind", str(tmp_path / each), True) for each in ("mysql", "settings.json", "other")]
    theirs = [container("db", *mounts, folders=f"{tmp_path}/mysql:{tmp_path}/settings.json")]
    engine = Engine({"org.berth.accessories": theirs})
    assert found(engine, monkeypatch) == {str(tmp_path / "mysql"): {"db": "then"}}


class Copying:
    """rsync and Docker on volumes whose containers begin anew, or which take long. ``begun``: the times that are found one after another."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, begun: list[str], takes: list[float]) -> None:
        self.begun, self.takes, self.paused, self.now = begun, takes, 0, 0.0
        monkeypatch.setattr(volumes, "run", lambda *_words: (24, "", "file has vanished"))
        monkeypatch.setattr(volumes.subprocess, "run", self.rsync)
        monkeypatch.setattr(volumes.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(volumes, "still", self.still)

    def find(self) -> list[Volume]:
        begun = self.begun.pop(0) if len(self.begun) > 1 else self.begun[0]
        return [Volume("data", Path("/nowhere"), {}, {"db": begun} if begun else {})]

    def rsync(self, words: Any, *, timeout: float, **_more: Any) -> subprocess.CompletedProcess[str]:
        takes = self.takes.pop(0)
        self.now += min(takes, timeout)
        if takes > timeout:
            raise subprocess.TimeoutExpired(words, timeout)
        return subprocess.CompletedProcess(words, 0, "", "")

    def still(self, containers: Any, _seconds: float) -> Any:
        self.paused += bool(containers)
        return volumes.contextlib.nullcontext()


def test_nothing_stands_still_for_what_nobody_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    copying = Copying(monkeypatch, [""], [5])
    assert copied(copying.find, tmp_path, 10)[1] == 0
    assert copying.paused == 0


def test_a_copy_that_takes_too_long_lets_go_and_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    copying = Copying(monkeypatch, ["then"], [30, 2])
    assert copied(copying.find, tmp_path, 10)[1] == 2
    assert copying.paused == 2


def test_files_that_vanish_while_they_are_counted_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "kept").write_text("four")
    monkeypatch.setattr(volumes.os, "walk", lambda folder: [(str(folder), [], ["gone", "kept"])])
    assert volumes.counted(tmp_path) == (1, 4)


def test_a_file_that_was_written_while_it_was_copied_is_copied_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    copying = Copying(monkeypatch, ["then"], [1])
    monkeypatch.setattr(volumes, "run", lambda *_words: ((tmp_path / "written").touch(), (0, "", ""))[1])
    (tmp_path / "older").touch()
    os.utime(tmp_path / "older", (1, 1))
    copied(copying.find, tmp_path, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["older"]


def test_a_copy_during_which_a_container_began_anew_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    copying = Copying(monkeypatch, ["first", "first", "second", "second"], [1, 1])
    copied(copying.find, tmp_path, 10)
    assert copying.paused == 2


def test_it_is_given_up_with_what_stands_in_the_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(BackupError, match=r"db would stand still for more than 10 s\. Nothing was changed"):
        copied(Copying(monkeypatch, ["then"], [30, 30, 30]).find, tmp_path, 10)


@pytest.mark.parametrize("ends", ["by itself", "killed", "out of time"])
def test_what_stands_still_goes_on_whatever_ends_the_program(tmp_path: Path, ends: str):
    calls = tmp_path / "calls"
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n')
    docker.chmod(0o755)
    seconds = 1 if ends == "out of time" else 60
    code = f"import time\nfrom berth_backup.volumes import still\nwith still(['db', 'web'], {seconds}):\n    print('still', flush=True)\n    input()\n"
    path = f"{tmp_path}:/usr/bin:/bin"
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": path, "PYTHONPATH": ":".join(sys.path)}
    )
    assert program.stdout
    assert program.stdin
    assert program.stdout.readline() == b"still\n"
    assert calls.read_text().splitlines() == ["pause db web"]
    if ends == "killed":
        program.send_signal(signal.SIGKILL)
    if ends == "by itself":
        program.communicate(b"\n")
    end = time.monotonic() + 10
    while "unpause db web" not in calls.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    program.kill()
    program.communicate()


def test_one_that_cannot_be_paused_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" = unpause ] || { echo "db is not running" >&2; exit 1; }\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(BackupError, match="db is not running"), still(["db"], 5):
        raise AssertionError("it was not paused")


@pytest.mark.parametrize(("stood", "whole"), [("true true", True), ("true false", False), ("true", False)])
def test_a_copy_during_which_one_was_let_go_is_of_no_moment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stood: str, whole: bool):
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$1" != inspect ] || printf "%s\\n" {stood}\necho "$@" >> {tmp_path}/calls\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with contextlib.nullcontext() if whole else pytest.raises(BackupError, match="let go while it was copied"), still(["db", "web"], 5):
        pass
    assert "unpause db web" in (tmp_path / "calls").read_text()


def test_accessories_run_on_copies_apart_from_all_else(tmp_path: Path):
    (tmp_path / "shop_data").mkdir()
    db = {
        "image": "mysql:8",
        "ports": [{"target": 3306}],
        "networks": {"default": None},
        "labels": {"org.berth.accessories": "shop"},
        "restart": "unless-stopped",
        "environment": {"MYSQL_ROOT_PASSWORD": "secret"},
        "depends_on": {"other": {"condition": "service_started"}},
        "volumes": [
            {"type": "volume", "source": "data", "target": "/var/lib/mysql"},
            {"type": "volume", "source": "logs", "target": "/var/log"},
            {"type": "bind", "source": "./my.cnf", "target": "/etc/my.cnf"},
        ],
    }
    model = {"services": {"db": db, "other": {"image": "nats"}}, "volumes": {"data": {"name": "shop_data"}, "logs": {"name": "shop_logs"}}}
    begun = apart(model, tmp_path)
    assert begun["services"] == {
        "db": {
            "image": "mysql:8",
            "environment": {"MYSQL_ROOT_PASSWORD": "secret"},
            "depends_on": {},
            "restart": "no",
            "volumes": [
                {"type": "bind", "source": str(tmp_path / "shop_data"), "target": "/var/lib/mysql", "read_only": False},
                {"type": "volume", "target": "/var/log"},
                {"type": "bind", "source": "./my.cnf", "target": "/etc/my.cnf"},
            ],
        }
    }
    assert begun["networks"] == {"default": {"internal": True}}


@pytest.mark.parametrize("steps", range(16))
@pytest.mark.parametrize("lost", [False, True], ids=["in place", "on a new machine"])
def test_a_restore_that_is_killed_anywhere_is_ended_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, *, lost: bool
):
    root = tmp_path / "docker"
    there = [] if lost else ["data", "uploads"]
    for name in ("data", "uploads"):
        (root / "berth" / "app.restored" / name).mkdir(parents=True)
        (root / "berth" / "app.restored" / name / "file").write_text("restored")
    (root / "berth" / "app.restored" / ".berth.json").write_text(json.dumps({"data": {"a": "b"}, "uploads": {}}))
    for name in there:
        (root / "volumes" / name / "_data").mkdir(parents=True)
        (root / "volumes" / name / "_data" / "file").write_text("old")
    running = {"db", "web"} if not lost else set()
    machine = Steps(monkeypatch, 100)

    def run(*words: str, **_more: Any) -> tuple[int, str, str]:
        machine.step()
        if words[:2] == ("docker", "stop"):
            running.difference_update(words[4:])
        if words[:2] == ("docker", "start"):
            running.add(words[2])
        if words[:3] == ("docker", "volume", "inspect"):
            place = root / "volumes" / words[-1] / "_data"
            return (0, f"{place}\n", "") if place.parent.is_dir() else (1, "", "no such volume")
        if words[:3] == ("docker", "volume", "create"):
            (root / "volumes" / words[-1] / "_data").mkdir(parents=True)
        return 0, "", ""

    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(app, "check", lambda _problem, *words: str(root) if words[1] == "info" else run(*words)[1])
    monkeypatch.setattr(app, "volumes", lambda *_given: [Volume(name, Path(), {}, {"db": "", "web": ""}) for name in there])
    settings = {"app": "shop", "without": [], "notes": str(tmp_path / "notes"), "accessories": str(tmp_path / "shop" / "accessories")}
    keeper = AppKeeper(settings)
    machine.left = steps
    try:
        keeper.take()
    except Killed:
        machine.on()
        keeper.finish()
        if not keeper.notes.read("taking") and (root / "berth" / "app.restored").exists():
            # Before it had begun: all is as it was, and it can be asked for again.
            assert [(root / "volumes" / name / "_data" / "file").read_text() for name in there] == ["old"] * len(there)
            keeper.take()
    assert {name: (root / "volumes" / name / "_data" / "file").read_text() for name in ("data", "uploads")} == {
        "data": "restored",
        "uploads": "restored",
    }
    aside = [path for path in (root / "berth").iterdir() if path.name.startswith("app.before")]
    assert [sorted(path.name for path in each.iterdir()) for each in aside] == ([] if lost else [["data", "uploads"]])
    assert all((each / name / "file").read_text() == "old" for each in aside for name in ("data", "uploads"))
    assert running == (set() if lost else {"db", "web"})
    # A machine whose app has yet to begin is not taken for one that holds nothing.
    assert keeper.notes.read("backup")["volumes"] == ["data", "uploads"]
    assert not (root / "berth" / "app.restored").exists()


class Mirror:
    """rsync of whole folders, which is killed after so many steps, in the middle of one."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def same(self, source: Path, target: Path) -> None:
        self.left -= 1
        for path in target.iterdir():
            path.unlink()
        names = sorted(path.name for path in source.iterdir())
        for name in names[: len(names) // 2 if self.left < 0 else None]:
            (target / name).write_text((source / name).read_text())
        if self.left < 0:
            raise Killed


@pytest.mark.parametrize("steps", range(4))
def test_a_folder_of_the_machine_is_exchanged_whatever_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int):
    place, restored, aside = (tmp_path / each for each in ("place", "restored", "aside"))
    for folder, content in ((place, "old"), (restored, "restored")):
        folder.mkdir()
        for name in ("one", "two"):
            (folder / name).write_text(content)
    mirror = Mirror(steps)
    monkeypatch.setattr(app, "same", mirror.same)
    try:
        app._fill(place, restored, aside)
    except Killed:
        mirror.left = 100
        app._fill(place, restored, aside)
    assert [(path / name).read_text() for path in (place, aside) for name in ("one", "two")] == ["restored"] * 2 + ["old"] * 2
    assert not restored.exists()


def test_a_writer_that_ended_meanwhile_is_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "docker" / "berth" / "app.restored").mkdir(parents=True)
    (tmp_path / "docker" / "berth" / "app.restored" / ".berth.json").write_text("{}")
    policies, started = {"old": "no", "new": "always"}, []

    def run(*words: str, **_more: Any) -> tuple[int, str, str]:
        if words[:2] == ("docker", "inspect"):
            return 0, f"{policies[words[-1]]}\n", ""
        if words[:2] == ("docker", "start"):
            started.append(words[2])
        return 0, "", ""

    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(app, "check", lambda *_words: str(tmp_path / "docker"))
    monkeypatch.setattr(app, "volumes", lambda *_given: [])
    settings = {"app": "shop", "without": [], "notes": str(tmp_path / "notes"), "accessories": str(tmp_path / "shop" / "accessories")}
    keeper = AppKeeper(settings)
    # Of a run that was cut off, since which another release has come.
    keeper.notes.write("taking", {"aside": str(tmp_path / "aside"), "writers": ["old", "new"], "volumes": {}})
    keeper.take()
    assert started == ["new"]
