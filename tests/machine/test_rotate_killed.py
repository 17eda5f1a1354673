"""A rotation of every password and certificate that is killed on its way, with a standby and clients that write all along."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from rehearsal import server
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.database import READER, Database, Writer, project
from tests.machine.interrupted import KILLED, killed_at_task

NAME = "rotate-test"
DROPLETS = [
    {"name": "db-1", "groups": ["postgres"], "size": "s-1vcpu-1gb", "volumes": [{"name": "data", "size": 1}]},
    {"name": "db-2", "groups": ["postgres", "redis", "app"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 2}]},
]
GIVEN = {"digitalocean_ip_range": ip_range(10), "machine_timeout": 15, "postgres_container_synchronous": True, "backup_bucket": ""}
SECRETS = "cd /etc/berth && find . -path '*secrets*' -type f -exec sha256sum {} +; sha256sum /etc/berth/authority/* /etc/berth/*/tls/* 2> /dev/null"
pytestmark = [pytest.mark.docker, at_length("half an hour")]


class Pair(Database):
    """The two droplets."""

    def sound(self) -> bool:
        """Whether everything is as it has to be once a rotation is through."""
        with_one = "select count(*) from pg_authid where rolname like 'rotate_test%' and rolpassword is not null"
        logins = self.on("db-1", f'docker exec -u postgres berth-postgres psql -qAt -c "{with_one}"').strip()
        follows = 'docker exec -u postgres berth-postgres psql -qAt -c "select status from pg_stat_wal_receiver"'
        return (logins, self.on("db-2", follows).strip(), self.cached("incr rotations").isdigit()) == ("1", "streaming", True)


@pytest.fixture(scope="module")
def pair(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    server.digitalocean()
    folder = project(tmp_path_factory.mktemp("pair") / "pair", READER)
    found = Pair(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=GIVEN)
    found.given["app_compose_keep"] = ["writer", "reader"]
    found.output = found.run("site.yml")
    found.ask("create table written (number int)")
    yield found
    found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def test_a_rotation_reaches_the_standby_and_every_write_goes_on(pair: Pair):
    before = {name: set(pair.on(name, SECRETS).splitlines()) for name in ("db-1", "db-2")}
    writer = Writer(pair)
    writer.start()
    said = pair.run("rotate.yml", "-vvv")
    acknowledged = writer.stop()
    assert len(acknowledged) > 20
    assert set(acknowledged) <= pair.written()
    print(f"a rotation with a standby: {writer.gap:.1f} s at most between two writes")
    assert writer.gap < 5
    for name in ("db-1", "db-2"):
        word = pair.on(name, "cat /etc/berth/postgres/secrets/replication").strip()
        assert len(word) == 48
        assert word not in said
        kept = [line for line in pair.on(name, SECRETS).splitlines() if line in before[name]]
        # The user that is not in use keeps its file, whose password opens nothing.
        assert len([line for line in kept if "second" not in line and "app" not in line]) == 0, kept
    assert eventually(pair.sound)
    pair.run("site.yml")
    assert (pair.standing("db-1"), pair.standing("db-2")) == ("f", "t")


def test_killed_at_tasks_and_run_again_a_rotation_ends_and_no_write_is_lost(pair: Pair):
    given = {"digitalocean_droplets": DROPLETS, **GIVEN, "app_compose_keep": ["writer", "reader"]}
    there = Cloud(pair.environment, "inventories/digitalocean")
    told = ("-e", f"app_name={NAME}", "-e", f"app_project={pair.project}", "-e", json.dumps(given))
    writer = Writer(pair, first=100_000)
    writer.start()
    kills, code, gap = 0, KILLED, 0.0
    while code == KILLED:
        code, said = killed_at_task(there, 6 + 3 * kills, "rotate.yml", *told)
        kills += 1
        if writer.gap > max(gap, 3):
            gap = writer.gap
            print(f"{gap:.1f} s without a write by the end of run {kills}: {writer.worst}; {said.splitlines()[-12:]}")
    assert code == 0, said[-6000:]
    acknowledged = writer.stop()
    print(f"killed {kills - 1} times: {len(acknowledged)} writes, {writer.gap:.1f} s at most between two of them")
    assert kills > 10
    assert set(acknowledged) <= pair.written()
    assert writer.gap < 15
    assert eventually(pair.sound)
    assert "failed=0" in there.playbook("site.yml", *told).stdout
