"""Moves of Postgres between all pairs of homes in the rehearsal, against a dump and a restore that are typed by hand."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.moves import SCALES
from benchmarks.running import run
from rehearsal import containers, images, server, stack

NAME, IMAGE = "benchhomes", "postgres:17"
LOCAL, DROPLET, AWS = "inventories/local", "inventories/digitalocean", "inventories/aws"
# Each pair once, so that each begins where the one before ended.
ROUND = (LOCAL, DROPLET, AWS, LOCAL, AWS, DROPLET, LOCAL)
COMPOSE = f"""services:
  postgres:
    image: {IMAGE}
    command: [postgres, -c, wal_level=logical]
    environment: {{POSTGRES_USER: shop, POSTGRES_DB: shop, POSTGRES_PASSWORD: bench}}
    healthcheck: {{test: [CMD-SHELL, pg_isready --host 127.0.0.1 --username shop], interval: 1s, retries: 60}}
  page:
    image: nginx:1.28
    environment: {{DATABASE_URL: "postgresql://shop:bench@postgres/shop"}}
    depends_on: {{postgres: {{condition: service_healthy}}}}
"""
GIVEN = {
    "app_name": NAME,
    "digitalocean_droplets": [
        {"name": "db-1", "groups": ["postgres", "app"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 10}]}
    ],
    "postgres_container_settings": {"wal_level": "logical"},
    "backup_bucket": "",
    "aws_profile": "small",
    "postgres_rds_parameters": {"rds.logical_replication": "1"},
}
DUMP = "rm -rf /tmp/dump && pg_dump -Fd -j 2 -f /tmp/dump {database} && tar -C /tmp -cf - dump"
RESTORE = (
    "dropdb --if-exists --force bare && createdb bare && rm -rf /tmp/dump && tar -C /tmp -xf - && "
    "pg_restore -j 2 --no-owner --no-acl -d bare /tmp/dump && psql -qc analyze bare"
)
CLEAN = "dropdb --if-exists --force bare; rm -rf /tmp/dump"


@dataclass
class Home:
    """A home's Postgres as its administrator reaches it: ``shell`` takes a command that runs beside the server, as its superuser."""

    inventory: str
    database: str
    shell: list[str]
    # The user that the app has there, where that is another.
    user: str = ""
    # Whether a shell on the way reads the command once more.
    quoted: bool = False

    def words(self, command: str) -> list[str]:
        if self.quoted:
            return [*self.shell, "sh", "-ec", "'" + command.replace("'", "'\\''") + "'"]
        return [*self.shell, "sh", "-ec", command]

    def do(self, command: str) -> str:
        return subprocess.run(self.words(command), capture_output=True, text=True, check=True).stdout


@dataclass
class Playbooks:
    """Their variables, and the folder where a move notes where it is."""

    given: dict[str, object]
    folder: str

    def run(self, name: str, inventory: str = "", **more: object) -> str:
        """What one says, on one line."""
        where = ("-i", inventory) if inventory else ()
        words = ("ansible-playbook", *where, f"playbooks/{name}.yml", "-e", json.dumps({**self.given, **more}))
        return " ".join(run(*words, environment={"XDG_DATA_HOME": self.folder}).split())

    def migrate(self, source: Home, target: Home, phase: str) -> tuple[str, float]:
        """What a phase says, and how long it takes, in seconds."""
        way = {"from": source.inventory, "to": target.inventory, "migrate": phase, "migrate_replace": True}
        begin = time.perf_counter()
        return self.run("migrate", **way), time.perf_counter() - begin


