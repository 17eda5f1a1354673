"""Stores that grow to three machines in runs that are killed on their way, while a client writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rehearsal import server
from tests.machine import database, test_automatic, test_sentinel
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.database import Database, Writer, changed_tasks
from tests.machine.interrupted import sweep_tasks
from tests.machine.test_sentinel import Cache

pytestmark = [pytest.mark.docker, at_length("half an hour")]
# The most that a client may go without a write: a primary that changes hands, as one that is lost.
SECONDS = 30


class Growth(NamedTuple):
    """A store before and after, and what says that all three are as they should be."""

    made: type[Database]
    compose: str
    few: list[dict[str, Any]]
    many: list[dict[str, Any]]
    begun: Callable[[Any], object]
    whole: Callable[[Any], bool]


GROWTHS = {
    "redis": Growth(Cache, test_sentinel.COMPOSE, test_sentinel.ONE, test_sentinel.THREE, lambda cache: cache.write(0), Cache.whole),
    "postgres": Growth(
        Database,
        database.COMPOSE,
        test_automatic.PAIR,
        test_automatic.THREE,
        lambda postgres: [postgres.ask("create table written (number int)"), postgres.write(0)],
        test_automatic.whole,
    ),
}


@pytest.mark.parametrize("store", GROWTHS)
def test_killed_at_tasks_and_run_again_three_machines_agree_and_no_write_is_lost(cloud: Cloud, store: str, tmp_path: Path):
    growth, name = GROWTHS[store], f"grown-{store}"
    project, given = tmp_path / "grown", {"digitalocean_ip_range": ip_range(7), "machine_timeout": 15}
    project.mkdir()
    (project / "compose.yaml").write_text(growth.compose)
    server.digitalocean()
    found = growth.made(name, "", cloud.environment, "", "digitalocean", project=project, droplets=growth.few, given=given)
    found.run("site.yml")
    try:
        growth.begun(found)
        writer = Writer.begun(found, 1)
        there = Cloud(found.environment, "inventories/digitalocean")
        kills = sweep_tasks(there, 20, 13, "site.yml", *found.told(digitalocean_droplets=growth.many))
        acknowledged = writer.stop()
        print(f"{store}: killed {kills} times: {len(acknowledged)} writes, {writer.gap:.1f} s at most between two of them; {writer.worst}")
        assert kills > 8
        assert writer.gap < SECONDS
        found.droplets = growth.many
        assert eventually(lambda: growth.whole(found), 120)
        assert {0, *acknowledged} <= found.written()
        # Who came to lead meanwhile takes a first backup.
        found.run("site.yml")
        assert changed_tasks(found.run("site.yml")) == []
    finally:
        Writer.stop_all()
        found.droplets = growth.many
        found.run("destroy.yml", "-e", f"destroy={name}", "-e", f"destroy_volumes={name}")
