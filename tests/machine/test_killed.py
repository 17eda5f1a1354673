"""Playbooks that are killed and run again end where an unbroken run ends: nothing twice, nothing left over, no secret lost.

By default a sample of the moments; BERTH_EVERY_MOMENT=1 takes every one, which lasts long.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from rehearsal import demo, faults
from tests.machine.account import photograph
from tests.machine.conftest import APP, EVERY, Cloud, at_length, eventually
from tests.machine.interrupted import KILLED, killed_at_change, killed_at_task, sweep_changes, sweep_tasks
from tests.machine.test_aws_home import left_over

pytestmark = pytest.mark.docker
SMALL = ("-e", "aws_profile=small")


def stage(name: str) -> tuple[str, ...]:
    return (*SMALL, "-e", f"app_stage={name}")


def typed(name: str) -> tuple[str, ...]:
    return (*stage(name), "-e", f"destroy=fibonacci-{name}")


def picture(cloud: Cloud, name: str) -> Any:
    """A stack's photograph without the stage's name."""
    return json.loads(json.dumps(photograph(cloud, f"fibonacci-{name}")).replace(f"fibonacci-{name}", "STACK"))


def ask(cloud: Cloud, name: str, path: str, body: Any = None) -> Any:
    """What the app answers by its front door. Raises :class:`OSError`."""
    found = cloud.client("elasticbeanstalk").describe_environments(EnvironmentNames=[f"berth-fibonacci-{name}"])["Environments"][0]
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"http://{found['CNAME']}{path}", data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def answers(cloud: Cloud, name: str) -> bool:
    """Whether the app answers, with both of its stores."""
    return bool(ask(cloud, name, "/readyz"))


@pytest.fixture(scope="module")
def unbroken(cloud: Cloud) -> Any:
    """What a run that nothing interrupts makes."""
    demo.bases(APP)
    done = cloud.playbook("site.yml", *stage("whole"))
    assert done.returncode == 0, done.stdout
    whole = picture(cloud, "whole")
    cloud.playbook("destroy.yml", *typed("whole"))
    return whole


@pytest.mark.skipif(EVERY, reason="every moment is taken one by one, below")
def test_killed_at_some_tasks_and_changes_and_run_again_everything_is_there_once(cloud: Cloud, unbroken: Any):
    site, gone = ("site.yml", *stage("torn")), ("destroy.yml", *typed("torn"))
    for number, done in ((24, True), (31, False)):
        assert killed_at_change(cloud, number, *site, done=done)[0] == KILLED
    assert sweep_tasks(cloud, 32, 30, *site) >= 1
    assert picture(cloud, "torn") == unbroken
    before = cloud.secrets("berth/fibonacci-torn/")
    assert sweep_tasks(cloud, 9, 28, "deploy.yml", *stage("torn"), "-e", "app_release=second") >= 1
    assert cloud.secrets("berth/fibonacci-torn/") == before
    eventually(lambda: answers(cloud, "torn"))
    assert killed_at_task(cloud, 6, *gone)[0] == KILLED
    assert sweep_changes(cloud, [23], *gone, done=True)
    assert left_over(cloud, "berth-fibonacci-torn") == []


@at_length("half an hour")
def test_killed_at_every_task_and_run_again_everything_is_there_once(cloud: Cloud, unbroken: Any):
    assert sweep_tasks(cloud, 5, 1, "site.yml", *stage("torn")) >= 40
    assert picture(cloud, "torn") == unbroken
    before = cloud.secrets("berth/fibonacci-torn/")
    assert sweep_tasks(cloud, 9, 1, "deploy.yml", *stage("torn"), "-e", "app_release=second") >= 1
    assert cloud.secrets("berth/fibonacci-torn/") == before
    eventually(lambda: answers(cloud, "torn"))
    sweep_tasks(cloud, 6, 1, "destroy.yml", *typed("torn"))
    assert left_over(cloud, "berth-fibonacci-torn") == []


@at_length("half an hour")
@pytest.mark.parametrize("done", [True, False], ids=["made, and the answer lost", "not made"])
def test_killed_at_every_change_and_run_again_everything_is_there_once(cloud: Cloud, unbroken: Any, done: bool):
    name = "late" if done else "early"
    assert len(sweep_changes(cloud, [1], "site.yml", *stage(name), done=done)) >= 60
    assert picture(cloud, name) == unbroken
    eventually(lambda: answers(cloud, name))
    assert sweep_changes(cloud, [1], "destroy.yml", *typed(name), done=done)
    assert left_over(cloud, f"berth-fibonacci-{name}") == []


def test_with_requests_throttled_failing_and_breaking_off_every_playbook_gets_through(cloud: Cloud, unbroken: Any):
    for number, kind in enumerate(("throttle", "error", "drop")):
        faults.add(kind, share=0.02, seed=number + 1)
    faults.add("stale", seconds=2)
    try:
        for playbook, more in (("site.yml", ()), ("deploy.yml", ("-e", "app_release=third")), ("status.yml", ())):
            done = cloud.playbook(playbook, *stage("rough"), *more)
            assert done.returncode == 0, done.stdout
        struck = {each["kind"]: each["done"] for each in faults.rules()}
        found = picture(cloud, "rough") | {"versions": unbroken["versions"]}
        assert cloud.playbook("destroy.yml", *typed("rough")).returncode == 0
    finally:
        faults.clear()
    assert all(struck[kind] for kind in ("throttle", "error", "drop")), struck
    assert found == unbroken
    assert left_over(cloud, "berth-fibonacci-rough") == []


@at_length("minutes")
@pytest.mark.parametrize("done", [True, False], ids=["made, and the answer lost", "not made"])
def test_a_restore_killed_at_changes_leaves_the_app_serving_until_the_restored_stores_take_over(cloud: Cloud, done: bool):
    name = "kept" if done else "held"
    demo.bases(APP)
    made = cloud.playbook("site.yml", *stage(name))
    assert made.returncode == 0, made.stdout
    eventually(lambda: answers(cloud, name))
    ask(cloud, name, "/api/values", {"index": 20})
    eventually(lambda: ask(cloud, name, "/api/values/20")["value"])
    assert cloud.playbook("backup.yml", *stage(name)).returncode == 0
    for store in ("postgres", "redis"):
        which = (*stage(name), "-e", f"restore_store={store}")
        assert sweep_changes(cloud, [1], "restore.yml", *which, "-e", "restore_to=latest", done=done)
        assert answers(cloud, name)
        assert ask(cloud, name, "/api/values/20")["value"]
        assert sweep_changes(cloud, [1], "restore.yml", *which, "-e", f"restore=fibonacci-{name}", done=done)
        assert cloud.playbook("site.yml", *stage(name)).returncode == 0
        eventually(lambda: answers(cloud, name))
        assert ask(cloud, name, "/api/values/20")["value"]
    for store in ("postgres", "redis"):
        which = (*stage(name), "-e", f"restore_store={store}")
        assert sweep_changes(cloud, [1], "restore.yml", *which, "-e", f"restore_forget=fibonacci-{name}", done=done)
    databases = [each["DBInstanceIdentifier"] for each in cloud.client("rds").describe_db_instances()["DBInstances"]]
    caches = [each["ReplicationGroupId"] for each in cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]]
    assert [each for each in databases + caches if name in each] == [f"berth-fibonacci-{name}", f"berth-fibonacci-{name}-r2"]
    assert cloud.playbook("destroy.yml", *typed(name)).returncode == 0
    assert left_over(cloud, f"berth-fibonacci-{name}") == []
