"""The data moves between this machine and droplets while clients write: none of what was acknowledged is missing, and both sides are alike."""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rehearsal import images, server
from rehearsal.aws.faults import kill_tree
from tests.machine.conftest import ROOT, Cloud
from tests.machine.database import Database

# Of the other way a part is in test_backup.py, which has a droplet with data.
pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not os.environ.get("BERTH_EVERY_MOMENT"), reason="five minutes; BERTH_EVERY_MOMENT=1 runs it"),
]
NAME = "moved"
DROPLETS = [{"name": "db-1", "groups": ["postgres", "redis", "app"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 2}]}]
COMPOSE = """services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: shop, POSTGRES_DB: shop, POSTGRES_PASSWORD: "geheim'1"}
    volumes: [rows:/var/lib/postgresql/data]
    healthcheck: {test: [CMD-SHELL, pg_isready --host 127.0.0.1 --username shop], interval: 1s}
  queue:
    image: redis:8
    command: [redis-server, --requirepass, geheim, --appendonly, "yes"]
    volumes: [jobs:/data]
  writer:
    image: postgres:17.7
    command: [sh, -c, "trap exit TERM; sleep infinity & wait"]
    environment:
      DATABASE_URL: "postgresql://shop:geheim%271@db/shop"
      REDIS_URL: redis://:geheim@queue:6379/0
    depends_on: {db: {condition: service_healthy}}
volumes: {rows: , jobs: }
"""
TABLES = """create table sold (number int primary key, note text, at timestamptz default now());
create table loose (writer int, number int, weight numeric, raw bytea);
create sequence tickets; select nextval('tickets') from generate_series(1, 41);
create view heavy as select * from loose where weight > 1; create index on loose (writer);
insert into sold select i, repeat(md5(i::text), 4) from generate_series(1, 5000) i;
insert into loose select 0, i, i / 7.0, decode(md5(i::text), 'hex') from generate_series(1, 100) i"""


