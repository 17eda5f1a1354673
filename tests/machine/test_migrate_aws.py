"""The data moves from this machine into a VPC that nobody reaches from outside, and back, by a relay that is gone afterwards."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from rehearsal import images
from tests.machine.conftest import Cloud, at_length
from tests.machine.moving import BESIDE, NAME, OnAws, Writers, written

# The way without faults, by way of a droplet, is in test_migrate_around.py.
pytestmark = [
    pytest.mark.docker,
    at_length("eight minutes"),
]
TOLD = {"aws_profile": "small", "postgres_rds_parameters": {"rds.logical_replication": "1"}}


@pytest.fixture(scope="module")
def homes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnAws]:
    images.ensure(["postgres:17", "postgres:17.7", "redis:8", "nginx:1.28"])
    root = tmp_path_factory.mktemp("moved")
    environment = {**os.environ, **cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    found = OnAws("inventories/aws", root / "project", environment, TOLD, cloud=cloud)
    try:
        found.start()
        found.playbook("inventories/aws", "platform.yml")
        found.playbook("inventories/aws", "data_tier.yml")
        yield found
    finally:
        found.playbook("inventories/aws", "destroy.yml", "-e", f"destroy={NAME}")
        found.stop()


def test_with_five_writers_all_comes_into_the_vpc_and_the_way_is_closed(homes: OnAws):
    homes.keys("set", "there", "already")
    said = homes.move("follow", succeeds=False)
    assert "holds 1 keys already" in said and "nothing identifies a row of public.loose" in said
    homes.keys("del", "there")
    assert homes.open_ways() == []
    for database in ("shop", BESIDE):
        homes.here("alter table loose replica identity full", database)
    writers = Writers()
    homes.killed("following", 4, phase="follow")
    said = homes.move("follow")
    assert "changes were brought along" in said and "serves as before" in said
    writers.wait_for(100)
    said = homes.cut(1)
    assert "takes writes again, and nothing was switched" in said, said[-3000:]
    homes.here("insert into sold values (9050)")
    assert homes.open_ways() == []
    homes.killed("switching", 3)
    said = homes.move("switch")
    acknowledged = writers.stop()
    assert re.search(r"the last \d+ changes were brought along", said) and "are the same on both sides" in said
    assert homes.open_ways() == []
    moved = written(homes.there("select writer, number from loose where writer > 0"))
    assert acknowledged <= moved and len(moved) > 10
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (1)")
    # Nothing is left that would keep the log.
    assert homes.here("select count(*) from pg_replication_slots") == "0"
    assert homes.queue("set", "job", "second").startswith("NOREPLICAS")
    assert homes.there("select last_value from tickets") == "41"
    # Nobody else may connect to it, as to what was there before.
    assert homes.there("select has_database_privilege('public', current_database(), 'connect')") == "f"
    assert homes.keys("get", "job") == "first"
    assert (homes.keys("hget", "hash", "field"), homes.keys("-n", "3", "scard", "set")) == ("\x01\x02", "2")


def test_what_was_written_there_comes_back_when_it_is_gone_back(homes: OnAws):
    homes.there("insert into sold values (9071)", BESIDE)
    homes.there("insert into sold values (9070); update loose set weight = 7 where writer = 1; select nextval('tickets')")
    homes.keys("hset", "hash", "field", "later")
    said = homes.move("back")
    assert re.search(r"postgres: [1-9]\d* changes came back", said) and "inventories/local takes writes" in said
    assert homes.here("select count(*) from sold where number = 9070") == "1"
    assert homes.here("select count(*) from sold where number = 9071", BESIDE) == "1"
    assert homes.here("select count(*) from loose where writer = 1 and weight <> 7") == "0"
    assert int(homes.here("select nextval('tickets')")) > 42
    assert homes.queue("hget", "hash", "field") == "later"
    assert homes.queue("set", "job", "first") == "OK"
    with pytest.raises(OSError, match="read-only"):
        homes.there("insert into sold values (1)")
    assert homes.there("select count(*) from pg_replication_slots") == "0"
    # And there again, for good.
    homes.move("switch", migrate_replace=True)
    homes.move("finish")


def test_it_moves_out_again_and_what_was_left_takes_no_writes(homes: OnAws):
    homes.there("insert into sold values (9100)")
    homes.keys("set", "job", "third")
    other = {"from": "inventories/aws", "to": "inventories/local", "migrate_replace": True}
    homes.move("follow", **other)
    homes.there("insert into sold values (9101)")
    homes.move("switch", **other)
    assert homes.here("select count(*) from sold where number in (9100, 9101)") == "2"
    assert homes.queue("get", "job") == "third"
    homes.here("insert into sold values (9200)")
    # A run of the data tier's playbook does not open what was moved away from.
    homes.playbook("inventories/aws", "data_tier.yml")
    for database in ("", BESIDE):
        with pytest.raises(OSError, match="read-only"):
            homes.there("insert into sold values (1)", database)
    assert homes.keys("set", "job", "fourth").startswith("NOREPLICAS")
    said = homes.playbook("inventories/aws", "restore.yml", "-e", f"restore={NAME}", succeeds=False)
    assert "takes no writes since its data was moved away" in said
    assert "takes no writes, since its data was moved away" in homes.playbook("inventories/aws", "status.yml")
    assert "takes writes" in homes.move("back", migrate_lose=True, **other)
    homes.there("insert into sold values (9300)")
    assert homes.keys("set", "job", "fourth") == "OK"
    # Nothing is in the way of a restore but that nothing was restored.
    said = homes.playbook("inventories/aws", "restore.yml", "-e", f"restore={NAME}", succeeds=False)
    assert f"There is no RDS instance berth-{NAME}-restored" in said
    assert homes.open_ways() == []
