"""What is made ready once: modules are packed again exactly when their files have changed, and no run meets what was packed of others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.modules import ROOT

PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        "tasks": [
            {"dockerrun_info": {"path": "Dockerrun.aws.json"}, "register": "found"},
            {"debug": {"msg": "version {{ found.version }}"}},
        ],
    }
]
# What the module says of the file's version, and something of the same length.
SAID, OTHER = "found.version", "'elevenchars'"


@pytest.fixture
def project(tmp_path):
    """A copy of the project, whose one play asks a module that is packed for a process of its own."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "plugins", folder / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "ansible.cfg", folder)
    (folder / "play.json").write_text(json.dumps(PLAY))
    (folder / "Dockerrun.aws.json").write_text(
        json.dumps({"AWSEBDockerrunVersion": "1", "Image": {"Name": "shop/web:1"}, "Ports": [{"ContainerPort": 80}]})
    )
    return folder


@pytest.fixture
def answer(project, tmp_path):
    """Runs the play, and gives what it says of the module's answer."""

    def run():
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "ANSIBLE_KEEP_REMOTE_FILES": "1",
            "ANSIBLE_CONFIG": str(project / "ansible.cfg"),
        }
        done = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "play.json"], cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return next(line.split("version ")[1].strip("' ") for line in done.stdout.splitlines() if "msg: " in line)

    return run


def kept(project):
    return sorted((project / ".cache" / "modules").glob("*/*"))


def change(project, *, unseen=False):
    """Have the module answer something else. ``unseen``: its file has the size and the time that it had."""
    module = project / "plugins" / "modules" / "dockerrun_info.py"
    before, text = module.stat(), module.read_text()
    assert text.count(SAID) == 1
    module.write_text(text.replace(SAID, OTHER))
    if unseen:
        os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_run_takes_what_one_before_packed(project, answer):
    assert answer() == "1"
    first = kept(project)
    assert [each.name for each in first] == ["ansible.legacy.dockerrun_info-ZIP_DEFLATED-none"]
    change(project, unseen=True)
    assert answer() == "1"
    assert kept(project) == first


def test_what_was_packed_of_ansible_s_own_modules_is_kept_with_them(project, answer):
    play = [{"ping": {}, "vars": PLAY[0]["vars"]}, *PLAY[0]["tasks"]]
    (project / "play.json").write_text(json.dumps([PLAY[0] | {"tasks": play}]))
    assert answer() == "1"
    first = kept(project)
    assert [each.name for each in first] == ["ansible.legacy.dockerrun_info-ZIP_DEFLATED-none", "ansible.modules.ping-ZIP_DEFLATED-none"]
    packed = [each.stat().st_mtime_ns for each in first]
    assert answer() == "1"
    assert [each.stat().st_mtime_ns for each in kept(project)] == packed


def test_a_changed_module_is_packed_anew_and_the_old_one_goes(project, answer):
    answer()
    first = kept(project)
    change(project)
    assert answer() == "elevenchars"
    assert len(kept(project)) == 1
    assert kept(project) != first


def test_nothing_is_kept_of_what_changed_meanwhile(project, answer):
    play = [*PLAY[0]["tasks"], {"command": "touch plugins/modules/dockerrun_info.py"}]
    (project / "play.json").write_text(json.dumps([PLAY[0] | {"tasks": play}]))
    assert answer() == "1"
    assert not kept(project)


def test_a_folder_that_nothing_can_be_kept_in_is_no_error(project, answer):
    (project / ".cache").write_text("in the way")
    assert answer() == "1"


def test_only_the_user_reads_what_is_kept(project, answer):
    answer()
    assert {each.parent.stat().st_mode & 0o777 for each in kept(project)} == {0o700}
