"""Two Postgres on two droplets: one follows the other, takes over as planned, and after the other is lost; measured by what a client sees."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import server
from rehearsal.digitalocean import machines
from tests.machine.conftest import Cloud, eventually
from tests.machine.test_digitalocean_home import Droplets

pytestmark = pytest.mark.docker
NAME = "standby-test"
# Minutes more, which not every run has.
at_length = pytest.mark.skipif(not os.environ.get("BERTH_EVERY_MOMENT"), reason="takes minutes; BERTH_EVERY_MOMENT=1 runs it")
# The app is a client that its own image brings: it sleeps, and is asked to write.
COMPOSE = """services:
  postgres:
    image: postgres:17
  writer:
    image: postgres:17.7
    command: [sleep, infinity]
    environment:
      DATABASE_URL: postgresql://postgres@postgres/postgres
    depends_on: [postgres]
"""


@dataclass
class Pair(Droplets):
    """Two droplets with a volume and a Postgres each, the second one with the app too."""

    def run(self, playbook: str, *arguments: str, succeeds: bool = True, **more: Any) -> str:
        droplets = [
            {"name": "db-1", "groups": ["postgres"], "size": "s-1vcpu-1gb", "volumes": [{"name": "data", "size": 1}]},
            {"name": "db-2", "groups": ["postgres", "app"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 1}]},
        ]
        given = {"digitalocean_ip_range": "10.122.0.0/20", "machine_timeout": 15}
        given |= {"digitalocean_droplets": droplets, "postgres_container_synchronous": True, "app_compose_keep": ["writer"], **more}
        done = self.playbook(playbook, "-e", json.dumps(given), *arguments)
        assert (done.returncode == 0) is succeeds, done.stdout[-5000:] + done.stderr[-1000:]
        return " ".join((done.stdout + done.stderr).split())

    def ask(self, query: str, seconds: int = 5) -> str:
        """What the app's own client is answered, by way of the variables that the app has. Raises :class:`OSError`."""
        find = "docker ps --quiet --filter label=com.docker.compose.service=writer --latest"
        command = f'docker exec $({find}) sh -c \'PGCONNECT_TIMEOUT=2 timeout {seconds} psql -qAt "$DATABASE_URL" -c "{query}"\''
        words = ["docker", "exec", machines.name_of(self.droplet("db-2")["id"]), "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise OSError(done.stderr[-500:])
        return done.stdout.strip()

    def standing(self, name: str) -> str:
        return self.on(name, "docker exec -u postgres berth-postgres psql -qAt -c 'select pg_is_in_recovery()'").strip()


class Writer(threading.Thread):
    """Writes one number after another, and remembers which were acknowledged."""

    def __init__(self, pair: Pair) -> None:
        super().__init__(daemon=True)
        self.pair, self.acknowledged, self.ended = pair, [], threading.Event()
        self.gap, self._last = 0.0, time.monotonic()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            try:
                self.pair.ask(f"insert into written values ({number})")
            except (OSError, subprocess.TimeoutExpired):
                continue
            self.acknowledged.append(number)
            self.gap, self._last = max(self.gap, time.monotonic() - self._last), time.monotonic()

    def stop(self) -> list[int]:
        self.ended.set()
        self.join(30)
        return self.acknowledged


@pytest.fixture(scope="module")
def pair(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    project: Path = tmp_path_factory.mktemp("pair") / "pair"
    project.mkdir()
    (project / "compose.yaml").write_text(COMPOSE)
    server.digitalocean()
    found = Pair(NAME, "", cloud.environment, "", "digitalocean", project=project)
    found.output = found.run("site.yml")
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def test_the_second_follows_the_first_and_the_app_writes_to_the_first(pair: Pair):
    pair.ask("create table written (number int)")
    pair.ask("insert into written values (0)")
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("f", "t")
    there = "docker exec -u postgres berth-postgres psql -qAt -d standby_test -c 'select number from written'"
    assert eventually(lambda: pair.on("db-2", there).strip() == "0")
    said = pair.run("status.yml")
    assert re.search(r"db-1, primary, followed by 1", said), said
    assert re.search(r"db-2-postgres, standby, streaming", said), said


@at_length
def test_a_second_run_changes_nothing_and_shows_no_password(pair: Pair):
    secret = pair.on("db-1", "cat /etc/berth/postgres/secrets/replication").strip()
    said = pair.run("site.yml", "-vvv")
    assert len(secret) == 48
    assert secret not in said
    assert not re.search(r"changed=[1-9]", said), said[-1500:]


def test_a_planned_promotion_loses_nothing_and_the_old_primary_follows(pair: Pair):
    writer = Writer(pair)
    writer.start()
    said = pair.run("promote.yml")
    assert "db-2-postgres is the primary now, on timeline 2" in said
    eventually(lambda: pair.ask("select 1") == "1")
    acknowledged = writer.stop()
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("t", "f")
    kept = {int(each) for each in pair.ask("select number from written").split()}
    assert acknowledged
    assert set(acknowledged) <= kept
    print(f"a planned promotion: {writer.gap:.1f} s without a write")
    assert not re.search(r"changed=[1-9]", pair.run("site.yml"))


@at_length
def test_a_primary_that_cannot_be_asked_is_not_left_behind_unless_that_is_said(pair: Pair):
    pair.run("promote.yml")
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("f", "t")
    writer = Writer(pair)
    writer.start()
    eventually(lambda: len(writer.acknowledged) > 3)
    number = pair.droplet("db-1")["id"]
    begin = time.monotonic()
    machines.power(number, on=False, hard=True)
    try:
        said = pair.run("promote.yml", succeeds=False)
        assert "db-1 cannot be asked whether it is the primary" in said
        assert "-e promote_without=db-1. Nothing was changed." in said
        assert pair.standing("db-2") == "t"
        begin = time.monotonic()
        said = pair.run("promote.yml", "-e", "promote_without=db-1")
        assert "db-2-postgres is the primary now" in said
        eventually(lambda: pair.ask("insert into written values (-1) returning 1") == "1")
        print(f"without the old primary: {time.monotonic() - begin:.1f} s from the word to the first write")
        acknowledged = writer.stop()
        kept = {int(each) for each in pair.ask("select number from written").split()}
        assert set(acknowledged) <= kept
    finally:
        writer.ended.set()
        machines.power(number, on=True)


@at_length
def test_an_old_primary_that_comes_back_is_stopped_and_copied_anew(pair: Pair):
    machines.wait(pair.address("db-1"))
    eventually(lambda: pair.standing("db-1") == "f")
    said = pair.run("site.yml")
    assert "db-1 had data that db-2-postgres has gone beyond. It was moved to /mnt/data/postgres.before-" in said
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("t", "f")
    assert pair.ask("select number from written where number = -1") == "-1"
    assert not re.search(r"changed=[1-9]", pair.run("site.yml"))
