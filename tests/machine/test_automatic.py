"""Three Postgres on three droplets, of which one takes over by itself when the primary is lost; measured by what a client sees."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal import server, stack
from rehearsal.digitalocean import machines
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.database import Database, Writer, changed_tasks, project

NAME = "automatic-test"
SIZE: dict[str, Any] = {"size": "s-1vcpu-1gb", "volumes": [{"name": "data", "size": 1}]}
PAIR = [{"name": "db-1", "groups": ["postgres"], **SIZE}, {"name": "db-2", "groups": ["postgres", "app"], **SIZE}]
THREE = [*PAIR, {"name": "db-3", "groups": ["postgres"], **SIZE}]
GIVEN: dict[str, Any] = {"digitalocean_ip_range": ip_range(2), "machine_timeout": 15}
# The most that the loss of a primary may take from a client.
SECONDS = 30
pytestmark = [pytest.mark.docker, at_length("minutes")]


@pytest.fixture(scope="module")
def three(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Two that a person let take over, and then a third one."""
    server.digitalocean()
    folder = project(tmp_path_factory.mktemp("three") / "three")
    found = Database(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=PAIR, given=GIVEN)
    found.run("site.yml")
    found.ask("create table written (number int)")
    found.ask("insert into written values (0)")
    found.droplets = THREE
    found.output = found.run("site.yml")
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def members(database: Database, name: str) -> dict[str, dict[str, Any]]:
    """What Patroni on a droplet says of each: its Role, State and so on."""
    command = "docker exec -u postgres berth-postgres patronictl -c /etc/berth/conf/patroni.yml list --format json"
    # What it says of an etcd that does not answer comes after it.
    found = json.JSONDecoder().raw_decode(database.on(name, f"{command} 2>/dev/null"))[0]
    names = {"berth_db_1": "db-1", "berth_db_2_postgres": "db-2", "berth_db_3": "db-3"}
    return {names[each["Member"]]: each for each in found}


def leader(database: Database, ask: str = "db-2") -> str:
    return next((name for name, each in members(database, ask).items() if each["Role"] == "Leader"), "")


def whole(database: Database, ask: str = "db-2") -> bool:
    """Whether one leads and two follow, one of them synchronously."""
    found = members(database, ask).values()
    return sorted(each["Role"] for each in found) == ["Leader", "Replica", "Sync Standby"] and {each["State"] for each in found} == {
        "running",
        "streaming",
    }


def away_from_the_app(database: Database) -> str:
    """The primary, on a droplet that the app is not on."""
    assert eventually(lambda: whole(database), 120)
    if leader(database) == "db-2":
        database.run("promote.yml", "-e", "promote_to=db-1")
        assert eventually(lambda: whole(database))
    return leader(database)


def test_a_third_one_makes_them_agree_with_all_that_was_there(three: Database):
    assert eventually(lambda: whole(three))
    assert leader(three) == "db-1"
    assert three.ask("select number from written") == "0"
    assert three.ask("insert into written values (1) returning number") == "1"
    there = "docker exec -u postgres berth-postgres psql -qAt -d automatic_test -c 'select count(*) from written'"
    assert eventually(lambda: three.on("db-3", there).strip() == "2")
    said = three.run("status.yml")
    assert re.search(r"db-1, primary, followed by 2", said), said


def test_a_second_run_changes_nothing_and_shows_no_password(three: Database):
    secret = three.on("db-1", "cat /etc/berth/postgres/secrets/replication").strip()
    said = three.run("site.yml", "-vvv")
    assert len(secret) == 48
    assert secret not in said
    assert changed_tasks(said) == []


def test_a_primary_that_is_lost_is_replaced_by_itself_and_no_acknowledged_write_is_missing(three: Database):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 10)
    number = three.droplet(before)["id"]
    machines.power(number, on=False, hard=True)
    try:
        writer.goes_on()
        acknowledged = writer.stop()
        print(f"a primary that was switched off: {writer.gap:.1f} s without a write")
        assert writer.gap < SECONDS
        assert set(acknowledged) <= three.written()
        assert leader(three) not in ("", before)
    finally:
        writer.ended.set()
        machines.power(number, on=True)
    # It comes back by itself, as one that follows.
    assert eventually(lambda: whole(three), 120)
    assert leader(three) != before
    assert set(acknowledged) <= three.written()
    assert changed_tasks(three.run("site.yml")) == []


def test_a_primary_that_stands_still_and_goes_on_loses_nothing_and_takes_no_write(three: Database):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 1000)
    with three.standing_still(before):
        writer.goes_on()
        print(f"a primary that stood still: {writer.gap:.1f} s without a write")
        assert writer.gap < SECONDS
    assert eventually(lambda: whole(three), 120)
    acknowledged = writer.stop()
    assert leader(three) != before
    assert set(acknowledged) <= three.written()


def test_a_primary_that_is_cut_off_from_the_others_takes_no_more_writes_and_comes_back_as_one_that_follows(three: Database):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 1500)
    with three.cut_off(before):
        writer.goes_on()
        print(f"a primary that was cut off: {writer.gap:.1f} s without a write")
        assert writer.gap < SECONDS
        # Whoever reaches it all the same is told that it takes none: it is shutting down, or follows.
        assert eventually(lambda: re.search(r"^t$|the database system is shutting down|No such file", three.standing(before)), SECONDS)
    assert eventually(lambda: whole(three), 120)
    acknowledged = writer.stop()
    assert leader(three) != before
    assert set(acknowledged) <= three.written()


