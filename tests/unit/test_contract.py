"""The contract of a slot: whichever role fulfils it, what it publishes has the same shape, and the app can be led there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from berth.connections import read_connection

ROLES = Path(__file__).parents[2] / "roles"
FACTS = {"postgres": "postgres_connection", "redis": "redis_connection", "platform": "platform_connection", "app": "app_url"}
# What every connection of a slot says; a password, or a reference to one.
KEYS = {"postgres": {"engine", "host", "port", "database", "databases", "username", "tls"}, "redis": {"engine", "host", "port", "tls"}}
SLOT_ROLES = [(slot, path.name) for slot in FACTS for path in sorted(ROLES.glob(f"{slot}_*"))]


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every task, also within blocks."""
    for each in node or []:
        yield each
        for part in ("block", "rescue", "always"):
            yield from tasks(each.get(part))


def published(role: str, fact: str) -> list[Any]:
    """What a role's tasks publish under a fact's name."""
    found = []
    for path in sorted((ROLES / role / "tasks").glob("*.yml")):
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
            given = task.get("ansible.builtin.set_fact") or {}
            if fact in given:
                found.append(given[fact])
    return found


@pytest.mark.parametrize(("slot", "role"), SLOT_ROLES, ids=[role for _slot, role in SLOT_ROLES])
def test_a_role_publishes_what_its_slot_promises(slot: str, role: str):
    if role == "platform_local":
        pytest.skip("this machine has nothing to look up")
    found = published(role, FACTS[slot])
    assert found, f"{role} publishes no {FACTS[slot]}"
    # In check mode a role may say what would be, in one expression.
    for each in [each for each in found if isinstance(each, dict)]:
        if slot in KEYS:
            assert set(each) >= KEYS[slot]
            assert {"password", "password_ref"} & set(each)
            plain = {**each, "host": "10.0.0.1", "port": 5432, "engine": slot, "tls": "require", "databases": [], "url_refs": {}}
            assert read_connection(slot, plain, slot).authenticated


@pytest.mark.parametrize(("slot", "role"), [pair for pair in SLOT_ROLES if pair[0] in KEYS], ids=lambda each: str(each))
def test_a_password_that_is_published_is_never_shown(slot: str, role: str):
    for path in (ROLES / role / "tasks").glob("*.yml"):
        for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
            given = (task.get("ansible.builtin.set_fact") or {}).get(FACTS[slot], "")
            if "password" in given:
                assert task.get("no_log") is True


@pytest.mark.parametrize(
    ("slot", "more"),
    [
        ("app", {"check", "prepare", "fetch", "rollback", "endpoint"}),
        ("platform", {"tidy", "alarm"}),
        ("postgres", {"drill", "endpoint"}),
        ("redis", {"drill", "endpoint"}),
    ],
)
def test_roles_of_a_slot_have_the_same_entry_points(slot: str, more: set[str]):
    for _slot, role in [pair for pair in SLOT_ROLES if pair[0] == slot]:
        assert {path.stem for path in (ROLES / role / "tasks").glob("*.yml")} >= more, role
