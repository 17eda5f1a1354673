"""Another major release of Postgres, and Valkey in place of Redis: beside the running stores, as another stage of the same inventory."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rehearsal import server
from tests.machine.conftest import ROOT, Cloud, at_length, eventually, ip_range
from tests.machine.database import READER, Database, Writer, project

NAME, STAGE = "aged", "next"
DROPLETS = [
    {"name": "db-1", "groups": ["postgres", "redis", "app"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 2}]},
]
# As group_vars would say it for both.
COMMON = {
    "app_name": NAME,
    "app_compose_keep": ["writer", "reader"],
    "backup_bucket": "",
    "postgres_container_settings": {"wal_level": "logical"},
    "postgres_container_version": f"{{{{ '17.7' if app_stage == '{STAGE}' else '15.14' }}}}",
    "redis_container_image": f"{{{{ 'valkey/valkey:8.1' if app_stage == '{STAGE}' else 'redis:8.2.2' }}}}",
}
OLD = {"digitalocean_ip_range": ip_range(13), "app_stage": ""}
NEW = {"digitalocean_ip_range": ip_range(14), "app_stage": STAGE}
TABLES = (
    "create table written (number int primary key); create table kinds (id serial primary key, body jsonb, at timestamptz default now(), "
    "span int4range, raw bytea); insert into kinds (body, span, raw) select jsonb_build_object(chr(110), i), int4range(i, i + 5), "
    "decode(md5(i::text), chr(104) || chr(101) || chr(120)) from generate_series(1, 2000) i; create index on kinds using gin (body)"
)
pytestmark = [pytest.mark.docker, at_length("five minutes")]


class Both(NamedTuple):
    """The running stage, and the one that is to take over."""

    old: Database
    new: Database

    def move(self, phase: str, succeeds: bool = True, **more: Any) -> str:
        """What a phase of the move says, on one line."""
        given = {"from": "inventories/digitalocean", "to": f"inventories/digitalocean@{STAGE}", "migrate": phase, **COMMON, **more}
        given |= {"app_project": str(self.old.project), "digitalocean_droplets": DROPLETS}
        command = ["ansible-playbook", "playbooks/migrate.yml", "-e", json.dumps(given)]
        settings = {**os.environ, **self.old.environment}
        done = subprocess.run(command, cwd=ROOT, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is succeeds, done.stdout[-5000:] + done.stderr[-1000:]
        return " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def both(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    server.digitalocean(["postgres:15.14", "postgres:17.7", "valkey/valkey:8.1"])
    root: Path = tmp_path_factory.mktemp("aged")
    folder = project(root / "project", READER)
    environment = {**cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    old, new = (
        Database(name, "", environment, "", "digitalocean", project=folder, droplets=DROPLETS, given={**COMMON, **given})
        for name, given in ((NAME, OLD), (f"{NAME}-{STAGE}", NEW))
    )
    old.run("site.yml")
    yield Both(old, new)
    Writer.stop_all()
    for each in (old, new):
        each.run("destroy.yml", "-e", f"destroy={each.name}", "-e", f"destroy_volumes={each.name}")


def test_what_cannot_read_the_data_is_refused_with_the_way_and_nothing_is_touched(both: Both):
    both.old.ask(TABLES)
    assert both.old.cached("set visits 7") == "OK"
    assert both.old.ask("show server_version").startswith("15.")
    said = both.old.run("site.yml", succeeds=False, postgres_container_version="17.7")
    assert "docs/upgrades.md" in said
    assert both.old.ask("select count(*) from kinds") == "2000"
    running = both.old.on("db-1", "docker inspect --format '{{.Config.Image}} {{.State.StartedAt}}' berth-redis")
    said = both.old.run("site.yml", succeeds=False, redis_container_image="valkey/valkey:8.1")
    assert "image valkey/valkey:8.1 cannot read what redis:8.2.2 has written: " in said
    assert both.old.on("db-1", "docker inspect --format '{{.Config.Image}} {{.State.StartedAt}}' berth-redis") == running
    assert both.old.cached("get visits") == "7"


def test_it_takes_over_beside_the_running_one_which_can_come_back_with_all_that_was_written(both: Both):
    old, new = both
    new.run("site.yml")
    assert new.ask("show server_version").startswith("17.")
    assert "MB in 2 tables of aged, for " in both.move("check")
    writer = Writer(old)
    writer.start()
    assert eventually(lambda: len(writer.acknowledged) > 10)
    both.move("follow")
    said = both.move("switch")
    print(said[said.index("Say what was done") :][:900])
    acknowledged = writer.stop()
    assert set(acknowledged) <= new.written()
    assert (new.ask("select count(*), max(id) from kinds"), new.cached("get visits")) == ("2000|2000", "7")
    assert "valkey" in new.on("db-1", "docker exec berth-redis valkey-server --version").lower()
    # It serves, and is not to stay.
    writer = Writer(new, first=10_000)
    writer.start()
    assert eventually(lambda: len(writer.acknowledged) > 10)
    new.cached("incr visits")
    both.move("back")
    later = writer.stop()
    assert {*acknowledged, *later} <= old.written()
    assert old.cached("get visits") == "8"
    assert old.ask("insert into kinds (body) values (null) returning id") == "2001"


def test_once_more_and_for_good(both: Both):
    old, new = both
    kept = old.written()
    both.move("follow", migrate_replace=True)
    both.move("switch", migrate_replace=True)
    both.move("finish")
    assert new.written() == kept
    assert new.ask("insert into kinds (body) values (null) returning id") == "2002"
    assert not re.search(r"changed=[1-9]", new.run("site.yml"))
    old.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")
    assert new.ask("select count(*) from kinds") == "2002"
