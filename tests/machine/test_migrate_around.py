"""The data moves from this machine to a droplet, on to RDS and ElastiCache, and back here, and none of what was acknowledged is missing.

What is killed and cut off on the way is in test_migrate.py and test_migrate_aws.py.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from rehearsal import images, server, stack
from tests.machine.conftest import Cloud
from tests.machine.database import Database, Writer
from tests.machine.moving import DROPLETS, NAME, OnAws, OnDroplet, Writers, written

pytestmark = pytest.mark.docker
LOCAL, DROPLET, AWS = "inventories/local", "inventories/digitalocean", "inventories/aws"
# What lets changes be read from a log; the local one is told so in its Compose file.
ON_DROPLETS = {"digitalocean_ip_range": "10.128.0.0/20", "backup_bucket": "", "postgres_container_settings": {"wal_level": "logical"}}
NAMED = {"app_domain": "shop.example.org", "app_dns": "digitalocean"}
ON_AWS = {"aws_profile": "small", "postgres_rds_parameters": {"rds.logical_replication": "1"}}


@dataclass
class Homes(OnDroplet, OnAws):
    """All three."""


@pytest.fixture(scope="module")
def homes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    images.ensure(["postgres:17", "postgres:17.7", "redis:8", "nginx:1.28"])
    server.digitalocean(["nginx:1.28"])
    root = tmp_path_factory.mktemp("moved")
    folder = root / "project"
    environment = {**os.environ, **cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    droplet = Database(NAME, "", environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=ON_DROPLETS)
    told = {"digitalocean_droplets": DROPLETS, **ON_DROPLETS, **ON_AWS}
    found = Homes(AWS, folder, environment, told, cloud=cloud, droplet=droplet)

    def stores_of_aws() -> None:
        found.playbook(AWS, "platform.yml")
        found.playbook(AWS, "data_tier.yml")

    try:
        found.start()
        stack.account().domains.create(body={"name": "example.org"})
        with ThreadPoolExecutor() as pool:
            for each in [pool.submit(droplet.run, "site.yml"), pool.submit(stores_of_aws)]:
                each.result()
        yield found
    finally:
        Writer.stop_all()
        stack.account().domains.delete("example.org")
        droplet.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")
        found.playbook(AWS, "destroy.yml", "-e", f"destroy={NAME}")
        found.stop()


def leads() -> str:
    """Where visitors are led."""
    return str(stack.account().domains.list_records("example.org", name=NAMED["app_domain"])["domain_records"][0]["data"])


def told(said: str) -> None:
    """Show what a move said of itself."""
    print(said[said.index("Say what was done") :].split("TASK")[0])


def test_with_five_writers_all_moves_to_a_droplet(homes: Homes):
    homes.droplet_keys("set there already")
    said = homes.move("follow", succeeds=False, to=DROPLET)
    # All that is in the way is said at once, and nothing was touched.
    assert "holds 1 keys already" in said and "nothing identifies a row of public.loose" in said
    homes.droplet_keys("del there")
    homes.here("alter table loose replica identity full; create table written (number int primary key)")
    writers = Writers()
    said = homes.move("follow", to=DROPLET)
    assert "changes were brought along" in said and "serves as before" in said
    while len(writers.acknowledged) < 100:
        time.sleep(0.1)
    said = homes.move("switch", to=DROPLET, **NAMED)
    told(said)
    assert f"shop.example.org leads to {leads()}; who asked before" in said
    assert leads() == homes.droplet.address("db-1")
    acknowledged = writers.stop()
    assert re.search(r"the last \d+ changes were brought along", said) and "are the same on both sides" in said
    moved = written(homes.droplet.ask("select writer, number from loose where writer > 0"))
    assert acknowledged <= moved
    with pytest.raises(OSError, match="read-only"):
        homes.here("insert into sold values (1)")
    assert homes.queue("set", "job", "second").startswith("NOREPLICAS")
    assert homes.droplet.ask("select last_value from tickets") == "41"
    assert (homes.droplet_keys("get job"), homes.droplet_keys("-n 3 scard set")) == ("first", "2")
    homes.move("finish", to=DROPLET)


def test_it_moves_on_to_aws_and_what_was_written_there_comes_back(homes: Homes):
    way = {"from": DROPLET}
    writer = Writer(homes.droplet)
    writer.start()
    homes.move("follow", **way)
    said = homes.move("switch", **way, **NAMED)
    told(said)
    acknowledged = writer.stop()
    # There is no app yet.
    assert "has no address here that a name could lead to" in said
    assert leads() == homes.droplet.address("db-1")
    assert "are the same on both sides" in said
    assert len(acknowledged) > 10 and set(acknowledged) <= {int(each) for each in homes.there("select number from written").split()}
    assert (homes.keys("get", "job"), homes.keys("hget", "hash", "field")) == ("first", "\x01\x02")
    with pytest.raises(OSError, match="read-only"):
        homes.droplet.ask("insert into written values (-1)")
    assert "NOREPLICAS" in homes.droplet_keys("set job lost")
    # Nobody else may connect to it, as to what was there before.
    assert homes.there("select has_database_privilege('public', current_database(), 'connect')") == "f"
    homes.there("insert into written values (-2); update loose set weight = 7 where writer = 1; select nextval('tickets')")
    homes.keys("set", "job", "second")
    said = homes.move("back", **way)
    told(said)
    assert re.search(r"postgres: [1-9]\d* changes came back", said)
    assert homes.droplet.ask("select count(*) from written where number = -2") == "1"
    assert homes.droplet.ask("select count(*) from loose where writer = 1 and weight <> 7") == "0"
    assert int(homes.droplet.ask("select last_value from tickets")) > 41
    assert homes.droplet_keys("get job") == "second"
    with pytest.raises(OSError, match="read-only"):
        homes.there("insert into written values (-4)")
    assert homes.open_ways() == []
    # And there again, for good.
    homes.droplet.ask("insert into written values (-3)")
    homes.move("switch", migrate_replace=True, **way)
    homes.move("finish", **way)
    assert homes.there("select count(*) from written where number < 0") == "2"
    assert homes.there("select count(*) from pg_replication_slots") == "0"


def test_it_moves_out_of_the_vpc_to_this_machine(homes: Homes):
    way = {"from": AWS, "to": LOCAL, "migrate_replace": True}
    homes.there("insert into written values (-5)")
    homes.keys("set", "job", "third")
    said = homes.move("switch", **way)
    told(said)
    assert homes.here("select count(*) from written where number < 0") == "3"
    assert (homes.queue("get", "job"), homes.queue("-n", "3", "scard", "set")) == ("third", "2")
    homes.here("insert into sold values (9200)")
    with pytest.raises(OSError, match="read-only"):
        homes.there("insert into written values (-6)")
    assert homes.keys("set", "job", "lost").startswith("NOREPLICAS")
    homes.move("finish", **way)
    assert homes.open_ways() == []
