"""What is compiled once: templates and conditions of the project's own answer as they would if each task compiled them, and nothing is kept of users'."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.modules import ROOT

TASKS: list[dict[str, Any]] = [
    {"debug": {"msg": "answer {{ word | upper }} {{ 'a\\tb' }}{{ 2 + 3 }}"}, "when": "word != 'never' and (word | length) in range(20)"},
    {"debug": {"msg": "answer never"}, "when": "word == 'never'"},
    {"debug": {"msg": "answer {{ given }}"}},
    {"debug": {"msg": "#jinja2: variable_start_string: '[%', variable_end_string: '%]'\nanswer [% word %] {{ word }}"}},
    {"assert": {"that": ["missing is not defined", "word is match('f.*')"]}},
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project, with a play of its own."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "plugins", folder / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("ansible.cfg", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "playbooks").mkdir()
    write(folder, TASKS)
    return folder


def write(project: Path, tasks: list[dict[str, Any]]) -> None:
    """Have the play do these."""
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    play = {"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}
    (project / "playbooks" / "play.yml").write_text(json.dumps([play]))


def run(project: Path, word: str = "found") -> list[str]:
    """What the play answers. A template of the user's holds a password."""
    environment = {**os.environ, "HOME": str(project.parent), "ANSIBLE_CONFIG": str(project / "ansible.cfg")}
    given = {"word": word, "given": "{{ 'open sesame' | reverse }}{{ word }}"}
    (project / "given.json").write_text(json.dumps(given))
    command = ["ansible-playbook", "-i", "localhost,", "playbooks/play.yml", "-e", "@given.json"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line.split("answer ")[1] for line in done.stdout.splitlines() if "answer " in line]


def kept(project: Path) -> dict[str, bytes]:
    """The files of what was compiled."""
    return {each.name: each.read_bytes() for each in (project / ".cache" / "templates").glob("*")}


def test_what_was_compiled_answers_as_what_is_compiled_anew(project: Path):
    first = run(project)
    assert [each.strip('"') for each in first] == ["FOUND a\\tb5", "emases nepofound", "found {{ word }}"]
    before = kept(project)
    assert len(before) == 1
    assert run(project) == first
    assert kept(project) == before
    assert [each.strip('"') for each in run(project, "former")][:2] == ["FORMER a\\tb5", "emases nepoformer"]


def test_nothing_is_kept_of_what_users_write(project: Path):
    run(project)
    (found,) = kept(project).values()
    assert b"word | upper" in found
    assert b"sesame" not in found
    (folder,) = {each.parent for each in (project / ".cache" / "templates").glob("*")}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_other_versions_have_compiled_goes(project: Path):
    other = project / ".cache" / "templates" / "of-another-version"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"")
    run(project)
    assert other.name not in kept(project) and len(kept(project)) == 1


def test_a_changed_template_answers_as_it_is_now(project: Path):
    run(project)
    write(project, [{"debug": {"msg": "answer {{ word | lower }}"}, "when": "word != 'never'"}])
    assert run(project, "FOUND") == ["found"]


@pytest.mark.parametrize("damage", [b"", b"not what was written", b"i\x00\x00\x00\x00"])
def test_half_a_file_is_none(project: Path, damage: bytes):
    first = run(project)
    (name,) = kept(project)
    (project / ".cache" / "templates" / name).write_bytes(damage)
    assert run(project) == first
    assert len(kept(project)[name]) > len(damage)


def test_a_template_that_cannot_be_compiled_is_refused_each_time(project: Path):
    write(project, [{"debug": {"msg": "answer {{ word | }}"}, "ignore_errors": True}, {"debug": {"msg": "answer {{ word }}"}}])
    for _each in range(2):
        assert run(project) == ["found"]
