"""A cache whose keys are spread over shards, kept by the role: more and fewer of them while a cluster's client writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal import containers
from tests.machine.conftest import Cloud, at_length, eventually

pytestmark = [pytest.mark.docker, at_length("three minutes")]
NAME = "sharded"
COMPOSE = """services:
  cache:
    image: valkey/valkey:8
  web:
    image: nginx:1.28
    environment: {REDIS_URL: redis://cache:6379}
    depends_on: [cache]
"""


class Client(threading.Thread):
    """Writes one key after another by way of one node, as a cluster's client, and notes what was acknowledged and what was not."""

    def __init__(self, password: str) -> None:
        super().__init__(daemon=True)
        self.password, self.ended = password, threading.Event()
        self.acknowledged: list[int] = []
        self.refused: list[str] = []

    def ask(self, *words: str) -> str:
        # Of the first shard, which no change here takes away.
        node = next(each for each in containers.find("elasticache") if each.name.endswith(f"{NAME}-0001-001"))
        inside = ["docker", "exec", "--env", "REDISCLI_AUTH", node.name, "valkey-cli", "-c", "--tls", "--insecure"]
        done = subprocess.run(
            [*inside, *words], env={**os.environ, "REDISCLI_AUTH": self.password}, capture_output=True, text=True, check=False
        )
        return (done.stdout + done.stderr).strip()

    def run(self) -> None:
        number = 0
        while not self.ended.wait(0.05):
            number += 1
            said = self.ask("set", f"key:{number}", str(number))
            if said == "OK":
                self.acknowledged.append(number)
            else:
                self.refused.append(said)

    def stop(self) -> None:
        self.ended.set()
        self.join(30)

    def missing(self) -> list[int]:
        """Which acknowledged keys are not there."""
        return [each for each in self.acknowledged[:: max(1, len(self.acknowledged) // 60)] if self.ask("get", f"key:{each}") != str(each)]

    def shares(self) -> list[int]:
        """How many slots each primary has."""
        lines = [line.split() for line in self.ask("cluster", "nodes").splitlines()]
        found = [[part.split("-") for part in words[8:]] for words in lines if "master" in words[2]]
        return sorted(sum(int(part[-1]) - int(part[0]) + 1 for part in parts) for parts in found)


def even(shares: list[int], shards: int) -> bool:
    """Whether all slots are spread over so many primaries, to within a few hundredths."""
    return len(shares) == shards and sum(shares) == 16384 and max(shares) - min(shares) < 16384 // shards // 20


class Stack:
    """The store's playbooks."""

    def __init__(self, cloud: Cloud, project: Path) -> None:
        self.cloud, self.project = cloud, project

    def run(self, playbook: str, *arguments: str, succeeds: bool = True, **more: Any) -> str:
        given = {"app_project": str(self.project), "app_name": NAME, "aws_profile": "small", "redis_elasticache_replicas": 1, **more}
        done = self.cloud.playbook(playbook, "-e", json.dumps(given), *arguments)
        assert (done.returncode == 0) is succeeds, done.stdout[-5000:] + done.stderr[-1000:]
        return " ".join((done.stdout + done.stderr).split())

    def nodes(self) -> int:
        return len([each for each in containers.find("elasticache", f"berth-{NAME}") if each.status == "running"])


@pytest.fixture(scope="module")
def stack(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    project = tmp_path_factory.mktemp("sharded") / "project"
    project.mkdir()
    (project / "compose.yaml").write_text(COMPOSE)
    found = Stack(cloud, project)
    found.run("platform.yml")
    found.run("data_tier.yml", redis_elasticache_shards=2)
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", redis_elasticache_shards=2)


def test_keys_are_spread_and_more_shards_take_their_share_while_a_client_writes(stack: Stack):
    assert stack.nodes() == 4
    client = Client(stack.cloud.secrets(f"berth/{NAME}/redis")[f"berth/{NAME}/redis"]["password"])
    assert eventually(lambda: even(client.shares(), 2))
    client.start()
    said = stack.run("data_tier.yml", "--check", "--diff", redis_elasticache_shards=3)
    assert "keys move from shard to shard while all serve" in said
    assert even(client.shares(), 2)
    stack.run("data_tier.yml", redis_elasticache_shards=3)
    assert stack.nodes() == 6
    assert even(client.shares(), 3)
    assert "changed=0" in stack.run("data_tier.yml", redis_elasticache_shards=3)
    said = stack.run("status.yml", redis_elasticache_shards=3)
    assert "3 shards, 3 replicas, available" in said
    stack.run("data_tier.yml", redis_elasticache_shards=2)
    assert stack.nodes() == 4
    assert even(client.shares(), 2)
    client.stop()
    assert client.refused == []
    assert len(client.acknowledged) > 100
    assert client.missing() == []


def test_a_shard_whose_primary_dies_is_served_by_its_replica(stack: Stack):
    client = Client(stack.cloud.secrets(f"berth/{NAME}/redis")[f"berth/{NAME}/redis"]["password"])
    client.start()
    eventually(lambda: len(client.acknowledged) > 20)
    next(each for each in containers.find("elasticache") if each.name.endswith(f"{NAME}-0002-001")).kill()
    before = len(client.acknowledged)
    eventually(lambda: stack.nodes() == 4)
    eventually(lambda: len(client.acknowledged) > before + 40)
    client.stop()
    assert client.missing() == []


def test_a_snapshot_of_shards_starts_as_a_throwaway_group(stack: Stack):
    stack.run("backup.yml", redis_elasticache_shards=2)
    assert re.search(r"it starts, and holds \d+ keys", stack.run("drill.yml", redis_elasticache_shards=2))


def test_from_shards_to_none_is_refused_with_the_way_to_do_it(stack: Stack):
    said = stack.run("data_tier.yml", succeeds=False)
    assert "has 2 shards" in said and "make a group of another name from a snapshot of this one" in said
    said = stack.run("data_tier.yml", succeeds=False, redis_elasticache_shards=2, redis_elasticache_copy_region="eu-west-1")
    assert "a snapshot of several shards is several files" in said