@dataclass
class Homes:
    """The project on this machine, and on a droplet."""

    droplet: Database
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, **given: object) -> list[str]:
        told = {"app_name": NAME, "app_project": str(self.folder), "digitalocean_droplets": DROPLETS, "app_compose_keep": ["writer"]}
        homes = {"from": "inventories/local", "to": "inventories/digitalocean"}
        return ["ansible-playbook", "playbooks/migrate.yml", "-e", json.dumps({**told, **self.droplet.given, **homes, **given})]

    def move(self, phase: str, succeeds: bool = True, **given: object) -> str:
        """What a phase says, on one line."""
        words = self.command(migrate=phase, **given)
        done = subprocess.run(words, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        said = " ".join((done.stdout + done.stderr).split())
        assert (done.returncode == 0) is succeeds, said[-5000:]
        assert "geheim" not in said
        return said

    def here(self, query: str) -> str:
        """What the project's own Postgres answers. Raises :class:`OSError`."""
        words = ["docker", "exec", f"{NAME}-db-1", "psql", "-U", "shop", "-qAt", "-c", query]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    def queue(self, *words: str) -> str:
        command = ["docker", "exec", "--env", "REDISCLI_AUTH=geheim", f"{NAME}-queue-1", "redis-cli", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def keys(self, command: str) -> str:
        client = "redis-cli --tls --cacert /etc/berth/tls/ca.pem --no-auth-warning"
        password = "$(cat /etc/berth/redis/secrets/app)"
        return self.droplet.on("db-1", f"docker exec -e REDISCLI_AUTH={password} berth-redis {client} {command}").strip()


class Writers:
    """Five clients that write into the project's own Postgres, and remember what was acknowledged."""

    def __init__(self, homes: Homes) -> None:
        self.homes, self.ended, self.acknowledged = homes, threading.Event(), set()
        self.threads = [threading.Thread(target=self._write, args=(each,), daemon=True) for each in range(1, 6)]
        for each in self.threads:
            each.start()

    def _write(self, writer: int) -> None:
        number = 0
        while not self.ended.is_set():
            number += 1
            try:
                self.homes.here(f"insert into loose values ({writer}, {number}, random(), null)")
                self.acknowledged.add((writer, number))
            except (OSError, subprocess.TimeoutExpired):
                time.sleep(0.05)

    def stop(self) -> set[tuple[int, int]]:
        self.ended.set()
        for each in self.threads:
            each.join(60)
        return self.acknowledged


def written(rows: str) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in (line.split("|") for line in rows.split())}


@pytest.fixture(scope="module")
def homes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    images.ensure(["postgres:17", "postgres:17.7", "redis:8"])
    server.digitalocean()
    root = tmp_path_factory.mktemp("moved")
    folder = root / "project"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    environment = {**os.environ, **cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    given = {"digitalocean_ip_range": "10.127.0.0/20", "backup_bucket": ""}
    droplet = Database(NAME, "", environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=given)
    local = [
        "ansible-playbook",
        "-i",
        "inventories/local",
        "playbooks/site.yml",
        "-e",
        json.dumps({"app_name": NAME, "app_project": str(folder)}),
    ]
    done = subprocess.run(local, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    found = Homes(droplet, folder, environment)
    try:
        filled(found)
        droplet.run("site.yml")
        yield found
    finally:
        droplet.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")
        subprocess.run(["docker", "compose", "--project-name", NAME, "down", "--volumes"], capture_output=True, check=False)


def filled(found: Homes) -> None:
    found.here(TABLES)
    found.queue("set", "job", "first")
    found.queue("set", "soon", "x", "ex", "5000")
    found.queue("rpush", "list", "a", 'b\n"c\\')
    found.queue("hset", "hash", "field", "\x01\x02")
    found.queue("-n", "3", "sadd", "set", "1", "2")


def test_what_is_in_the_way_is_said_and_nothing_is_touched(homes: Homes):
    homes.droplet.ask("create table there_already (i int)")
    homes.keys("set there already")
    said = homes.move("check", succeeds=False)
    assert f"holds 1 tables in {NAME} already" in said and "holds 1 keys already" in said and "Nothing was touched" in said
    homes.droplet.ask("drop table there_already")
    homes.keys("del there")
    assert "Give the homes that the data moves between" in homes.move("check", succeeds=False, to="")
    assert "inventories/nowhere is no inventory" in homes.move("check", succeeds=False, to="inventories/nowhere")
    said = homes.move("check")
    assert "tables of shop, for moved" in said and "redis: 5 keys" in said
    assert "nothing has been switched" in homes.move("verify", succeeds=False)


def test_a_copy_leaves_the_source_serving(homes: Homes):
    said = homes.move("copy")
    assert "A switch pauses writes for about" in said
    homes.here("insert into sold values (9001)")
    assert homes.keys("get job") == "first"


def killed_while_switching(homes: Homes) -> None:
    run = subprocess.Popen(
        homes.command(migrate="switch"), cwd=ROOT, env=homes.environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    note = Path(homes.environment["XDG_DATA_HOME"]) / "berth" / "moves" / f"{NAME}.json"
    while run.poll() is None and json.loads(note.read_text())["phase"] != "switching":
        time.sleep(0.05)
    time.sleep(random.uniform(0, 1.5))
    kill_tree(run.pid)
    run.wait()


def test_a_switch_that_is_killed_can_be_taken_back(homes: Homes):
    killed_while_switching(homes)
    assert homes.here("select count(*) from sold") == "5001"
    assert homes.move("back")
    homes.here("insert into sold values (9002)")
    assert homes.queue("set", "after", "1") == "OK"
    assert homes.keys("dbsize") == "0"
    assert "incoming" not in homes.droplet.ask("select datname from pg_database")
    homes.move("copy")


def test_with_five_writers_nothing_that_was_acknowledged_is_missing(homes: Homes):
    writers = Writers(homes)
    while len(writers.acknowledged) < 30:
        time.sleep(0.1)
    # Killed in the middle, and done again.
    killed_while_switching(homes)
    said = homes.move("switch")
    acknowledged = writers.stop()
    assert "are the same on both sides" in said and "writes paused for" in said
    moved = written(homes.droplet.ask("select writer, number from loose where writer > 0"))
    assert acknowledged <= moved
    # The old side reads, and takes no writes any more.
    assert written(homes.here("select writer, number from loose where writer > 0")) == moved
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (1)")
    assert homes.queue("set", "job", "second").startswith("NOREPLICAS")
    assert homes.droplet.ask("select last_value from tickets") == "41"
    assert homes.droplet.ask("select count(*) from heavy") > "0"
    assert (homes.keys("get job"), homes.keys("hget hash field"), homes.keys("-n 3 scard set")) == ("first", "\x01\x02", "2")
    assert 0 < int(homes.keys("ttl soon")) <= 5000
    assert homes.queue("lrange", "list", "0", "-1") == homes.keys("lrange list 0 -1")


def test_going_back_would_lose_what_was_written_since_and_is_refused(homes: Homes):
    # One value in one key is enough.
    homes.keys("hset hash field other")
    assert "redis: key hash has other content" in homes.move("back", succeeds=False)
    homes.keys("hset hash field 1")
    homes.droplet.ask("insert into sold values (9100)")
    assert "Going back would lose that" in homes.move("back", succeeds=False)
    homes.droplet.ask("insert into sold values (9101)")
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (1)")


def test_finished_it_moves_back_the_same_way(homes: Homes):
    homes.move("finish")
    # Nor does what was moved away from come to life again beside it.
    assert "no move from inventories/local to inventories/digitalocean is under way" in homes.move("back", succeeds=False)
    assert "incoming" not in homes.droplet.ask("select datname from pg_database")
    other = {"from": "inventories/digitalocean", "to": "inventories/local"}
    refused = homes.move("check", succeeds=False, **other)
    assert "tables in shop already" in refused
    homes.keys("set job third")
    homes.keys("hset hash other 1")
    homes.move("switch", migrate_replace=True, **other)
    assert homes.here("select count(*) from sold where number in (9100, 9101)") == "2"
    assert (homes.queue("get", "job"), homes.queue("hlen", "hash")) == ("third", "2")
    homes.here("insert into sold values (9200)")
    with pytest.raises(OSError, match="read-only"):
        homes.droplet.ask("insert into sold values (1)")
    homes.move("finish", **other)
