"""Backups of Postgres, Redis and the app's volumes on a droplet: taken, restored beside it and in its place, rehearsed, and brought back after all else is lost."""

from __future__ import annotations

import contextlib
import http.server
import json
import random
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from rehearsal import containers, server, stack
from rehearsal.digitalocean import machines, spaces
from tests.machine import ledger
from tests.machine.conftest import EVERY, Cloud, at_length, eventually, ip_range
from tests.machine.database import Database, Writer, project
from tests.machine.ledger import COPIES, Kept
from tests.machine.load import Load
from tests.machine.moving import closed

pytestmark = pytest.mark.docker
NAME = "backup-test"
DROPLETS = [
    {"name": "db-1", "groups": ["postgres", "redis", "app", "accessories"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 2}]}
]


class Alarms(http.server.BaseHTTPRequestHandler):
    """A chat service, as far as an alarm knows it."""

    said: list[str]

    def do_POST(self) -> None:
        self.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def alarms(cloud: Cloud) -> Iterator[tuple[str, list[str]]]:
    """Where alarms go, and those that came."""
    assert cloud  # whose network it listens on
    said: list[str] = []
    listener = http.server.ThreadingHTTPServer((containers.gateway(), 0), type("Listener", (Alarms,), {"said": said}))
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    yield f"http://{listener.server_address[0]}:{listener.server_address[1]}/hook", said
    listener.shutdown()


