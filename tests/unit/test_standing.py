"""Whether the services of a release stand, by what Docker tells of their containers."""

from __future__ import annotations

from typing import Any

import pytest
from berth.standing import look, once_for_all, one_shots, restarts
from hypothesis import given
from hypothesis import strategies as st

SERVICES: dict[str, Any] = {
    "web": {"depends_on": {"migrate": {"condition": "service_completed_successfully"}}},
    "worker": {},
    "migrate": {"restart": "on-failure"},
    "seed": {"restart": "no"},
}
UP, DONE = ("running", "Up 5 seconds"), ("exited", "Exited (0) 2 seconds ago")
STANDING = {"web": UP, "worker": UP, "migrate": DONE, "seed": DONE}


def containers(states: dict[str, tuple[str, str]]) -> list[dict[str, str]]:
    return [{"service": name, "state": state, "status": status} for name, (state, status) in states.items()]


def test_what_is_awaited_and_what_is_not_started_again_runs_to_an_end():
    assert one_shots(SERVICES) == {"migrate", "seed"}


def test_what_says_under_deploy_when_it_is_started_again_is_taken_at_its_word():
    policies = {"none": "no", "on-failure": "on-failure:3", "any": None}
    for condition, words in policies.items():
        assert restarts({"deploy": {"restart_policy": {"condition": condition, "max_attempts": 3}}}) == words
    assert restarts({"restart": "always", "deploy": {"restart_policy": {"condition": "none"}}}) == "always"
    assert one_shots({"seed": {"deploy": {"restart_policy": {"condition": "none"}}}, "web": {}}) == {"seed"}


def test_what_is_called_a_migration_and_says_nothing_else_runs_to_an_end():
    services = {"db-migrate": {}, "seed_data": {}, "seeding": {}, "migrate-ui": {"ports": [{}]}, "migrator": {"restart": "always"}}
    assert one_shots(services) == {"db-migrate", "seed_data"}


def test_what_is_started_again_after_failures_alone_may_end_well():
    services = {"web": {}, "warm": {"restart": "on-failure"}}
    assert look(services, containers({"web": UP, "warm": DONE})) == ({}, {})
    assert "warm" in look(services, containers({"web": UP, "warm": ("exited", "Exited (1) 2 seconds ago")}))[1]


PAGES = {"type": "volume", "source": "pages", "target": "/pages"}
PUBLIC = {"type": "bind", "source": "./public/pages", "target": "/public"}
SCRIPTS = {"type": "bind", "source": "./migrations", "target": "/migrations"}


@pytest.mark.parametrize(
    "migrate, web",
    [
        ({}, {}),
        ({"volumes": [SCRIPTS]}, {}),
        ({"volumes": [{**PAGES, "read_only": True}]}, {"volumes": [PAGES]}),
        ({"volumes": [PAGES, {"type": "tmpfs", "target": "/tmp"}]}, {"volumes": [{**PAGES, "source": "others"}]}),
    ],
    ids=["nothing", "scripts of its own", "what it only reads", "a volume of its own"],
)
def test_what_changes_nothing_of_its_machine_is_run_by_one_for_all(migrate: dict[str, Any], web: dict[str, Any]):
    services = {**SERVICES, "migrate": {**SERVICES["migrate"], **migrate}, "worker": web}
    assert once_for_all(services) == {"migrate", "seed"}


@pytest.mark.parametrize(
    "migrate",
    [
        {"volumes": [PAGES]},
        {"volumes": [{"type": "bind", "source": "/var/lib/shop", "target": "/data"}]},
        {"privileged": True},
        {"network_mode": "host"},
        {"pid": "host"},
        {"volumes_from": ["web"]},
        {"volumes": [{"type": "bind", "source": ".", "target": "/srv"}]},
        {"volumes": [{"type": "bind", "source": "./public", "target": "/srv"}]},
    ],
    ids=[
        "a volume that another has",
        "a folder of the machine's",
        "privileged",
        "its network",
        "its processes",
        "another's volumes",
        "the project, with what another has",
        "a folder with what another has",
    ],
)
def test_what_prepares_its_machine_is_run_by_each(migrate: dict[str, Any]):
    services = {**SERVICES, "migrate": {**SERVICES["migrate"], **migrate}, "worker": {"volumes": [PAGES, PUBLIC]}}
    assert once_for_all(services) == {"seed"}


@pytest.mark.parametrize("needs", [{"links": ["migrate:db"]}, {"volumes_from": ["migrate:ro"]}, {"network_mode": "service:migrate"}])
def test_what_another_service_cannot_begin_without_is_run_by_each(needs: dict[str, Any]):
    assert once_for_all({**SERVICES, "worker": needs}) == {"seed"}


def test_an_app_that_runs_once_and_nothing_else_is_run_by_each():
    assert once_for_all({"seed": {"restart": "no"}}) == set()


def test_a_release_stands_when_services_run_and_what_runs_to_an_end_has():
    assert look(SERVICES, containers(STANDING)) == ({}, {})
    assert look(SERVICES, containers({**STANDING, "web": ("running", "Up 2 minutes (healthy)")})) == ({}, {})


@pytest.mark.parametrize(
    "name, state",
    [
        ("web", ("running", "Up 3 seconds (health: starting)")),
        ("worker", ("running", "Up Less than a second")),
        ("worker", ("restarting", "Restarting (1) 1 second ago")),
        ("worker", ("created", "Created")),
        ("migrate", UP),
    ],
)
def test_what_has_only_begun_is_waited_for(name: str, state: tuple[str, str]):
    waiting, failed = look(SERVICES, containers({**STANDING, name: state}))
    assert (set(waiting), failed) == ({name}, {})


@pytest.mark.parametrize(
    "name, state",
    [
        ("web", ("running", "Up 3 seconds (unhealthy)")),
        ("worker", ("exited", "Exited (0) 1 second ago")),
        ("migrate", ("exited", "Exited (1) 1 second ago")),
        ("seed", ("exited", "Exited (137) 1 second ago")),
    ],
)
def test_what_will_not_come_up_is_not_waited_for(name: str, state: tuple[str, str]):
    waiting, failed = look(SERVICES, containers({**STANDING, name: state}))
    assert (waiting, set(failed)) == ({}, {name})


def test_the_front_door_is_asked_itself_and_need_not_have_run_for_a_while():
    begun = containers({**STANDING, "web": ("running", "Up Less than a second")})
    assert look(SERVICES, begun, "web") == ({}, {})
    assert set(look(SERVICES, begun)[0]) == {"web"}


def test_a_service_of_which_none_is_wanted_is_not_missed():
    services = {"web": {}, "spare": {"deploy": {"replicas": 0}}, "two": {"scale": 2}}
    assert look(services, containers({"web": UP, "two": UP})) == ({"two": "has not been started"}, {})


@given(st.dictionaries(st.sampled_from(sorted(SERVICES)), st.tuples(st.text(), st.text())))
def test_whatever_is_told_each_service_is_accounted_for(states: dict[str, tuple[str, str]]):
    waiting, failed = look(SERVICES, containers(states))
    assert set(waiting) | set(failed) <= set(SERVICES)
    assert set(SERVICES) - set(states) <= set(waiting)
