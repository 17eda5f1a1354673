"""The data moves from droplets to RDS and ElastiCache while it is written to, and what is written there comes back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rehearsal import images, server
from tests.machine.conftest import Cloud
from tests.machine.database import Database, Writer
from tests.machine.moving import COMPOSE, DROPLETS, NAME, TABLES, OnAws, OnDroplet

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not os.environ.get("BERTH_EVERY_MOMENT"), reason="six minutes; BERTH_EVERY_MOMENT=1 runs it"),
]


@dataclass
class Clouds(OnDroplet, OnAws):
    """Both, from one to the other."""


@pytest.fixture(scope="module")
def clouds(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clouds]:
    images.ensure(["postgres:17", "postgres:17.7", "redis:8"])
    server.digitalocean()
    root = tmp_path_factory.mktemp("moved")
    folder = root / "project"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    environment = {**os.environ, **cloud.environment, "XDG_DATA_HOME": str(root / "data")}
    given = {"digitalocean_ip_range": "10.128.0.0/20", "backup_bucket": "", "postgres_container_settings": {"wal_level": "logical"}}
    droplet = Database(NAME, "", environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=given)
    logical = {"aws_profile": "small", "postgres_rds_parameters": {"rds.logical_replication": "1"}}
    told = {"digitalocean_droplets": DROPLETS, **given, **logical}
    found = Clouds("inventories/aws", folder, environment, told, cloud=cloud, droplet=droplet)
    try:
        droplet.run("site.yml")
        found.playbook("inventories/aws", "platform.yml")
        found.playbook("inventories/aws", "data_tier.yml")
        yield found
    finally:
        droplet.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")
        found.playbook("inventories/aws", "destroy.yml", "-e", f"destroy={NAME}")


def test_from_droplets_to_aws_and_back_nothing_is_lost(clouds: Clouds):
    droplets = {"from": "inventories/digitalocean"}
    clouds.droplet.ask("create table written (number int primary key)")
    clouds.droplet.ask(TABLES.split(";")[0])
    clouds.droplet_keys("set job first")
    writer = Writer(clouds.droplet)
    writer.start()
    clouds.move("follow", **droplets)
    said = clouds.move("switch", **droplets)
    acknowledged = writer.stop()
    print(said[said.index("Say what was done") :])
    assert "are the same on both sides" in said
    assert set(acknowledged) <= {int(each) for each in clouds.there("select number from written").split()}
    assert clouds.keys("get", "job") == "first"
    with pytest.raises(OSError, match="read-only"):
        clouds.droplet.ask("insert into written values (-1)")
    clouds.there("insert into written values (-2)")
    clouds.keys("set", "job", "second")
    said = clouds.move("back", **droplets)
    print(said[said.index("Say what was done") :])
    assert re.search(r"postgres: [1-9]\d* changes came back", said)
    assert clouds.droplet.ask("select count(*) from written where number = -2") == "1"
    assert clouds.droplet_keys("get job") == "second"
    clouds.droplet.ask("insert into written values (-3)")
    with pytest.raises(OSError, match="read-only"):
        clouds.there("insert into written values (-4)")
    assert clouds.open_ways() == []
