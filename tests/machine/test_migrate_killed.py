"""A move is killed in each of its phases, between all pairs of homes, with five writers: it goes on or back, and never do both sides take writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine.conftest import Cloud, at_length
from tests.machine.homes import WAYS, Homes, each_way, everywhere
from tests.machine.moving import BESIDE, Writers, written

pytestmark = [pytest.mark.docker, at_length("half an hour")]


@pytest.fixture(scope="module")
def homes(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    with everywhere(cloud, tmp_path_factory.mktemp("killed")) as found:
        for database in ("shop", BESIDE):
            found.here("alter table loose replica identity full; create table written (number int primary key)", database)
        yield found


@each_way
def test_killed_in_each_phase_it_goes_on_or_back(homes: Homes, number: int):
    source, target = WAYS[number]
    way = {"from": source, "to": target, "migrate_replace": number > 1}
    first, struck = 10 * number + 1, []

    def shot(phase: str, seconds: float) -> None:
        if homes.shot(phase, seconds, **way):
            struck.append(phase)

    def only(home: str) -> None:
        """That home takes the app's writes, and the other does not."""
        other = target if home == source else source
        assert homes.writable(home) and homes.writable(home, BESIDE)
        assert not homes.writable(other) and not homes.writable(other, BESIDE)

    homes.key(source, "set", "job", f"round-{number}")
    writers, auditors = Writers(homes.session(source), first), Writers(homes.session(source, BESIDE), first)
    writers.wait_for(20)
    # Before the switch the source serves, whatever is killed.
    for phase in ("check", "copy"):
        shot(phase, 5)
        only(source)
        homes.move(phase, **way)
    homes.killed("following", 4, phase="follow", **way)
    only(source)
    homes.move("follow", **way)
    # A switch that is killed goes back;
    homes.killed("switching", 2, **way)
    assert not (homes.writable(source) and homes.writable(target))
    shot("back", 6)
    homes.move("back", **way)
    only(source)
    writers.wait_for(20)
    # or on.
    homes.move("follow", **way)
    homes.killed("switching", 2, **way)
    assert not (homes.writable(source) and homes.writable(target))
    said = homes.move("switch", **way)
    acknowledged, audited = writers.stop(), auditors.stop()
    only(target)
    assert "are the same on both sides" in said or "has taken over" in said
    arrived = f"select writer, number from loose where writer >= {first}"
    moved = written(homes.ask(target, arrived))
    assert acknowledged <= moved
    assert written(homes.ask(source, arrived)) == moved
    assert audited <= (beside := written(homes.ask(target, arrived, BESIDE)))
    assert written(homes.ask(source, arrived, BESIDE)) == beside
    shot("verify", 5)
    assert "are the same on both sides" in homes.move("verify", **way)
    # After it, back with what was written there since.
    homes.ask(target, f"insert into written values ({-first})")
    homes.ask(target, f"insert into written values ({-first})", BESIDE)
    homes.key(target, "set", "job", "second")
    shot("back", 7)
    assert not (homes.writable(source) and homes.writable(target))
    homes.move("back", **way)
    only(source)
    assert homes.ask(source, f"select count(*) from written where number = {-first}") == "1"
    assert homes.ask(source, f"select count(*) from written where number = {-first}", BESIDE) == "1"
    assert homes.key(source, "get", "job") == "second"
    homes.move("switch", **{**way, "migrate_replace": True})
    shot("finish", 5)
    homes.move("finish", **way)
    only(target)
    for home in (source, target):
        assert homes.ask(home, "select count(*) from pg_replication_slots") == "0"
    assert homes.open_ways() == []
    print(f"{source} to {target}: killed in {', '.join(struck)}, follow and switch twice")
    assert len(struck) >= 3
