"""Files, passwords and services of a machine, kept in one step."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests import modules


class Machine:
    """A folder that stands for one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.applied = folder / "applied.log"

    def file(self, name: str, content: str, **more: Any) -> dict[str, Any]:
        return {"path": str(self.folder / name), "content": content, **more}

    def applies(self, word: str) -> list[str]:
        return ["sh", "-c", f"echo {word} >> {self.applied}"]

    def keep(self, *options: str, **arguments: Any) -> tuple[int, dict[str, Any], str]:
        return modules.run("machine_files", {"notes": str(self.folder / "notes"), **arguments}, *options)

    def log(self) -> list[str]:
        return self.applied.read_text().split() if self.applied.is_file() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_files_are_written_with_their_modes_and_count_once(machine: Machine):
    files = [machine.file(name, "a = 1\n", mode="0600", apply=machine.applies("read")) for name in ("one", "two")]
    code, result, printed = machine.keep(files=files)
    assert (code, result["changed"]) == (0, True), printed
    assert (machine.folder / "one").read_text() == "a = 1\n"
    assert (machine.folder / "two").stat().st_mode & 0o777 == 0o600
    assert machine.log() == ["read"]
    code, result, printed = machine.keep(files=files)
    assert (code, result["changed"], machine.log()) == (0, False, ["read"]), printed


def test_what_was_written_and_did_not_get_to_count_counts_with_the_next_run(machine: Machine):
    (machine.folder / "one").write_text("a = 1\n")
    files = [machine.file("one", "a = 1\n", apply=["false"])]
    code, result, _printed = machine.keep(files=files)
    assert code != 0
    assert "does not count yet" in result["msg"]
    files = [machine.file("one", "a = 1\n", apply=machine.applies("read"))]
    assert machine.keep(files=files)[1]["changed"]
    assert machine.log() == ["read"]


def test_a_file_that_would_not_be_valid_leaves_all_as_it_was(machine: Machine):
    files = [
        machine.file("one", "fine\n", apply=machine.applies("read")),
        machine.file("two", "broken\n", validate=["grep", "--quiet", "fine", "%s"]),
    ]
    code, result, _printed = machine.keep(files=files, folders=[{"path": str(machine.folder / "folder")}])
    assert code != 0
    assert f"{machine.folder}/two would not be valid, and nothing was written" in result["msg"]
    assert os.listdir(machine.folder) == []


def test_check_mode_shows_and_writes_nothing(machine: Machine):
    (machine.folder / "one").write_text("a = 1\n")
    files = [machine.file("one", "a = 2\n", apply=machine.applies("read"))]
    secret = str(machine.folder / "secret")
    code, result, printed = machine.keep("--check", "--diff", files=files, passwords=[secret])
    assert (code, result["changed"]) == (0, True), printed
    assert "a = 2" in printed
    assert os.listdir(machine.folder) == ["one"]


def test_a_password_is_made_once_and_never_shown(machine: Machine):
    path = machine.folder / "secrets" / "app"
    wanted = {"folders": [{"path": str(path.parent), "mode": "0700"}], "passwords": [str(path)]}
    code, result, printed = machine.keep("--diff", "-vvv", **wanted)
    first = path.read_text()
    assert (code, len(first), path.stat().st_mode & 0o777) == (0, 48, 0o600), printed
    assert first not in printed
    again = machine.keep(**wanted)[1]
    assert (again["changed"], path.read_text()) == (False, first)
    assert again["digests"] == result["digests"]


def test_a_password_that_passes_is_told_of_and_never_made(machine: Machine):
    passing = [str(machine.folder / name) for name in ("app.new", "app.old")]
    (machine.folder / "app.old").write_text("open sesame")
    code, result, printed = machine.keep(passwords_passing=passing)
    assert (code, result["changed"]) == (0, False), printed
    assert result["digests"] == {passing[1]: hashlib.sha256(b"open sesame").hexdigest()}
    assert not (machine.folder / "app.new").exists()


def test_a_folder_without_a_mode_keeps_its_own(machine: Machine):
    path = machine.folder / "data"
    path.mkdir(mode=0o700)
    assert not machine.keep(folders=[{"path": str(path)}])[1]["changed"]
    assert machine.keep(folders=[{"path": str(path), "mode": "0755"}])[1]["changed"]
    assert path.stat().st_mode & 0o777 == 0o755