@pytest.fixture(scope="module")
def database(cloud: Cloud, alarms: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server.digitalocean(["node:22-slim"])
    given = {
        "app_accessories": ["ledger"],
        "digitalocean_ip_range": ip_range(3),
        "backup_alarm_url": alarms[0],
        "postgres_container_archive_seconds": 5,
    }
    folder = project(tmp_path_factory.mktemp("backup") / "backup", "  redis:\n    image: redis:8\n" + ledger.YAML)
    found = Database(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=given)
    found.output = found.run("site.yml")
    found.ask("create table written (number int, at timestamptz default clock_timestamp())")
    yield found
    Writer.stop_all()
    spaces.fail()
    found.put_away(*found.told())


@pytest.fixture(scope="module")
def kept(database: Database) -> Kept:
    """The volumes of the same app."""
    return Kept(NAME, "", database.environment, "", "digitalocean", project=database.project, machine="db-1")


def keeper(database: Database, command: str) -> dict[str, Any]:
    """What the machine's own command answers."""
    said = database.on("db-1", f"berth-backup postgres {command}")
    found: dict[str, Any] = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    return found


def redis(database: Database, command: str, container: str = "berth-redis") -> str:
    """What Redis answers to the app's user."""
    client = "redis-cli --tls --cacert /etc/berth/tls/ca.pem --no-auth-warning"
    return database.on("db-1", f"docker exec -e REDISCLI_AUTH=$(cat /etc/berth/redis/secrets/app) {container} {client} {command}").strip()


def beside(database: Database, query: str) -> str:
    """What the server answers that was restored beside the running one."""
    return database.on("db-1", f'docker exec -u postgres berth-postgres-restored psql -qAt -d backup_test -c "{query}"').strip()


def test_a_new_database_has_a_backup_and_the_status_says_so(database: Database):
    said = database.run("status.yml")
    assert len(re.findall(r"(?:postgres|redis|app) +1 backup, the newest of \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ; no drill yet", said)) == 3, (
        said
    )
    timers = database.on("db-1", "systemctl list-timers --all")
    assert all(f"berth-{store}-{each}.timer" in timers for store in ("postgres", "redis", "app") for each in ("backup", "watch", "drill"))


def test_a_second_run_changes_nothing_and_no_secret_is_shown_or_readable(database: Database):
    said = database.run("site.yml", "-vvv", "--diff")
    assert not re.search(r"changed=[1-9]", said), said[-1500:]
    assert spaces.PASSPHRASE not in said
    assert spaces.SECRET_KEY not in said
    held = database.on(
        "db-1", f"grep -rl '{spaces.PASSPHRASE}' /etc /usr/local /var/lib/berth /mnt/data 2>/dev/null | xargs stat -c '%a %n'"
    )
    known = ("app/repository.json", "postgres/conf/pgbackrest.conf", "redis/repository.json")
    assert sorted(held.splitlines()) == [f"600 /etc/berth/{each}" for each in known]


def test_a_moment_between_two_writes_holds_the_first_and_not_the_second(database: Database):
    database.ask("insert into written values (1)")
    time.sleep(1.1)
    between = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    time.sleep(1.1)
    database.ask("insert into written values (2)")
    said = database.run("restore.yml", "-e", f"restore_to={between}")
    assert "The running one was not touched" in said
    assert beside(database, "select number from written") == "1"
    assert database.written() == {1, 2}
    database.run("restore.yml", "-e", "restore_to=none")
    assert "berth-postgres-restored" not in database.on("db-1", "docker ps --all; ls /mnt/data")


REFUSED = {
    "the future": ("2090-01-01T00:00:00Z", "which is in the future"),
    "before the first backup": ("2001-01-01", "the first backup ended at"),
    "what is no time": ("yesterday", "give latest, a time such as"),
    "another name": ("restore=other", f"this stack is called {NAME}"),
    "another major release": ("postgres_container_version=16", "the data on db-1-postgres is that of 17"),
    "another passphrase": ("backup_passphrase=another", "backup_passphrase is not the one that it was made with"),
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_restored_is_refused_and_nothing_is_touched(database: Database, given: tuple[str, str]):
    before = database.on("db-1", "md5sum /etc/berth/postgres/conf/* /etc/berth/postgres/backup.json; ls /mnt/data; docker ps -q")
    # What the machine's own command refuses, the playbook says in its words.
    said = (
        database.run("restore.yml", "-e", given[0], succeeds=False) if "=" in given[0] else keeper(database, f"restore {given[0]}")["msg"]
    )
    assert given[1] in said
    assert database.on("db-1", "md5sum /etc/berth/postgres/conf/* /etc/berth/postgres/backup.json; ls /mnt/data; docker ps -q") == before


@contextlib.contextmanager
def moved_away(database: Database, folder: Path) -> Iterator[None]:
    """Meanwhile its stores are as a move leaves them."""
    database.run("endpoints.yml", "-e", f"endpoints_file={folder}/told.json")
    with closed(json.loads((folder / "told.json").read_text())["endpoints"]):
        yield


def test_a_restored_database_takes_the_running_ones_place_when_the_name_is_typed(database: Database, tmp_path: Path):
    found = keeper(database, "backup")
    database.ask("insert into written values (3)")
    with moved_away(database, tmp_path):
        said = database.run("restore.yml", "-e", f"restore_to={found['id']}", "-e", f"restore={NAME}", succeeds=False)
        assert "Postgres takes no writes since its data was moved away with playbooks/migrate.yml" in said
        with pytest.raises(OSError, match="read-only"):
            database.ask("insert into written values (33)")
        assert database.run("status.yml").count("takes no writes, since its data was moved away with playbooks/migrate.yml") == 2
    # The backup knows the passwords of before.
    database.run("rotate.yml")
    said = database.run("restore.yml", "-e", f"restore_to={found['id']}", "-e", f"restore={NAME}")
    assert "It serves now. The data that was in its place is in /mnt/data/postgres.before-" in said
    # The app goes on with the address and the password that it has.
    assert eventually(lambda: database.written()) == {1, 2}
    database.ask("insert into written values (4)")
    if EVERY:
        assert not re.search(r"changed=[1-9]", database.run("site.yml"))
    database.run("restore.yml", "-e", f"restore_forget={NAME}")
    assert database.on("db-1", "ls /mnt/data").split() == ["postgres", "redis"]


def test_a_drill_finds_what_was_recorded_and_what_is_damaged_raises_an_alarm(database: Database, alarms: tuple[str, list[str]]):
    redis(database, "set kept 1")
    database.run("backup.yml", "-e", "backup_full=true")
    said = database.run("drill.yml")
    assert "1 keys of the 1 that the backup recorded" in said
    assert "3 rows in 1 tables are what the backup recorded" in said
    assert "pg_amcheck finds no damage" in said
    assert f"in {', '.join(f'{NAME}_{each}' for each in ledger.VOLUMES)} are what the backup recorded" in said
    assert f"app {NAME}-drill-ledger-1 runs on them" in said
    assert "drill" not in database.on("db-1", f"docker ps --all; ls /mnt/data {COPIES}")
    _damage()
    assert "damaged where it is stored" in keeper(database, "drill")["msg"]
    keeper(database, "watch")
    assert "damaged where it is stored" in alarms[1][-1]
    assert "FAILED" in database.run("status.yml")
    keeper(database, "backup --full")
    keeper(database, "drill")
    assert "well, restored in" in database.run("status.yml")
    keeper(database, "watch")
    assert alarms[1][-1].endswith("all is well again")


def test_a_restored_redis_takes_the_running_ones_place_when_the_name_is_typed(database: Database, tmp_path: Path):
    redis(database, "set later 1")
    said = database.run("restore.yml", "-e", "restore_store=redis", "-e", "restore_to=latest")
    assert "It lacks what was written since" in said
    assert redis(database, "keys '*'", "berth-redis-restored") == "kept"
    assert set(redis(database, "keys '*'").split()) == {"kept", "later"}
    with moved_away(database, tmp_path):
        said = database.run("restore.yml", "-e", "restore_store=redis", "-e", f"restore={NAME}", succeeds=False)
        assert "Redis takes no writes since its data was moved away" in said
        assert "NOREPLICAS" in redis(database, "set later 2")
    database.run("restore.yml", "-e", "restore_store=redis", "-e", f"restore={NAME}")
    assert redis(database, "keys '*'") == "kept"
    database.run("restore.yml", "-e", "restore_store=redis", "-e", f"restore_forget={NAME}")
    assert database.on("db-1", "ls /mnt/data").split() == ["postgres", "redis"]


def test_a_backup_of_volumes_is_of_one_moment_while_a_hundred_visitors_a_second_write_and_none_is_lost(kept: Kept):
    stood = []
    with Load(f"http://{kept.address('db-1')}") as load:
        time.sleep(1)
        for _each in range(5 if EVERY else 2):
            stood.append(kept.keeper("backup")["stood"])
            kept.keeper("restore latest")
            first, second = kept.numbers(f"{COPIES}/app.restored")
            assert first - second in (0, 1)
    assert load.lost == {}
    assert all(0 < each < 10 for each in stood)
    print(f"\n{load.asked} visitors, none lost; the app stood still for {stood} s, and the longest answer took {load.longest:.1f} s")
    # On what was restored the accessory runs, where nobody reaches it.
    assert kept.keeper("state")["beside"]["started"] == [f"{NAME}-restored-ledger-1"]
    shown = kept.here(f"docker inspect --format '{{{{json .NetworkSettings.Networks}}}}' {NAME}-restored-ledger-1")
    assert list(json.loads(shown)) == [f"{NAME}-restored_default"]
    assert first <= kept.ask()


def test_whatever_ends_a_backup_of_volumes_the_app_goes_on(kept: Kept):
    paused = "docker ps --quiet --filter status=paused"
    still = f"m = still(['{NAME}-accessories-ledger-1'], 60); m.__enter__()"
    code = f"from berth_backup.volumes import still; import time; {still}; time.sleep(50)"
    kept.here(f'nohup env PYTHONPATH=/usr/local/lib/berth python3 -c "{code}" > /tmp/still 2>&1 & sleep 2')
    assert kept.here(paused)
    kept.here("pkill -KILL -f berth_backup.volumes")
    eventually(lambda: not kept.here(paused).strip(), 10)
    assert kept.ask() > 0


def test_restored_volumes_take_the_place_of_those_that_are_there(database: Database, kept: Kept):
    kept.ask("/early")
    before = kept.ask()
    kept.keeper("backup")
    kept.ask("/late")
    last = [kept.ask() for _each in range(20)][-1]
    said = database.run("restore.yml", "-e", "restore_store=app", "-e", "restore_to=latest")
    assert "It lacks what was written since" in said
    assert kept.ask() == last + 1
    said = database.run("restore.yml", "-e", "restore_store=app", "-e", f"restore={NAME}")
    aside = re.search(rf"The data that was in its place is in ({COPIES}/app\.before-\S+);", said)
    assert aside, said[-1500:]
    assert eventually(kept.ask) == before + 1
    assert kept.uploads() == ["early"]
    assert kept.here(f"ls {aside[1]}/{NAME}_uploads").split() == ["early", "late"]
    assert kept.numbers(aside[1]) == [last + 1, last + 1]
    database.run("restore.yml", "-e", "restore_store=app", "-e", f"restore_forget={NAME}")
    assert kept.here(f"ls {COPIES}") == ""


def _damage() -> None:
    """Let a byte of the newest backup be another one."""
    environment = server.environment()
    client = boto3.client(
        "s3",
        endpoint_url=f"https://{environment['BERTH_BACKUP_ENDPOINT']}",
        verify=environment["BERTH_BACKUP_AUTHORITY"],
        region_name="fra1",
        aws_access_key_id=spaces.ACCESS_KEY,
        aws_secret_access_key=spaces.SECRET_KEY,
    )
    found = client.list_objects_v2(Bucket=spaces.BUCKET, Prefix=f"{NAME}/postgres/backup/main/")["Contents"]
    newest = max((each for each in found if "/bundle/" in each["Key"] and each["Size"] > 100_000), key=lambda each: each["LastModified"])
    content = bytearray(client.get_object(Bucket=spaces.BUCKET, Key=newest["Key"])["Body"].read())
    content[len(content) // 2] ^= 0xFF
    client.put_object(Bucket=spaces.BUCKET, Key=newest["Key"], Body=bytes(content))


def test_an_object_store_that_is_full_or_gone_is_said_and_the_database_goes_on(database: Database, alarms: tuple[str, list[str]]):
    spaces.fail("full")
    try:
        assert "the object store is full" in keeper(database, "backup")["msg"]
        database.ask("insert into written values (5)")
        keeper(database, "watch")
        assert "the object store is full" in alarms[1][-1]
        spaces.fail("gone")
        folder = database.on("db-1", "ls /mnt/data; docker ps --all --quiet")
        assert "the object store does not answer" in keeper(database, "restore latest")["msg"]
        assert database.on("db-1", "ls /mnt/data; docker ps --all --quiet") == folder
        assert 5 in database.written()
    finally:
        spaces.fail()
    assert keeper(database, "backup")["id"]


@pytest.mark.parametrize(
    "command",
    [
        "take",
        "backup",
        pytest.param("restore latest", marks=at_length("half a minute")),
        pytest.param("drill", marks=at_length("minutes")),
    ],
)
def test_a_command_that_is_killed_leaves_the_data_whole_and_can_be_run_again(database: Database, command: str):
    database.ask("insert into written values (6)")
    before = database.written()
    generator = random.Random(command)
    for _each in range(3 if EVERY else 1):
        if command == "take":
            keeper(database, "restore latest")
        seconds = generator.uniform(0.3, 4)
        database.on("db-1", f"timeout --signal=KILL {seconds:.2f} berth-backup postgres {command}; pkill -KILL -f berth_backup; true")
    # Whatever was cut off, the next command ends it, the playbook's or the machine's own.
    if EVERY:
        database.run("site.yml")
    else:
        keeper(database, "backup")
    assert command == "take" or "msg" not in keeper(database, command)
    assert eventually(lambda: database.written()) >= before
    database.run("restore.yml", "-e", "restore_to=none", "-e", f"restore_forget={NAME}")
    assert "msg" not in keeper(database, "backup")
    assert database.on("db-1", "ls /mnt/data").split() == ["postgres", "redis"]


@at_length("two minutes")
@pytest.mark.parametrize("command", ["backup --full", "restore latest"])
def test_a_network_that_is_cut_leaves_the_database_serving_and_the_repository_sound(database: Database, command: str):
    before = database.written()
    machine, store = machines.name_of(database.droplet("db-1")["id"]), containers.gateway()
    run = subprocess.Popen(["docker", "exec", machine, "berth-backup", "postgres", *command.split()], stderr=subprocess.PIPE, text=True)
    time.sleep(random.uniform(0.5, 2.5))
    # Not by SSH, which comes from the same address.
    route = ["docker", "exec", machine, "ip", "route"]
    subprocess.run([*route, "add", "blackhole", f"{store}/32"], check=True)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(12)
        assert database.written() == before
    finally:
        subprocess.run([*route, "del", "blackhole", f"{store}/32"], check=True)
    # It goes on, or has said why it ended.
    _none, said = run.communicate(timeout=240)
    assert run.returncode == 0 or "object store" in said or "archived" in said or "cannot be" in said, said
    assert "Traceback" not in said
    keeper(database, "backup")
    assert keeper(database, "drill")["checks"]
    assert database.written() == before
    keeper(database, "discard")


def test_a_machine_that_is_killed_under_load_comes_back_with_every_acknowledged_write(database: Database):
    postgres = "docker exec --user postgres berth-postgres"
    database.on("db-1", f"{postgres} createdb load && {postgres} pgbench --initialize --quiet --scale=5 load")
    machine = database.droplet("db-1")["id"]
    for number in range(3 if EVERY else 1):
        database.on("db-1", "docker exec --detach --user postgres berth-postgres pgbench --no-vacuum --client=4 --time=120 load")
        writer = Writer(database, first=10_000 * (number + 1))
        writer.start()
        eventually(lambda writer=writer: len(writer.acknowledged) > 5, 120)
        time.sleep(random.uniform(0, 3))
        machines.power(machine, on=False, hard=True)
        killed, acknowledged = time.monotonic(), list(writer.acknowledged)
        machines.power(machine, on=True)
        kept = eventually(lambda: database.written(), 120)
        print(f"\nanswers again {time.monotonic() - killed:.0f} s after it was killed; {len(acknowledged)} writes were acknowledged")
        writer.stop()
        assert set(acknowledged) <= kept
        # What pgbench keeps equal in each of its transactions.
        sums = "select (select sum(delta) from pgbench_history), (select sum(abalance) from pgbench_accounts), (select sum(tbalance) from pgbench_tellers)"
        found = database.on("db-1", f"{postgres} psql -qAt -d load -c '{sums}'").strip().split("|")
        assert found[0]
        assert len(set(found)) == 1
    database.on("db-1", f"{postgres} dropdb --force load")
    assert eventually(lambda: keeper(database, "backup"))["id"]


def test_a_machine_that_is_lost_with_its_volume_is_told_of_and_brought_back(database: Database, kept: Kept, alarms: tuple[str, list[str]]):
    kept.ask("/before")
    kept.keeper("backup")
    number = kept.ask()
    writer = Writer(database, first=1000)
    writer.start()
    # Some of them are archived, and some are not.
    eventually(lambda: len(writer.acknowledged) > 10, 60)
    since = database.ask("select extract(epoch from clock_timestamp())")
    eventually(lambda: database.ask(f"select extract(epoch from last_archived_time) > {since} from pg_stat_archiver") == "t", 60)
    before = len(writer.acknowledged)
    eventually(lambda: len(writer.acknowledged) > before + 2, 60)
    droplet = database.droplet("db-1")
    machines.power(droplet["id"], on=False, hard=True)
    lost = time.monotonic()
    acknowledged = writer.stop()
    # It raises no alarm of its own any more.
    said = database.run("status.yml", "-e", "status_alarm=true", "-e", "ansible_ssh_timeout=3", succeeds=False)
    assert re.search(r"platform +VPC ", said) and "postgres db-1-postgres does not answer" in said
    assert all(f"db-1-{each}: does not answer" in alarms[1][-1] for each in ("postgres", "redis", "app"))
    stack.account().droplets.destroy(droplet["id"])
    for each in droplet["volume_ids"]:
        eventually(lambda each=each: _gone(each))
    said = database.run("site.yml", succeeds=False)
    assert "holds no data, and berth-rehearsal/backup-test holds" in said
    assert "playbooks/restore.yml -e restore_store=postgres -e restore_to=latest" in said
    for store in ("postgres", "redis", "app"):
        database.run("restore.yml", "-e", f"restore_store={store}", "-e", "restore_to=latest")
    database.run("site.yml")
    # Whoever looks whether the app is well has asked, too.
    assert number <= kept.ask() < number + 20
    assert "before" in kept.uploads()
    assert redis(database, "get kept") == "1"
    written = eventually(lambda: database.written())
    missing = sorted(set(acknowledged) - written)
    # What was archived is there, and what is missing is the end of it.
    assert written & set(acknowledged)
    assert missing == acknowledged[len(acknowledged) - len(missing) :]
    print(f"\nbrought back in {time.monotonic() - lost:.0f} s; {len(missing)} of the last {len(acknowledged)} writes were not archived yet")


def _gone(volume: str) -> bool:
    stack.account().volumes.delete(volume)
    return True
