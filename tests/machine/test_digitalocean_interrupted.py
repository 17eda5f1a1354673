"""Playbooks on droplets that are killed, refused and cut off, and run again, end where an unbroken run ends: nothing twice, nothing left over."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rehearsal import faults, server, stack
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.interrupted import sweep_changes, sweep_tasks

pytestmark = [pytest.mark.docker, at_length("an hour")]
NAME = "torn"
DROPLETS = [
    {"name": "app-1", "groups": ["app"], "size": "s-1vcpu-1gb"},
    {"name": "app-2", "groups": ["app", "postgres"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 2}]},
]
COMPOSE = """services:
  postgres:
    image: postgres:17
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
  web:
    image: nginx:1.28
    ports: ["80:80"]
    environment: {DATABASE_URL: postgresql://postgres@postgres/postgres}
    depends_on: [postgres]
"""
GONE = ("-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


class Torn(NamedTuple):
    """The rehearsed DigitalOcean, the variables of every run, and what was there before the first."""

    cloud: Cloud
    told: tuple[str, ...]
    empty: dict[str, Any]


@pytest.fixture(scope="module")
def torn(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torn]:
    server.digitalocean(["nginx:1.28"])
    project: Path = tmp_path_factory.mktemp("torn") / "project"
    project.mkdir()
    (project / "compose.yaml").write_text(COMPOSE)
    told = {"app_project": str(project), "app_name": NAME, "digitalocean_droplets": DROPLETS, "digitalocean_ip_range": ip_range(5)}
    told["backup_bucket"] = ""
    there = Cloud(cloud.environment, "inventories/digitalocean")
    yield Torn(there, ("-e", json.dumps(told)), picture())
    there.playbook("destroy.yml", "-e", json.dumps(told), *GONE)


def picture() -> dict[str, Any]:
    """What of the stack there is in the account, without ids, addresses and times."""
    account = stack.account()
    names = {each["id"]: each["name"] for each in account.droplets.list(per_page=100)["droplets"]}
    balancers = account.load_balancers.list()["load_balancers"]
    return {
        "droplets": sorted(
            (each["name"], each["size_slug"], each["status"], sorted(each["tags"]), len(each["volume_ids"]))
            for each in account.droplets.list(per_page=100)["droplets"]
        ),
        "volumes": sorted(
            (each["name"], each["size_gigabytes"], [names[number] for number in each["droplet_ids"]])
            for each in account.volumes.list()["volumes"]
        ),
        "firewalls": sorted(
            (each["name"], sorted(each["tags"]), len(each["inbound_rules"])) for each in account.firewalls.list()["firewalls"]
        ),
        "balancers": sorted((each["name"], each["tag"], each["status"], len(each["droplet_ids"])) for each in balancers),
        "vpcs": sorted(each["name"] for each in account.vpcs.list()["vpcs"]),
        "keys": len(account.ssh_keys.list()["ssh_keys"]),
    }


def serves() -> bool:
    """Whether the app answers by its front door."""
    address = stack.account().load_balancers.list()["load_balancers"][0]["ip"]
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as response:
        return bool(response.status == 200)


@pytest.fixture(scope="module")
def unbroken(torn: Torn) -> dict[str, Any]:
    """What a run that nothing interrupts makes, and leaves."""
    cloud, told, empty = torn
    done = cloud.playbook("site.yml", *told)
    assert done.returncode == 0, done.stdout[-5000:]
    eventually(serves)
    whole = picture()
    done = cloud.playbook("destroy.yml", *told, *GONE)
    assert done.returncode == 0, done.stdout[-5000:]
    assert picture() | {"keys": 0} == empty | {"keys": 0}
    return whole


@pytest.mark.parametrize("done", [True, False], ids=["made, and the answer lost", "not made"])
def test_killed_at_every_change_and_run_again_everything_is_there_once(torn: Torn, unbroken: dict[str, Any], done: bool):
    cloud, told, empty = torn
    died = sweep_changes(cloud, [1], "site.yml", *told, done=done)
    print(f"site.yml died at {died}")
    assert len(died) > 8
    assert picture() == unbroken
    eventually(serves)
    died = sweep_changes(cloud, [1], "destroy.yml", *told, *GONE, done=done)
    print(f"destroy.yml died at {died}")
    assert died
    assert picture() | {"keys": 0} == empty | {"keys": 0}


@pytest.mark.parametrize("done", [False, True], ids=["before it is done", "after it is done"])
def test_killed_while_droplets_are_resized_all_are_on_and_serve(torn: Torn, unbroken: dict[str, Any], done: bool):
    cloud, told, _empty = torn
    assert cloud.playbook("site.yml", *told).returncode == 0
    larger = ("-e", json.dumps({"digitalocean_droplets": [{**each, "size": "s-2vcpu-4gb"} for each in DROPLETS]}))
    died = sweep_changes(cloud, [1], "site.yml", *told, *larger, done=done)
    print(f"site.yml died at {died}")
    # Of each droplet: away from the visitors, off, resized, on, to them again.
    assert len(died) >= 10
    assert picture() == unbroken | {"droplets": [(each[0], "s-2vcpu-4gb", *each[2:]) for each in unbroken["droplets"]]}
    assert eventually(serves)
    assert cloud.playbook("destroy.yml", *told, *GONE).returncode == 0


# Together these are every task of each.
@pytest.mark.parametrize("first", range(1, 7))
def test_killed_at_tasks_and_run_again_the_app_serves(torn: Torn, unbroken: dict[str, Any], first: int):
    cloud, told, empty = torn
    assert sweep_tasks(cloud, first, 6, "site.yml", *told) > 8
    assert picture() == unbroken
    eventually(serves)
    release = ("-e", json.dumps({"app_env": {"RELEASE": "2"}}))
    assert sweep_tasks(cloud, 1 + first % 3, 3, "deploy.yml", *told, *release) > 3
    eventually(serves)
    assert sweep_tasks(cloud, 1 + first % 2, 2, "destroy.yml", *told, *GONE) > 1
    assert picture() | {"keys": 0} == empty | {"keys": 0}


def test_throttled_and_failing_it_gets_through_and_what_is_cut_off_is_said_and_goes_on_when_run_again(torn: Torn, unbroken: dict[str, Any]):
    cloud, told, _empty = torn
    for number, kind in enumerate(("throttle", "error")):
        faults.add(kind, share=0.05, seed=number + 1, operation="digitalocean:*")
    try:
        for playbook in ("site.yml", "status.yml"):
            done = cloud.playbook(playbook, *told)
            assert done.returncode == 0, done.stdout[-6000:]
        assert all(each["done"] for each in faults.rules())
        assert picture() == unbroken
        faults.clear()
        # The client does not ask twice for what may have been done.
        for kind in ("drop", "lose"):
            faults.add(kind, share=0.1, seed=3, operation="digitalocean:*")
        for _each in range(6):
            done = cloud.playbook("deploy.yml", *told, "-e", json.dumps({"app_env": {"RELEASE": "3"}}))
            said = " ".join((done.stdout + done.stderr).split())
            assert "Traceback" not in said
            if done.returncode == 0:
                break
            assert "DigitalOcean's API cannot be reached" in said, said[-4000:]
        assert done.returncode == 0, said[-4000:]
    finally:
        faults.clear()
    eventually(serves)
    assert picture() == unbroken
    assert re.search(r"failed=0", cloud.playbook("destroy.yml", *told, *GONE).stdout)
