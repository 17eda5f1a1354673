"""Three Redis on three droplets, of which one takes over by itself when the primary is lost; measured by what a client sees."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from berth.migration_stores import Stores

from rehearsal import server
from rehearsal.digitalocean import machines
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.database import READER, Database, Writer, changed_tasks
from tests.machine.interrupted import sweep_tasks

NAME = "sentinel-test"
COMPOSE = "services:\n" + READER.replace("reader:", "writer:")
# It checks the certificate as the app's own client would, by the variables that the app has.
ASK = (
    "at=${REDIS_URL#*@}; word=${REDIS_URL#*://*:}; REDISCLI_AUTH=${word%%@*} timeout 5 redis-cli -e --no-auth-warning --tls "
    "--cacert $SSL_CERT_FILE --sni ${at%%[:/]*} -h ${at%%[:/]*}"
)
SIZE: dict[str, Any] = {"size": "s-1vcpu-1gb", "volumes": [{"name": "data", "size": 1}]}
ONE = [{"name": "cache-1", "groups": ["redis"], **SIZE}, {"name": "cache-2", "groups": ["app"], **SIZE}]
THREE = [ONE[0], {"name": "cache-2", "groups": ["redis", "app"], **SIZE}, {"name": "cache-3", "groups": ["redis"], **SIZE}]
GIVEN: dict[str, Any] = {"digitalocean_ip_range": ip_range(11), "machine_timeout": 15}
# The most that the loss of a primary may take from a client.
SECONDS = 30
NAMES = ("cache-1", "cache-2", "cache-3")
INSIDE = (
    "docker exec -i -e REDISCLI_AUTH=$(cat /etc/berth/redis/secrets/operator) berth-redis redis-cli --tls --insecure --user operator "
    "--no-auth-warning"
)
pytestmark = [pytest.mark.docker, at_length("minutes")]


class Cache(Database):
    """Droplets with Redis, one of them with the app too."""

    def ask(self, query: str, seconds: int = 5) -> str:  # noqa: ARG002
        done = subprocess.run(
            self.client(f"{ASK} {query}"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise OSError(done.stdout[-500:] + done.stderr[-500:])
        return done.stdout.strip()

    def write(self, number: int) -> None:
        if self.ask(f"sadd written {number}") not in ("0", "1"):
            raise OSError("not acknowledged")

    def written(self) -> set[int]:
        return {int(each) for each in self.ask("smembers written").split()}

    def inside(self, name: str, words: str) -> str:
        """What the server on a droplet answers to its operator."""
        return self.on(name, f"{INSIDE} {words}").replace("\r", "").strip()

    def role(self, name: str) -> str:
        """``master``, ``connected`` (it follows), or what else there is."""
        said = self.inside(name, "role").split("\n")
        return said[0] if said[0] == "master" else said[3] if len(said) > 3 else ""

    def primary(self, without: str = "") -> str:
        """Which takes writes. ``without``: one that is switched off, and is not asked."""
        return next((name for name in NAMES if name != without and self.role(name) == "master"), "")

    def whole(self) -> bool:
        """Whether one takes writes and two follow, all of which could take over."""
        if sorted(self.role(name) for name in NAMES) != ["connected", "connected", "master"]:
            return False
        return sum(self.inside(name, "config get replica-priority").split() == ["replica-priority", "100"] for name in NAMES) == 3


@pytest.fixture(scope="module")
def three(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cache]:
    """One that has data, and then two more."""
    server.digitalocean()
    folder: Path = tmp_path_factory.mktemp("three") / "three"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    found = Cache(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=ONE, given=GIVEN)
    found.run("site.yml")
    found.write(0)
    found.droplets = THREE
    found.output = found.run("site.yml")
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def away_from_the_app(cache: Cache) -> str:
    """The primary, on a droplet that the app is not on."""
    assert eventually(cache.whole, 120)
    if cache.primary() == "cache-2":
        cache.on("cache-2", "docker restart berth-redis")
        assert eventually(cache.whole, 120)
    assert cache.primary() != "cache-2"
    return cache.primary()


def test_two_more_follow_the_one_that_was_there(three: Cache):
    assert eventually(three.whole, 60)
    assert three.primary() == "cache-1"
    assert three.ask("smembers written") == "0"
    three.write(1)
    for name in NAMES:
        assert eventually(lambda name=name: three.inside(name, "scard written") == "2")
    said = three.run("status.yml")
    assert "cache-1, primary, followed by 2" in said, said
    assert re.search(r"cache-3, follows 10\.[\d.]+, which is up", said), said
    # The proxy knows at once that one does not lead: a check that waits for more to be said sees seconds later who has taken over.
    assert "Layer7 timeout" not in three.on("cache-2", "docker logs berth-proxy 2>&1")


def test_a_second_run_changes_nothing_and_shows_no_password(three: Cache):
    secrets = three.on("cache-1", "cd /etc/berth/redis/secrets; for each in *; do cat $each; echo; done").split()
    said = three.run("site.yml", "-vvv")
    assert len(secrets) >= 4
    assert not [each for each in secrets if each in said]
    assert changed_tasks(said) == []
    for name in NAMES:
        everything = three.on(name, "ps -eww -o args; docker inspect berth-redis berth-sentinel")
        assert not [each for each in secrets if each in everything]


def test_a_primary_that_is_lost_is_replaced_by_itself_and_no_acknowledged_write_is_missing(three: Cache):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 1000)
    number = three.droplet(before)["id"]
    machines.power(number, on=False, hard=True)
    try:
        writer.goes_on()
        acknowledged = writer.stop()
        print(f"a primary that was switched off: {writer.gap:.1f} s without a write")
        assert writer.gap < SECONDS
        assert set(acknowledged) <= three.written()
    finally:
        writer.ended.set()
        machines.power(number, on=True)
    # It comes back by itself, as one that follows.
    assert eventually(three.whole, 120)
    assert three.primary() != before
    assert set(acknowledged) <= three.written()
    # Who leads takes the backups, and has a first one of its own.
    assert all(each.startswith("backup : ") for each in changed_tasks(three.run("site.yml")))
    assert changed_tasks(three.run("site.yml")) == []


def test_a_primary_that_stands_still_and_goes_on_takes_no_write_any_more(three: Cache):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 2000)
    with three.standing_still(before):
        writer.goes_on()
        print(f"a primary that stood still: {writer.gap:.1f} s without a write")
    assert eventually(three.whole, 120)
    acknowledged = writer.stop()
    assert writer.gap < SECONDS
    assert three.primary() != before
    assert set(acknowledged) <= three.written()


def test_a_primary_that_is_cut_off_from_the_others_takes_no_write_any_more(three: Cache):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 3000)
    with three.cut_off(before):
        writer.goes_on()
        print(f"a primary that was cut off: {writer.gap:.1f} s without a write")
        # Whoever reaches it all the same is told that it takes none.
        said = three.inside(before, "sadd written 999999 2>&1 || true")
        assert "NOREPLICAS" in said, said
    assert eventually(three.whole, 120)
    acknowledged = writer.stop()
    assert writer.gap < SECONDS
    assert three.primary() != before
    assert set(acknowledged) <= three.written()
    assert 999999 not in three.written()


def test_a_server_that_crashes_leaves_the_lead_to_one_that_has_all(three: Cache):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 4000)
    three.on(before, "pkill -9 redis-server || pkill -9 -f redis-server")
    writer.goes_on()
    acknowledged = writer.stop()
    print(f"a server that was killed: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    assert eventually(three.whole, 120)
    assert three.primary() != before


def test_a_machine_that_leads_hands_over_before_it_is_restarted_for_its_packages(three: Cache):
    before = away_from_the_app(three)
    three.on(before, "touch /run/reboot-required")
    writer = Writer.begun(three, 5000)
    said = three.run("patch.yml")
    assert re.search(rf"{before}: [^;]*; a restart is due", said), said[-1500:]
    acknowledged = writer.stop()
    print(f"a restart for packages: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS / 2
    assert set(acknowledged) <= three.written()
    assert eventually(three.whole, 120)
    assert three.primary() != before


def test_machines_get_another_size_one_after_another_and_who_leads_hands_over(three: Cache):
    before = away_from_the_app(three)
    writer = Writer.begun(three, 5500)
    three.droplets = [each if each["name"] == "cache-2" else {**each, "size": "s-1vcpu-2gb"} for each in THREE]
    three.run("site.yml")
    acknowledged = writer.stop()
    print(f"other sizes: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS / 2
    assert set(acknowledged) <= three.written()
    assert [three.droplet(name)["size_slug"] for name in NAMES] == ["s-1vcpu-2gb", "s-1vcpu-1gb", "s-1vcpu-2gb"]
    assert eventually(three.whole, 120)
    assert three.primary() != before
    assert changed_tasks(three.run("site.yml")) == []


def test_new_settings_reach_all_of_them_one_after_another(three: Cache):
    assert eventually(three.whole, 120)
    writer = Writer.begun(three, 6000)
    three.run("site.yml", redis_container_settings={"databases": "20"})
    acknowledged = writer.stop()
    print(f"a setting that needs a restart: {writer.gap:.1f} s without a write")
    for name in NAMES:
        assert three.inside(name, "config get databases").split() == ["databases", "20"]
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    three.run("site.yml")
    assert eventually(three.whole, 60)


def test_new_passwords_and_certificates_while_the_app_goes_on(three: Cache):
    kept = "cat /etc/berth/redis/secrets/app /etc/berth/redis/secrets/replica /etc/berth/redis/secrets/sentinel /etc/berth/authority/ca.pem"
    before = {name: three.on(name, kept) for name in NAMES}
    writer = Writer.begun(three, 7000)
    three.run("rotate.yml")
    acknowledged = writer.stop()
    print(f"a rotation: {writer.gap:.1f} s without a write")
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    after = {name: three.on(name, kept) for name in NAMES}
    assert all(after[name] != before[name] for name in NAMES)
    assert len({each[:144] for each in after.values()}) == 1
    # Whoever was told anew comes in anew too.
    away = away_from_the_app(three)
    three.on(away, "docker restart berth-redis berth-sentinel")
    assert eventually(three.whole, 120)
    # What led the app to them forgets the old authorities.
    assert all(each.startswith(("store_proxy : ", "backup : ")) for each in changed_tasks(three.run("site.yml")))
    assert changed_tasks(three.run("site.yml")) == []


def test_a_move_lets_none_of_them_take_writes_also_not_one_that_takes_over(three: Cache, tmp_path: Path):
    away_from_the_app(three)
    told = tmp_path / "endpoints.json"
    three.run("endpoints.yml", "-e", f"endpoints_file={told}")
    stores = Stores(NAME, json.loads(told.read_text())["endpoints"], NAME, fresh=False)
    stores.writes(allowed=False)
    before = three.primary()
    with pytest.raises(OSError, match="NOREPLICAS"):
        three.write(9500)
    machines.power(three.droplet(before)["id"], on=False, hard=True)
    try:
        assert eventually(lambda: three.primary(without=before))
        said = three.inside(three.primary(without=before), "sadd written 9501 2>&1 || true")
        assert "NOREPLICAS" in said, said
    finally:
        machines.power(three.droplet(before)["id"], on=True)
    assert eventually(three.whole, 120)
    # Nor one that was restarted meanwhile.
    for name in NAMES:
        assert int(three.inside(name, "config get min-replicas-to-write").split()[1]) > 100
    three.run("endpoints.yml", "-e", f"endpoints_file={told}")
    Stores(NAME, json.loads(told.read_text())["endpoints"], NAME, fresh=False).writes(allowed=True)
    assert eventually(lambda: three.write(9502) or True)
    assert three.written().isdisjoint({9500, 9501})
    for name in NAMES:
        assert three.inside(name, "config get min-replicas-to-write").split()[1] == "1"


def test_killed_at_tasks_and_run_again_a_rotation_ends_and_no_write_is_lost(three: Cache):
    given = {"digitalocean_droplets": THREE, **GIVEN, "app_compose_keep": ["writer"]}
    there = Cloud(three.environment, "inventories/digitalocean")
    told = ("-e", f"app_name={NAME}", "-e", f"app_project={three.project}", "-e", json.dumps(given))
    writer = Writer.begun(three, 100_000)
    kills = sweep_tasks(there, 25, 9, "rotate.yml", *told)
    acknowledged = writer.stop()
    print(f"killed {kills} times: {len(acknowledged)} writes, {writer.gap:.1f} s at most between two of them; {writer.worst}")
    assert kills > 5
    assert writer.gap < SECONDS
    assert set(acknowledged) <= three.written()
    secrets = {three.on(name, "cd /etc/berth/redis/secrets; ls; cat app replica sentinel") for name in NAMES}
    assert len(secrets) == 1
    assert not re.search(r"\.(new|old|gone)", secrets.pop())
    assert eventually(three.whole, 120)
    assert "failed=0" in there.playbook("site.yml", *told).stdout


def test_one_that_lost_its_volume_comes_back_with_a_copy(three: Cache):
    away = away_from_the_app(three)
    three.on(away, "docker rm -f berth-redis berth-sentinel; rm -rf /mnt/data/redis /mnt/data/sentinel")
    assert eventually(lambda: three.primary() not in ("", away), 60)
    writer = Writer.begun(three, 8000)
    acknowledged = writer.stop()
    three.run("site.yml")
    assert eventually(three.whole, 120)
    assert eventually(lambda: int(three.inside(away, "scard written")) == len(three.written()))
    assert set(acknowledged) <= three.written()
    assert changed_tasks(three.run("site.yml")) == []


def test_all_of_them_come_back_after_they_were_switched_off(three: Cache):
    assert eventually(three.whole, 120)
    three.write(8500)
    there = three.written()
    numbers = [three.droplet(name)["id"] for name in NAMES]
    for number in numbers:
        machines.power(number, on=False, hard=False)
    for number in numbers:
        machines.power(number, on=True)
    assert eventually(three.whole, 180)
    assert eventually(three.written) == there


def test_a_restore_takes_the_place_on_all_of_them(three: Cache):
    assert eventually(three.whole, 120)
    there = three.written()
    three.run("backup.yml")
    three.write(9000)
    said = three.run("restore.yml", "-e", "restore_store=redis", "-e", "restore_to=latest", "-e", f"restore={NAME}")
    assert "It serves now" in said
    assert eventually(three.whole, 120)
    assert eventually(three.written) == there
    for name in NAMES:
        assert three.inside(name, "sismember written 9000") == "0"
    assert changed_tasks(three.run("site.yml")) == []
