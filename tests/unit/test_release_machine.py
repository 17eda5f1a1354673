"""Which releases stay on a machine."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from berth import release_machine


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
