"""The data moves between this machine and droplets while clients write: none of what was acknowledged is missing, and both sides are alike."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rehearsal import images, server
from tests.machine.conftest import Cloud, at_length, ip_range
from tests.machine.database import Database
from tests.machine.moving import DROPLETS, NAME, OnDroplet, Writers, written

# The way without faults is in test_migrate_around.py.
pytestmark = [
    pytest.mark.docker,
    at_length("five minutes"),
]


@pytest.fixture(scope="module")
def homes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnDroplet]:
    images.ensure(["postgres:17", "postgres:17.7", "redis:8", "nginx:1.28"])
    server.digitalocean(["nginx:1.28"])
    root = tmp_path_factory.mktemp("moved")
    environment = {**os.environ, **cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    given = {"digitalocean_ip_range": ip_range(9), "backup_bucket": ""}
    droplet = Database(NAME, "", environment, "", "digitalocean", project=root / "project", droplets=DROPLETS, given=given)
    told = {"digitalocean_droplets": DROPLETS, **given}
    found = OnDroplet("inventories/digitalocean", root / "project", environment, told, droplet=droplet)
    try:
        found.start()
        droplet.run("site.yml")
        yield found
    finally:
        droplet.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")
        found.stop()


def test_what_is_in_the_way_is_said_and_nothing_is_touched(homes: OnDroplet):
    homes.droplet.ask("create table there_already (i int)")
    homes.droplet_keys("set there already")
    said = homes.move("check", succeeds=False)
    assert f"holds 1 tables in {NAME} already" in said and "holds 1 keys already" in said and "Nothing was touched" in said
    homes.droplet.ask("drop table there_already")
    homes.droplet_keys("del there")
    assert "Give the homes that the data moves between" in homes.move("check", succeeds=False, to="")
    assert "migrate is move, and the phases are check, copy, follow" in homes.move("move", succeeds=False)
    assert "inventories/nowhere is no inventory" in homes.move("check", succeeds=False, to="inventories/nowhere")
    said = homes.move("check")
    assert f"tables of shop, for {NAME}" in said and "redis: 5 keys" in said
    assert "nothing has been switched" in homes.move("verify", succeeds=False)


def test_a_copy_leaves_the_source_serving(homes: OnDroplet):
    said = homes.move("copy")
    assert "A switch pauses writes for about" in said
    homes.here("insert into sold values (9001)")
    assert homes.droplet_keys("get job") == "first"


def test_a_switch_that_is_killed_can_be_taken_back(homes: OnDroplet):
    homes.killed("switching", 1.5)
    assert homes.here("select count(*) from sold") == "5001"
    assert homes.move("back")
    homes.here("insert into sold values (9002)")
    assert homes.queue("set", "after", "1") == "OK"
    assert homes.droplet_keys("dbsize") == "0"
    assert "incoming" not in homes.droplet.ask("select datname from pg_database")
    homes.move("copy")


def test_a_droplet_that_says_nothing_in_the_middle_of_a_switch_leaves_this_machine_serving(homes: OnDroplet):
    said = homes.frozen()
    assert "inventories/local takes writes again, and nothing was switched" in said, said[-3000:]
    homes.here("insert into sold values (9003)")
    assert homes.queue("set", "after", "2") == "OK"
    homes.move("copy")


@pytest.mark.parametrize("phase", ["back", "switch"])
def test_while_it_is_not_known_whether_the_droplet_has_taken_over_neither_side_takes_writes(homes: OnDroplet, phase: str):
    said = homes.frozen("last step")
    assert "Whether inventories/digitalocean has taken over cannot be asked" in said, said[-3000:]
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (9004)")
    said = homes.move(phase)
    writes = "insert into sold values (9005)"
    with pytest.raises(OSError, match="read-only" if phase == "switch" else "read-only|does not exist"):
        (homes.here if phase == "switch" else homes.droplet.ask)(writes)
    (homes.here if phase == "back" else homes.droplet.ask)(writes)
    if phase == "switch":
        homes.move("back", migrate_lose=True)
    homes.here("delete from sold where number = 9005")
    homes.move("copy", migrate_replace=True)


def test_with_five_writers_nothing_that_was_acknowledged_is_missing(homes: OnDroplet):
    writers = Writers()
    writers.wait_for(30)
    # Killed in the middle, and done again.
    homes.killed("switching", 1.5, migrate_replace=True)
    said = homes.move("switch", migrate_replace=True)
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
    assert (homes.droplet_keys("get job"), homes.droplet_keys("hget hash field"), homes.droplet_keys("-n 3 scard set")) == (
        "first",
        "\x01\x02",
        "2",
    )
    assert 0 < int(homes.droplet_keys("ttl soon")) <= 5000
    assert homes.queue("lrange", "list", "0", "-1") == homes.droplet_keys("lrange list 0 -1")


def test_going_back_would_lose_what_was_written_since_and_is_refused(homes: OnDroplet):
    # The droplet does not keep its log for that.
    homes.droplet.ask("insert into sold values (9100)")
    assert "Going back would lose that" in homes.move("back", succeeds=False)
    homes.droplet.ask("insert into sold values (9101)")
    assert homes.droplet_keys("hset hash field 1") == "0"
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (1)")
    assert homes.queue("set", "job", "second").startswith("NOREPLICAS")


def test_finished_it_moves_back_the_same_way(homes: OnDroplet):
    homes.move("finish")
    # Nor does what was moved away from come to life again beside it.
    assert "no move from inventories/local to inventories/digitalocean is under way" in homes.move("back", succeeds=False)
    assert "incoming" not in homes.droplet.ask("select datname from pg_database")
    other = {"from": "inventories/digitalocean", "to": "inventories/local"}
    refused = homes.move("check", succeeds=False, **other)
    assert "tables in shop already" in refused
    homes.droplet_keys("set job third")
    homes.droplet_keys("hset hash other 1")
    # Where what cannot be reached is who took writes, it is said how to go on; neither side takes them until then.
    said = homes.frozen(migrate_replace=True, **other)
    assert "could not be told to take writes again" in said and "-e migrate=back opens it" in said, said[-3000:]
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (1)")
    assert "takes writes" in homes.move("back", **other)
    homes.droplet.ask("insert into sold values (9102)")
    homes.move("switch", migrate_replace=True, **other)
    assert homes.here("select count(*) from sold where number in (9100, 9101, 9102)") == "3"
    assert (homes.queue("get", "job"), homes.queue("hlen", "hash")) == ("third", "2")
    homes.here("insert into sold values (9200)")
    with pytest.raises(OSError, match="read-only"):
        homes.droplet.ask("insert into sold values (1)")
    homes.move("finish", **other)