@contextmanager
def homes() -> Iterator[tuple[dict[str, Home], Playbooks]]:
    """The three of them, and how playbooks are run on them."""
    server.down()
    images.ensure([IMAGE])
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as root:
        project = Path(root) / "project"
        project.mkdir()
        (project / "compose.yaml").write_text(COMPOSE)
        playbooks = Playbooks({**GIVEN, "app_project": str(project)}, root)
        try:
            server.digitalocean(["nginx:1.28"])

            def stores_of_aws() -> None:
                for playbook in ("platform", "data_tier"):
                    playbooks.run(playbook, AWS)

            with ThreadPoolExecutor() as pool:
                begun = [pool.submit(stores_of_aws)]
                begun += [pool.submit(playbooks.run, "site", each) for each in (LOCAL, DROPLET)]
                for each in begun:
                    each.result()
            yield {each.inventory: each for each in (_local(), _droplet(), _aws())}, playbooks
        finally:
            subprocess.run(["docker", "compose", "--project-name", NAME, "down", "--volumes"], capture_output=True, check=False)
            server.down()


def _local() -> Home:
    settings = ("--env", "PGUSER=shop")
    return Home(LOCAL, "shop", ["docker", "exec", "-i", *settings, f"{NAME}-postgres-1"])


def _droplet() -> Home:
    droplet = next(iter(stack.account().droplets.list()["droplets"]))
    address = next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == "public")
    found = server.environment()
    ssh = ["ssh", "-i", found["BERTH_SSH_KEY"], "-o", f"UserKnownHostsFile={found['BERTH_KNOWN_HOSTS']}", f"root@{address}"]
    return Home(DROPLET, NAME, [*ssh, "docker exec -i --user postgres berth-postgres"], quoted=True)


def _aws() -> Home:
    """Its server itself, which on AWS nobody reaches: what is typed by hand there takes longer."""
    found = containers.find("rds", f"berth-{NAME}")[0].name
    return Home(AWS, NAME, ["docker", "exec", "-i", "--user", "postgres", "--env", "PGUSER=rdsadmin", found], user=NAME)


def by_hand(source: Home, target: Home) -> float:
    """Seconds of a dump into a folder, its way to the other machine, and its restore, each with as many workers as there are processors."""
    begin = time.perf_counter()
    with subprocess.Popen(source.words(DUMP.format(database=source.database)), stdout=subprocess.PIPE) as dump:
        subprocess.run(target.words(RESTORE), stdin=dump.stdout, check=True)
    taken = time.perf_counter() - begin
    for each in (source, target):
        each.do(CLEAN)
    return taken


def measure() -> Iterator[str]:
    """A round through the three homes for each size; a line for each pair."""
    yield (
        "move of Postgres between homes | size | copied | pg_dump -Fd -j 2, its files taken over, pg_restore -j 2, analyze | throughput, ours / "
        "that | migrate.yml -e migrate=copy, whole | follow, whole | writes paused at the switch"
    )
    with homes() as (found, playbooks):
        for title, scale in SCALES.items():
            first = found[LOCAL]
            first.do(
                f"pgbench --initialize --quiet --scale={scale} shop && psql -qc 'alter table pgbench_history replica identity full' shop"
            )
            for before, after in pairwise(ROUND):
                yield pair(title, found[before], found[after], playbooks)


def pair(title: str, source: Home, target: Home, playbooks: Playbooks) -> str:
    """A move and its measures, on a line."""
    bare = by_hand(source, target)
    said, whole = playbooks.migrate(source, target, "copy")
    copied = re.search(r"MB \(compressed\) in ([0-9.]+) s", said)
    client = f"exec pgbench --no-vacuum --client=5 --rate=50 --time=600 {source.database}"
    writing = source.words(f"export PGUSER={source.user}; {client}" if source.user else client)
    with subprocess.Popen(writing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as writers:
        _said, followed = playbooks.migrate(source, target, "follow")
        said, _seconds = playbooks.migrate(source, target, "switch")
        # Their sessions were ended.
        writers.wait(30)
    playbooks.migrate(source, target, "finish")
    paused = re.search(r"writes paused for ([0-9.]+) s", said)
    ours = float(copied[1]) if copied else float("nan")
    way = " → ".join(each.inventory.removeprefix("inventories/") for each in (source, target))
    return f"  {way} | {title} | {ours:.1f} s | {bare:.1f} s | {bare / ours:.2f} | {whole:.1f} s | {followed:.1f} s | {paused[1] if paused else '?'} s"
