"""The modules, run as Ansible runs them."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import stat
import tempfile
import types
from pathlib import Path

import ansible.module_utils
import pytest

from tests.modules import ROOT, run
from tests.unit.rendering import POSTGRES, PROJECTS, REDIS, write

pytestmark = pytest.mark.compose


@pytest.fixture
def django(tmp_path):
    return {
        "project_src": str(PROJECTS / "django"),
        "dest": str(tmp_path / "Dockerrun.aws.json"),
        "connections": {"db": POSTGRES, "redis": REDIS},
    }


def test_a_first_run_writes_and_a_second_changes_nothing(django, tmp_path):
    code, result, _printed = run("dockerrun", django)
    assert code == 0
    assert result["changed"]
    assert result["containers"] == ["celery", "web"]
    assert result["dest"] == django["dest"]
    assert result["front_door"] == "web"
    assert {"service": "web", "variable": "DATABASE_URL", "field": "url", "backing": "db"} in result["bound"]
    assert stat.S_IMODE(Path(django["dest"]).stat().st_mode) == 0o644
    before = Path(django["dest"]).stat().st_mtime_ns
    code, result, _printed = run("dockerrun", django)
    assert (code, result["changed"]) == (0, False)
    assert Path(django["dest"]).stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["Dockerrun.aws.json"]


def test_check_mode_says_what_would_change_and_writes_nothing(django):
    code, result, printed = run("dockerrun", django, "--check", "--diff")
    assert (code, result["changed"]) == (0, True)
    assert '+      "image": "shop/web:1"' in printed
    assert not Path(django["dest"]).exists()


def test_a_change_shows_as_a_readable_difference(django):
    run("dockerrun", django)
    _code, result, printed = run("dockerrun", {**django, "images": {"web": "shop/web:2"}}, "--diff")
    assert result["changed"]
    assert '-      "image": "shop/web:1"' in printed
    assert '+      "image": "shop/web:2"' in printed


def test_mode_and_a_directory_as_destination(django, tmp_path):
    code, result, _printed = run("dockerrun", {**django, "dest": str(tmp_path), "mode": "0640"})
    assert code == 0
    assert result["dest"] == str(tmp_path / "Dockerrun.aws.json")
    assert stat.S_IMODE((tmp_path / "Dockerrun.aws.json").stat().st_mode) == 0o640


def test_the_compose_format_hides_its_password_from_others_and_from_the_output(django, tmp_path):
    plain = {**POSTGRES, "password": "s3cr3t-word-of-the-day", "password_ref": None, "url_ref": None}
    arguments = {
        **django,
        "dest": str(tmp_path / "docker-compose.yml"),
        "format": "compose",
        "connections": {"db": plain, "redis": REDIS},
        "authentication": {"bucket": "keys", "key": "config.json"},
    }
    code, _result, printed = run("dockerrun", arguments, "-vvv", "--diff")
    assert code == 0
    assert "s3cr3t-word-of-the-day" not in printed.replace(json.dumps(arguments), "")
    written = tmp_path / "docker-compose.yml"
    assert "s3cr3t-word-of-the-day" in written.read_text()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    version_3 = json.loads((tmp_path / "Dockerrun.aws.json").read_text())
    assert version_3 == {"AWSEBDockerrunVersion": "3", "Authentication": {"bucket": "keys", "key": "config.json"}}


def test_without_a_destination_the_content_is_returned_and_nothing_written(django, tmp_path):
    code, wanted, _printed = run("dockerrun", django)
    assert code == 0
    (tmp_path / "Dockerrun.aws.json").rename(tmp_path / "wanted")
    code, result, _printed = run("dockerrun", {key: value for key, value in django.items() if key != "dest"})
    assert code == 0
    assert (result["changed"], result["text"]) == (False, (tmp_path / "wanted").read_text())
    assert "dest" not in result
    assert result["containers"] == wanted["containers"]
    assert not (tmp_path / "Dockerrun.aws.json").exists()
    code, result, _printed = run("dockerrun", {key: value for key, value in django.items() if key != "dest"} | {"format": "compose"})
    assert code != 0
    assert "dest" in result["msg"]


def test_strict_turns_a_loss_into_an_error_and_writes_nothing(tmp_path):
    folder = write(tmp_path, "services:\n  a: {image: 'x/a:1', pid: host}\n")
    arguments = {"project_src": str(folder), "dest": str(tmp_path / "out.json")}
    code, _result, printed = run("dockerrun", arguments)
    assert code == 0
    assert "[WARNING]: a: pid is not carried" in printed
    (tmp_path / "out.json").unlink()
    code, result, _printed = run("dockerrun", {**arguments, "strict": True})
    assert code != 0
    assert "pid is not carried" in result["msg"]
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"project_src": "/nowhere"}, "/nowhere is not a directory"),
        ({"files": ["other.yaml"]}, "other.yaml does not exist"),
        ({"env_files": ["no.env"]}, "no.env does not exist"),
        ({"dest": "/nowhere/Dockerrun.aws.json"}, "/nowhere does not exist"),
        ({"default_memory": 2}, "below the 6 MiB"),
        ({"connections": {"db": {"host": "x", "prot": 1}}}, "did you mean 'port'"),
        ({"connections": {"db": "postgres://x"}}, "connections.db"),
        ({"images": {"web": ""}}, "images.web"),
        ({"images": {"web": ["x"]}}, "images.web"),
        ({"format": "1"}, "single container"),
        ({"format": "4"}, "format"),
    ],
)
def test_bad_parameters_get_one_clear_message(django, change, words):
    code, result, printed = run("dockerrun", {**django, **change})
    assert code != 0
    assert words in result["msg"]
    assert "Traceback" not in printed
    assert not Path(django["dest"]).exists()


def test_a_destination_that_cannot_be_replaced_is_said(django):
    Path(django["dest"]).mkdir()
    (Path(django["dest"]) / "Dockerrun.aws.json").mkdir()
    code, result, printed = run("dockerrun", django)
    assert code != 0
    assert "Dockerrun.aws.json" in result["msg"]
    assert "Traceback" not in printed


def test_a_faulty_file_is_reported_with_lines(tmp_path):
    path = tmp_path / "Dockerrun.aws.json"
    path.write_text('{\n  "AWSEBDockerrunVersion": 2,\n  "containerDefintions": []\n}\n')
    code, result, _printed = run("dockerrun_info", {"path": str(path)})
    assert (code, result["changed"], result["version"]) == (0, False, 2)
    assert result["errors"][1] == f"{path}:3: unknown key 'containerDefintions'; did you mean 'containerDefinitions'?"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"hello"), ":1:"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "no text in UTF-8"),
        (lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 100 * 1024 * 1024), "104857600 bytes"),
        (lambda path: os.mkfifo(path), "no regular file"),
    ],
)
def test_what_is_no_dockerrun_fails_in_words(tmp_path, make, words):
    path = tmp_path / "Dockerrun.aws.json"
    make(path)
    code, result, printed = run("dockerrun_info", {"path": str(path)})
    assert code != 0
    assert words in result["msg"]
    assert str(path) in result["msg"]
    assert "Traceback" not in printed


def test_the_app_at_a_glance():
    code, result, _printed = run("compose_app_info", {"project_src": str(ROOT / "examples" / "fibonacci")})
    assert code == 0
    assert result["front_door"] == "nginx"
    assert {each["name"]: (each["backing"], each["version"]) for each in result["services"]} == {
        "api": (None, None),
        "nginx": (None, None),
        "worker": (None, None),
        "postgres": ("postgres", "17"),
        "redis": ("redis", "8"),
    }


def test_the_sample_app_is_rendered_for_production_without_a_loss(tmp_path):
    images = {name: f"registry.example.com/fibonacci-{name}:1" for name in ("nginx", "api", "worker")}
    arguments = {
        "project_src": str(ROOT / "examples" / "fibonacci"),
        "files": ["compose.yaml", "compose.production.yaml"],
        "dest": str(tmp_path),
        "images": images,
        "connections": {"postgres": POSTGRES, "redis": REDIS},
        "execution_role_arn": "arn:aws:iam::123456789012:role/fibonacci",
        "strict": True,
    }
    code, result, printed = run("dockerrun", arguments)
    assert code == 0, printed
    assert "WARNING" not in printed
    assert result["front_door"] == "nginx"
    document = json.loads((tmp_path / "Dockerrun.aws.json").read_text())
    assert {each["name"]: each.get("links") for each in document["containerDefinitions"]} == {"api": None, "nginx": ["api"], "worker": None}


def test_a_release_is_for_its_owner_alone_and_no_password_of_it_is_shown(django, tmp_path):
    plain = {**POSTGRES, "password": "s3cr3t-word-of-the-day", "password_ref": None, "url_ref": None}
    arguments = {"project_src": django["project_src"], "app": "shop", "release": "one", "connections": {"db": plain, "redis": REDIS}}
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    code, result, printed = run("compose_release_file", arguments, "-vvv", environment=environment)
    assert code == 0, printed
    assert "s3cr3t-word-of-the-day" not in printed.replace(json.dumps(arguments), "")
    written = Path(result["dest"])
    assert written.parent == tmp_path
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "s3cr3t-word-of-the-day" in written.read_text()
    assert set(json.loads(written.read_text())["services"]) == {"celery", "web"}


def test_a_release_for_which_there_is_no_room_is_said_and_nothing_of_it_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(ansible.module_utils, "__path__", [*ansible.module_utils.__path__, str(ROOT / "plugins" / "module_utils")])
    spec = importlib.util.spec_from_file_location("compose_release_file", ROOT / "plugins" / "modules" / "compose_release_file.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Failed(Exception):  # noqa: N818
        """How a module ends."""

    def fail_json(msg: str) -> None:
        raise Failed(msg)

    def full(*_words, **_more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(Failed, match=r"berth-release-.* cannot be written: No space left on device\. Make room"):
        module.written(types.SimpleNamespace(fail_json=fail_json), "{}")
    assert list(tmp_path.iterdir()) == []
