"""What cannot be deployed is known before anything is made for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from berth.foreseen import foreseen
from berth.problems import BerthError

from tests.modules import run as run_module
from tests.unit.rendering import PROJECTS, project, run, write

pytestmark = pytest.mark.compose
HOMES = ("machines", "beanstalk")
DEFAULTS: dict[str, Any] = {
    "slots": ["postgres", "redis"],
    "stores": [],
    "databases": [],
    "images": {},
    "keep": [],
    "exclude": [],
    "front_door": None,
    "environment": {},
    "accessories": [],
    "machines": 1,
    "env_files": None,
}
STORES = "\n  db: {image: 'postgres:17', environment: {POSTGRES_DB: shop}}\n  cache: {image: 'redis:8'}\n"


def asked(folder: str | Path, home: str, **given: Any) -> dict[str, Any]:
    return foreseen({**DEFAULTS, "home": home, **given}, project(folder), run)


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("name", sorted(path.name for path in PROJECTS.iterdir()))
def test_what_can_be_rendered_is_not_refused(name: str, home: str):
    try:
        found = asked(name, home)
    except BerthError as refusal:
        # The one sample that mounts a file which it has not.
        assert (name, "nginx.conf is not there" in str(refusal)) == ("everything", True)
        return
    assert found["unbound"] == []


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize(
    ("services", "given", "words"),
    [
        ("", {}, "stores alone"),
        ("  a: {image: 'x/a:1', ports: ['9000:1']}\n  b: {image: 'x/b:1', ports: ['9000:2']}", {}, "all publish host port 9000"),
        ("  a: {image: 'x/a:1'}", {"exclude": ["cach"]}, "did you mean 'cache'"),
        ("  a: {image: 'x/a:1'}", {"front_door": "a"}, "publishes no port"),
        ("  a: {image: 'x/a:1'}\n  b: {image: 'postgres:16'}", {}, "are all of the kind postgres"),
        ("  a: {image: 'x/a:1', ports: ['80:80'], volumes: ['./a.conf:/etc/a.conf:ro']}", {}, "a.conf is not there"),
        ("  a: {image: 'Not An Image'}", {}, "not an image reference"),
    ],
)
def test_what_would_end_a_deployment_is_said(tmp_path, home: str, services: str, given: dict[str, Any], words: str):
    with pytest.raises(BerthError) as refusal:
        asked(write(tmp_path, f"services:\n{services}{STORES}"), home, **given)
    assert words in str(refusal.value)


def test_an_app_that_nobody_visits_is_for_machines_alone(tmp_path):
    folder = write(tmp_path, f"services:\n  bot: {{image: 'x/bot:1', environment: {{PGHOST: db}}}}{STORES}")
    assert asked(folder, "machines")["unbound"] == []
    with pytest.raises(BerthError, match=r"publish a port of it in the Compose file .*so it runs none that nobody visits"):
        asked(folder, "beanstalk")


@pytest.mark.parametrize("home", HOMES)
def test_what_has_no_slot_leads_nowhere(tmp_path, home: str):
    folder = write(
        tmp_path, f"services:\n  a: {{image: 'x/a:1', ports: ['80:80'], environment: {{REDIS_URL: 'redis://cache', PGHOST: db}}}}{STORES}"
    )
    assert asked(folder, home)["unbound"] == []
    assert [each["variable"] for each in asked(folder, home, slots=["postgres"])["unbound"]] == ["REDIS_URL"]
    # Only what is kept is there, also where the file has more.
    assert [each["variable"] for each in asked(folder, home, stores=["redis"])["unbound"]] == ["PGHOST"]
    assert asked(folder, home, slots=["postgres"], environment={"REDIS_URL": "redis://elsewhere"})["unbound"] == []


@pytest.mark.parametrize("home", HOMES)
def test_databases_beside_the_apps_own_are_made_unless_others_are_named(tmp_path, home: str):
    text = "services:\n  a: {image: 'x/a:1', ports: ['80:80'], environment: {DB_HOST: db, DB_NAME: shop}}\n  b: {image: 'x/b:1', environment: {DB_HOST: db, DB_NAME: keys}}"
    folder = write(tmp_path, text + STORES)
    assert asked(folder, home)["unbound"] == []
    assert [each["service"] for each in asked(folder, home, databases=["other"])["unbound"]] == ["b"]


@pytest.mark.parametrize("home", HOMES)
def test_a_store_that_is_left_out_needs_no_connection(tmp_path, home: str):
    folder = write(tmp_path, f"services:\n  a: {{image: 'x/a:1', ports: ['80:80'], environment: {{PGHOST: db}}}}{STORES}")
    assert asked(folder, home, exclude=["cache"])["unbound"] == []
    assert asked(folder, home, keep=["cache"])["unbound"] == []


def test_what_keeps_data_of_which_there_is_once_is_told(tmp_path):
    folder = write(tmp_path, "services:\n  a: {image: 'x/a:1'}\n  queue: {image: 'rabbitmq:4'}\n")
    assert asked(folder, "machines", machines=2)["accessories"] == ["queue"]


def test_the_module_says_that_nothing_was_changed(tmp_path):
    given = {"project_src": str(write(tmp_path, f"services:{STORES}")), "home": "machines", "slots": ["postgres"]}
    code, result, _printed = run_module("compose_app_check", given)
    assert code != 0
    assert result["msg"].startswith("The app cannot be deployed so. ") and result["msg"].endswith(" Nothing was changed.")
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"web": {"build": "."}}}))
    assert run_module("compose_app_check", given)[1] == {"changed": False, "unbound": [], "accessories": []}
