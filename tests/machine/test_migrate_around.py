"""The data moves between all pairs of this machine, a droplet, and RDS and ElastiCache, and none of what was acknowledged is missing.

What is killed and cut off on the way is in test_migrate.py, test_migrate_aws.py and test_migrate_killed.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from rehearsal import stack
from tests.machine.conftest import Cloud
from tests.machine.homes import AWS, DROPLET, TAKEN, WAYS, Homes, each_way, everywhere
from tests.machine.moving import BESIDE, Writers, written

pytestmark = pytest.mark.docker
NAMED = {"app_domain": "shop.example.org", "app_dns": "digitalocean"}


@pytest.fixture(scope="module")
def homes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    with everywhere(cloud, tmp_path_factory.mktemp("moved")) as found:
        stack.account().domains.create(body={"name": "example.org"})
        try:
            yield found
        finally:
            stack.account().domains.delete("example.org")


def leads() -> str:
    """Where visitors are led."""
    return str(stack.account().domains.list_records("example.org", name=NAMED["app_domain"])["domain_records"][0]["data"])


def told(said: str) -> None:
    """Show what a move said of itself."""
    print(said[said.index("Say what was done") :].split("TASK")[0])


def test_all_that_is_in_the_way_is_said_at_once_and_nothing_is_touched(homes: Homes):
    homes.droplet_keys("set there already")
    said = homes.move("follow", succeeds=False, to=DROPLET)
    assert "holds 1 keys already" in said and "nothing identifies a row of public.loose" in said
    homes.droplet_keys("del there")
    for database in ("shop", BESIDE):
        homes.here("alter table loose replica identity full; create table written (number int primary key)", database)


@each_way
def test_with_five_writers_all_moves(homes: Homes, number: int):
    source, target = WAYS[number]
    way = {"from": source, "to": target, "migrate_replace": number > 1}
    homes.key(source, "set", "job", f"round-{number}")
    first = 10 * number + 1
    writers, auditors = Writers(homes.session(source), first), Writers(homes.session(source, BESIDE), first)
    writers.wait_for(50)
    said = homes.move("follow", **way)
    assert "changes were brought along" in said and "serves as before" in said
    writers.wait_for(20)
    auditors.wait_for(20)
    said = homes.move("switch", **way, **(NAMED if number < 2 else {}))
    told(said)
    acknowledged, audited = writers.stop(), auditors.stop()
    assert re.search(r"postgres: the last \d+ changes were brought along", said) and "are the same on both sides" in said
    assert re.search(rf"postgres, {BESIDE}: the last \d+ changes were brought along", said)
    if number == 0:
        assert f"shop.example.org leads to {homes.droplet.address('db-1')}; who asked before" in said
    if number == 1:
        # There is no app yet.
        assert "has no address here that a name could lead to" in said
    assert leads() == homes.droplet.address("db-1")
    arrived = f"select writer, number from loose where writer >= {first}"
    moved = written(homes.ask(target, arrived))
    assert acknowledged <= moved
    assert written(homes.ask(source, arrived)) == moved
    assert audited <= (beside := written(homes.ask(target, arrived, BESIDE)))
    assert written(homes.ask(source, arrived, BESIDE)) == beside
    with pytest.raises(OSError, match="read-only"):
        homes.ask(source, "insert into written values (0)", BESIDE)
    homes.ask(target, f"insert into written values ({number + 1})", BESIDE)
    assert homes.writable(target) and not homes.writable(source)
    assert "NOREPLICAS" in homes.key(source, "set", "job", "lost")
    assert homes.ask(target, "select last_value from tickets") == "41"
    assert homes.key(target, "get", "job") == f"round-{number}"
    assert (homes.key(target, "hget", "hash", "field"), homes.key(target, "-n", "3", "scard", "set")) == ("\x01\x02", "2")
    if target == AWS:
        # Nobody else may connect to it, as to what was there before.
        assert homes.there("select has_database_privilege('public', current_database(), 'connect')") == "f"
    if (source, target) == (DROPLET, AWS):
        returns(homes, way)
    homes.move("finish", **way)
    assert homes.ask(source, "select count(*) from pg_replication_slots") == "0"
    assert homes.ask(target, "select count(*) from pg_replication_slots") == "0"
    assert homes.open_ways() == []


def returns(homes: Homes, way: dict[str, object]) -> None:
    """What was written in RDS and ElastiCache comes back to the droplet, and moves there again for good."""
    homes.ask(AWS, "insert into written values (-2)", BESIDE)
    homes.there("insert into written values (-2); update loose set weight = 7 where writer = 1")
    homes.keys("set", "job", "second")
    said = homes.move("back", **way)
    told(said)
    assert re.search(r"postgres: [1-9]\d* changes came back", said)
    assert homes.droplet.ask("select count(*) from written where number = -2") == "1"
    assert homes.ask(DROPLET, "select count(*) from written where number = -2", BESIDE) == "1"
    assert homes.droplet.ask("select count(*) from loose where writer = 1 and weight <> 7") == "0"
    assert homes.droplet_keys("get job") == "second"
    assert homes.writable(DROPLET) and not homes.writable(AWS)
    assert homes.open_ways() == []
    homes.droplet.ask("insert into written values (-3)")
    homes.move("switch", **{**way, "migrate_replace": True})
    assert homes.there("select count(*) from written where number < 0") == "2"


def test_what_has_moved_around_is_all_there(homes: Homes):
    home = TAKEN[-1][1]
    assert homes.ask(home, "select count(*) from written where number < 0") == "2"
    # One of each round's writers at least, and what was there at first.
    assert homes.ask(home, "select count(distinct writer / 10) from loose where writer > 0") == str(len(TAKEN))
    assert homes.ask(home, "select count(*) from sold") == "5000"
    # A row of each home that had it, and the one that came back and went again.
    assert homes.ask(home, "select count(*) from written", BESIDE) == str(len(TAKEN) + 1)
