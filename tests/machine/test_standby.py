"""Two Postgres on two droplets: one follows the other, takes over as planned, and after the other is lost; measured by what a client sees."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from rehearsal import server
from rehearsal.digitalocean import machines
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.database import Database, Writer, project

NAME = "standby-test"
DROPLETS = [
    {"name": "db-1", "groups": ["postgres"], "size": "s-1vcpu-1gb", "volumes": [{"name": "data", "size": 1}]},
    {"name": "db-2", "groups": ["postgres", "app"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 1}]},
]
GIVEN = {"digitalocean_ip_range": ip_range(12), "machine_timeout": 15, "postgres_container_synchronous": True}
pytestmark = [pytest.mark.docker, at_length("minutes")]


@pytest.fixture(scope="module")
def pair(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server.digitalocean()
    folder = project(tmp_path_factory.mktemp("pair") / "pair")
    found = Database(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=GIVEN)
    found.output = found.run("site.yml")
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def test_the_second_follows_the_first_and_the_app_writes_to_the_first(pair: Database):
    pair.ask("create table written (number int)")
    pair.ask("insert into written values (0)")
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("f", "t")
    there = "docker exec -u postgres berth-postgres psql -qAt -d standby_test -c 'select number from written'"
    assert eventually(lambda: pair.on("db-2", there).strip() == "0")
    said = pair.run("status.yml")
    assert re.search(r"db-1, primary, followed by 1", said), said
    assert re.search(r"db-2-postgres, standby, streaming", said), said


def test_a_second_run_changes_nothing_and_shows_no_password(pair: Database):
    secret = pair.on("db-1", "cat /etc/berth/postgres/secrets/replication").strip()
    said = pair.run("site.yml", "-vvv")
    assert len(secret) == 48
    assert secret not in said
    assert not re.search(r"changed=[1-9]", said), said[-1500:]


def test_a_planned_promotion_loses_nothing_and_the_old_primary_follows(pair: Database):
    writer = Writer(pair)
    writer.start()
    said = pair.run("promote.yml")
    assert "db-2-postgres is the primary now, on timeline 2" in said
    eventually(lambda: pair.ask("select 1") == "1")
    acknowledged = writer.stop()
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("t", "f")
    kept = pair.written()
    assert acknowledged
    assert set(acknowledged) <= kept
    print(f"a planned promotion: {writer.gap:.1f} s without a write")
    assert not re.search(r"changed=[1-9]", pair.run("site.yml"))


def test_a_promotion_that_ended_before_the_old_primary_followed_is_finished_by_the_next_run(pair: Database):
    pair.on("db-1", "docker compose --file /etc/berth/postgres/compose.yaml stop")
    said = pair.run("promote.yml")
    assert "db-2-postgres is the primary already. No standby runs that could take over." in said
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("t", "f")
    assert "db-2-postgres is the primary already. The app is led to it" in pair.run("promote.yml", "-e", "promote_to=db-2-postgres")
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("t", "f")


def test_a_primary_that_cannot_be_asked_is_not_left_behind_unless_that_is_said(pair: Database):
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
        kept = pair.written()
        assert set(acknowledged) <= kept
    finally:
        writer.ended.set()
        machines.power(number, on=True)


def test_an_old_primary_that_comes_back_is_stopped_and_copied_anew(pair: Database):
    machines.wait(pair.address("db-1"))
    eventually(lambda: pair.standing("db-1") == "f")
    said = pair.run("site.yml")
    assert "db-1 had data that db-2-postgres has gone beyond. It was moved to /mnt/data/postgres.before-" in said
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("t", "f")
    assert pair.ask("select number from written where number = -1") == "-1"
    assert not re.search(r"changed=[1-9]", pair.run("site.yml"))


def test_after_a_restore_the_standby_follows_what_was_restored(pair: Database):
    there = pair.written()
    pair.run("backup.yml")
    said = pair.run("restore.yml", "-e", "restore_to=latest", "-e", f"restore={NAME}")
    assert "It serves now" in said
    assert eventually(lambda: pair.written()) == there
    pair.ask("insert into written values (-2)")
    standby = "db-1" if pair.standing("db-1") == "t" else "db-2"
    where = "docker exec -u postgres berth-postgres psql -qAt -d standby_test -c 'select number from written where number = -2'"
    assert eventually(lambda: pair.on(standby, where).strip() == "-2")
    assert not re.search(r"changed=[1-9]", pair.run("site.yml"))