def test_a_server_that_crashes_is_back_or_replaced(three: Database):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 2000)
    three.on(before, "pkill -9 -f 'postgres -D' || pkill -9 postgres")
    writer.goes_on()
    acknowledged = writer.stop()
    print(f"a server that was killed: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    assert eventually(lambda: whole(three), 120)


def test_a_planned_promotion_loses_nothing(three: Database):
    before = away_from_the_app(three)
    other = "db-3" if before == "db-1" else "db-1"
    writer = Writer(three, 3000)
    writer.start()
    said = three.run("promote.yml", "-e", f"promote_to={other}")
    assert f"{other} is the primary now" in said
    acknowledged = writer.stop()
    print(f"a planned promotion: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    assert leader(three) == other
    assert eventually(lambda: whole(three))


def test_a_machine_that_leads_hands_over_before_it_is_restarted_for_its_packages(three: Database):
    before = away_from_the_app(three)
    three.on(before, "touch /run/reboot-required")
    writer = Writer(three, 3500)
    writer.start()
    said = three.run("patch.yml")
    assert re.search(rf"{before}: [^;]*; a restart is due", said), said[-1500:]
    acknowledged = writer.stop()
    print(f"a restart for packages: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS / 2
    assert set(acknowledged) <= three.written()
    assert eventually(lambda: whole(three), 120)
    assert leader(three) != before
    assert three.on(before, "ls /run/reboot-required 2>&1").startswith("ls: cannot access")


def test_machines_get_another_size_one_after_another_and_who_leads_hands_over(three: Database):
    before = away_from_the_app(three)
    other = "db-3" if before == "db-1" else "db-1"
    # As a run leaves it that was killed at the wrong time.
    switch_off(three, other)
    writer = Writer.begun(three, 3700)
    three.droplets = [each if each["name"] == "db-2" else {**each, "size": "s-1vcpu-2gb"} for each in THREE]
    three.run("site.yml")
    acknowledged = writer.stop()
    print(f"other sizes: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS / 2
    assert set(acknowledged) <= three.written()
    assert [three.droplet(name)["size_slug"] for name in ("db-1", "db-2", "db-3")] == ["s-1vcpu-2gb", "s-1vcpu-1gb", "s-1vcpu-2gb"]
    assert eventually(lambda: whole(three), 120)
    assert leader(three) != before
    switch_off(three, other)
    assert f"switch on droplet {NAME}-{other}" in three.run("site.yml", "--diff")
    assert eventually(lambda: whole(three), 120)
    assert changed_tasks(three.run("site.yml")) == []


def switch_off(database: Database, name: str) -> None:
    """Switch a droplet off, as its owner does."""
    stack.account().droplet_actions.post(database.droplet(name)["id"], body={"type": "power_off"})
    assert eventually(lambda: database.droplet(name)["status"] == "off")


def test_new_settings_reach_all_of_them_one_after_another(three: Database):
    writer = Writer(three, 4000)
    writer.start()
    three.run("site.yml", postgres_container_connections=90)
    acknowledged = writer.stop()
    print(f"a setting that needs a restart: {writer.gap:.1f} s without a write")
    assert three.ask("show max_connections") == "90"
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    three.run("site.yml")
    assert eventually(lambda: whole(three))


def test_new_passwords_and_certificates_while_the_app_goes_on(three: Database):
    before = three.on("db-1", "cat /etc/berth/postgres/secrets/replication /etc/berth/authority/ca.pem")
    writer = Writer(three, 5000)
    writer.start()
    three.run("rotate.yml")
    acknowledged = writer.stop()
    print(f"a rotation: {writer.gap:.1f} s without a write")
    assert set(acknowledged) <= three.written()
    for name in ("db-1", "db-2", "db-3"):
        assert three.on(name, "cat /etc/berth/postgres/secrets/replication /etc/berth/authority/ca.pem") != before
    # Whoever was told anew comes in anew too.
    away = away_from_the_app(three)
    three.on(away, "docker restart berth-postgres")
    assert eventually(lambda: whole(three), 120)
    assert eventually(lambda: three.ask("insert into written values (5999) returning number") == "5999")


def test_one_that_lost_its_volume_comes_back_with_a_vote_and_a_copy(three: Database):
    away = away_from_the_app(three)
    lost = "db-3" if away == "db-1" else "db-1"
    three.on(lost, "docker rm -f berth-postgres berth-etcd; rm -rf /mnt/data/postgres /mnt/data/etcd")
    assert three.ask("insert into written values (6000) returning number") == "6000"
    three.run("site.yml")
    assert eventually(lambda: whole(three), 120)
    said = three.on(lost, "docker exec berth-etcd etcdctl endpoint health --cluster 2>&1")
    assert said.count("is healthy") == 3, said
    assert changed_tasks(three.run("site.yml")) == []


def test_without_a_majority_of_votes_the_app_goes_on(three: Database):
    away = away_from_the_app(three)
    for name in ("db-1", "db-2", "db-3"):
        three.on(name, "docker stop berth-etcd")
    time.sleep(25)
    assert three.ask("insert into written values (7000) returning number") == "7000"
    assert three.standing(away) == "f"
    three.run("site.yml")
    assert eventually(lambda: whole(three), 120)
    assert "7000" in three.ask("select number from written where number = 7000")


def test_a_restore_takes_the_place_on_all_of_them(three: Database):
    assert eventually(lambda: whole(three))
    there = three.written()
    three.run("backup.yml")
    said = three.run("restore.yml", "-e", "restore_to=latest", "-e", f"restore={NAME}")
    assert "It serves now" in said
    assert eventually(three.written) == there
    three.ask("insert into written values (8000)")
    assert eventually(lambda: whole(three), 120)
    count = "docker exec -u postgres berth-postgres psql -qAt -d automatic_test -c 'select count(*) from written where number = 8000'"
    for name in ("db-1", "db-2", "db-3"):
        assert eventually(lambda name=name: three.on(name, count).strip() == "1")
    assert changed_tasks(three.run("site.yml")) == []
