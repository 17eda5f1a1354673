"""Backups of a Compose project's own stores, on this machine: what is in a dump comes back, and nothing else is touched."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rehearsal import images
from rehearsal.rules import kill_tree
from tests.machine.conftest import ROOT, at_length
from tests.machine.moving import closed

pytestmark = pytest.mark.docker

NAME, PASSWORD = "berth-test-laptop", "s3cret'of the laptop"
# A name and a password of the project's own; a Redis whose data is in its log of commands, and a Valkey whose data is in snapshots.
COMPOSE = f"""services:
  db:
    image: postgres:17
    environment: {{POSTGRES_USER: shop, POSTGRES_DB: shop, POSTGRES_PASSWORD: {json.dumps(PASSWORD)}}}
    volumes: [rows:/var/lib/postgresql/data]
    healthcheck: {{test: [CMD-SHELL, pg_isready --host 127.0.0.1 --username shop], interval: 1s, retries: 60}}
  queue:
    image: redis:8
    command: [redis-server, --requirepass, geheim, --appendonly, "yes"]
    volumes: [jobs:/data]
  cache:
    image: valkey/valkey:8
    volumes: [keys:/data]
volumes: {{rows: , jobs: , keys: }}
"""


@dataclass
class Laptop:
    """The project, and the folder of its backups."""

    folder: Path

    def command(self, playbook: str, **given: str) -> tuple[list[str], dict[str, str]]:
        named = {"app_name": NAME, "app_project": str(self.folder / "project"), **given}
        words = ["ansible-playbook", "-i", "inventories/local", f"playbooks/{playbook}.yml", "-e", json.dumps(named)]
        return words, {**os.environ, "BERTH_BACKUPS": str(self.folder / "backups")}

    def run(self, playbook: str, succeeds: bool = True, **given: str) -> str:
        """What a playbook says, on one line."""
        words, environment = self.command(playbook, **given)
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
        said = " ".join((done.stdout + done.stderr).split())
        assert (done.returncode == 0) is succeeds, said[-4000:]
        assert PASSWORD not in said
        return said

    def on(self, service: str, *words: str) -> str:
        command = ["docker", "exec", "--env", "REDISCLI_AUTH=geheim" if service == "queue" else "NOTHING=", f"{NAME}-{service}-1", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def sql(self, query: str, database: str = "shop") -> str:
        return self.on("db", "psql", "-U", "shop", "-qAt", "-d", database, "-c", query)

    def queue(self, *words: str) -> str:
        return self.on("queue", "redis-cli", *words)

    def cache(self, *words: str) -> str:
        return self.on("cache", "valkey-cli", *words)

    def ids(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "backups" / NAME).iterdir() if path.name[0].isdigit())


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    images.ensure(["postgres:17", "redis:8", "valkey/valkey:8"])
    found = Laptop(tmp_path_factory.mktemp("laptop"))
    (found.folder / "project").mkdir()
    (found.folder / "project" / "compose.yaml").write_text(COMPOSE)
    found.run("site")
    found.sql("create table sold (number int primary key); insert into sold select generate_series(1, 1000)")
    found.sql("create role reader login password 'x'; grant select on sold to reader")
    found.queue("set", "job", "first")
    found.cache("set", "page", "old", "ex", "5000")
    yield found
    subprocess.run(["docker", "compose", "--project-name", NAME, "down", "--volumes"], capture_output=True, check=False)
    subprocess.run(["docker", "rm", "--force", "--volumes", f"{NAME}-queue-restored"], capture_output=True, check=False)


def test_a_backup_is_complete_and_nobody_elses_to_read(laptop: Laptop):
    assert "no backup yet" in laptop.run("status")
    said = laptop.run("backup")
    assert laptop.ids()[-1] in said and "db (postgres 17" in said and "queue (redis" in said and "cache (valkey 8" in said
    assert f"the newest backup is {laptop.ids()[-1]}" in laptop.run("status")
    assert (laptop.folder / "backups" / NAME / laptop.ids()[-1]).stat().st_mode & 0o077 == 0


def test_what_is_restored_stands_beside_and_takes_the_place_when_it_is_told(laptop: Laptop):
    laptop.sql("delete from sold where number <= 500; insert into sold values (5000)")
    said = laptop.run("restore", restore_to="latest")
    assert "it lacks what was written since" in said and "psql -U shop shop_restored" in said
    assert laptop.sql("select count(*) from sold", "shop_restored") == "1000"
    assert laptop.sql("select count(*) from sold") == "501"
    assert "Nothing was touched" in laptop.run("restore", succeeds=False, restore="another")
    with closed({"postgres": {"project": NAME, "service": "db", "engine": "postgres"}}):
        assert "since its data was moved away with playbooks/migrate.yml" in laptop.run("restore", succeeds=False, restore=NAME)
        assert laptop.sql("select count(*) from sold") == "501"
    # A client that is connected all the time comes back to the other database by the same name.
    client = subprocess.Popen(["docker", "exec", f"{NAME}-db-1", "psql", "-U", "shop", "-c", "select pg_sleep(60)"], stderr=subprocess.PIPE)
    said = laptop.run("restore", restore=NAME)
    assert client.wait(20) != 0
    assert "It is served now. What was in its place is the databases" in said
    assert laptop.sql("select count(*), max(number) from sold") == "1000|1000"
    assert laptop.sql("select has_table_privilege('reader', 'sold', 'select')") == "t"
    aside = laptop.sql("select datname from pg_database where datname ~ '^shop_before'")
    assert laptop.sql("select count(*) from sold", aside) == "501"
    assert aside in laptop.run("restore", restore_forget=NAME)
    assert laptop.sql("select count(*) from pg_database where datname ~ 'before|restored'") == "0"


@pytest.mark.parametrize("service", ["queue", "cache"])
def test_keys_come_back_and_stay_over_a_restart(laptop: Laptop, service: str):
    ask = getattr(laptop, service)
    name = {"queue": "job", "cache": "page"}[service]
    before = ask("get", name)
    ask("del", name)
    ask("set", "later", "1")
    laptop.run("restore", restore_store=service, restore_to="latest")
    assert ask("keys", "*") == "later"
    with closed({"redis": {"project": NAME, "service": service, "engine": "redis"}}):
        assert "since its data was moved away" in laptop.run("restore", succeeds=False, restore_store=service, restore=NAME)
        assert ask("set", "later", "2").startswith("NOREPLICAS")
    said = laptop.run("restore", restore_store=service, restore=NAME)
    assert "It is served now" in said
    assert (ask("keys", "*"), ask("get", name)) == (name, before)
    subprocess.run(["docker", "restart", f"{NAME}-{service}-1"], capture_output=True, check=True)
    time.sleep(1)
    assert ask("keys", "*") == name
    if service == "cache":
        assert 0 < int(ask("ttl", name)) <= 5000
    assert "before-" in laptop.run("restore", restore_store=service, restore_forget=NAME)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("2030-01-01T00:00:00Z", "which is in the future"),
        ("2020-01-01T00:00:00Z", "a time before that cannot be restored"),
        ("the-last-one", "give latest, a time such as"),
    ],
)
def test_what_cannot_be_restored_is_refused(laptop: Laptop, wanted: str, said: str):
    assert said in laptop.run("restore", succeeds=False, restore_to=wanted)


def test_one_of_two_of_a_kind_has_to_be_named(laptop: Laptop):
    said = laptop.run("restore", succeeds=False, restore_store="redis", restore_to="latest")
    assert "backing services are cache, db and queue. Name one of them" in said


def test_a_damaged_or_newer_backup_is_found_first(laptop: Laptop):
    laptop.run("backup")
    folder = laptop.folder / "backups" / NAME / laptop.ids()[-1]
    dump = next(path for path in (folder / "db").iterdir() if path.stat().st_size > 1200 and path.suffix == ".dump")
    whole = dump.read_bytes()
    dump.write_bytes(whole[:900] + bytes([whole[900] ^ 1]) + whole[901:])
    assert "is not what was written then; the backup is damaged" in laptop.run("restore", succeeds=False, restore_to="latest")
    dump.write_bytes(whole)
    manifest = folder / "backup.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"version": "17', '"version": "99'))
    assert "is of Postgres 99, and db runs 17" in laptop.run("restore", succeeds=False, restore_to="latest")
    manifest.write_text(text)
    assert laptop.sql("select count(*) from pg_database where datname ~ 'restored'") == "0"


@at_length("most of a minute")
def test_killed_in_the_middle_nothing_half_done_is_taken(laptop: Laptop):
    laptop.sql("create table wide as select i, repeat(md5(i::text), 30) as text from generate_series(1, 30000) i")
    laptop.run("backup")
    for playbook, given, delay in (
        ("backup", {}, 2.4),
        ("restore", {"restore_to": "latest"}, 2.6),
        ("restore", {"restore_to": "latest"}, 3.2),
    ):
        words, environment = laptop.command(playbook, **given)
        run = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(delay)
        kill_tree(run.pid)
        run.wait()
        complete = laptop.sql(
            "select count(*) from pg_database where datname ~ 'restored' and shobj_description(oid, 'pg_database') is null"
        )
        if playbook == "restore" and complete != "0":
            assert "nothing is restored beside db" in laptop.run("restore", succeeds=False, restore=NAME)
        assert laptop.sql("select count(*) from wide") == "30000"
    laptop.run("restore", restore_to="latest", restore=NAME)
    assert laptop.sql("select count(*) from wide") == "30000"
    laptop.run("backup")
    assert not list((laptop.folder / "backups" / NAME).glob("*.partial"))


def test_destroyed_with_its_volumes_it_comes_back_from_the_last_backup(laptop: Laptop):
    laptop.run("restore", restore_forget=NAME)
    laptop.sql("insert into sold values (7777)")
    laptop.queue("set", "job", "last")
    # Stopped by hand before: what is in the volumes is dumped all the same.
    subprocess.run(["docker", "compose", "--project-name", NAME, "stop"], capture_output=True, check=True)
    said = laptop.run("destroy", destroy=NAME)
    assert f"The volumes are removed. The last backup: {laptop.ids()[-1]}" in said
    laptop.run("site")
    laptop.run("restore", restore_to="latest", restore=NAME)
    laptop.run("restore", restore_store="queue", restore_to="latest", restore=NAME)
    assert laptop.sql("select max(number) from sold") == "7777"
    assert laptop.sql("select has_table_privilege('reader', 'sold', 'select')") == "t"
    assert laptop.queue("get", "job") == "last"
