"""A project on this machine whose data is moved to another home, and clients that write into it meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker.errors
from berth.migration_stores import Stores

from rehearsal import containers
from rehearsal.digitalocean import machines
from rehearsal.rules import kill_tree
from tests.machine.conftest import ROOT

# Of this worker: another may move a project of its own meanwhile.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
NAME = f"moved{_WORKER or ''}"
DROPLETS = [{"name": "db-1", "groups": ["postgres", "redis", "app"], "size": "s-2vcpu-2gb", "volumes": [{"name": "data", "size": 2}]}]
# A database beside the app's own, which moves with it.
BESIDE = "audit"
COMPOSE = f"""services:
  db:
    image: postgres:17
    command: [postgres, -c, wal_level=logical]
    environment: {{POSTGRES_USER: shop, POSTGRES_DB: shop, POSTGRES_PASSWORD: "geheim'1"}}
    volumes: [rows:/var/lib/postgresql/data]
    healthcheck: {{test: [CMD-SHELL, pg_isready --host 127.0.0.1 --username shop], interval: 1s, retries: 60}}
  queue:
    image: redis:8
    command: [redis-server, --requirepass, geheim, --appendonly, "yes"]
    volumes: [jobs:/data]
  writer:
    image: postgres:17.7
    command: [sh, -c, "trap exit TERM; sleep infinity & wait"]
    environment:
      DATABASE_URL: "postgresql://shop:geheim%271@db/shop"
      AUDIT_DATABASE_URL: "postgresql://shop:geheim%271@db/{BESIDE}"
      REDIS_URL: redis://:geheim@queue:6379/0
    depends_on: {{db: {{condition: service_healthy}}}}
  page:
    image: nginx:1.28
    ports: ["127.0.0.1:{18099 + _WORKER}:80"]
volumes: {{rows: , jobs: }}
"""
TABLES = """create table sold (number int primary key, note text, at timestamptz default now());
create table loose (writer int, number int, weight numeric, raw bytea);
create sequence tickets; select nextval('tickets') from generate_series(1, 41);
create view heavy as select * from loose where weight > 1; create index on loose (writer);
insert into sold select i, repeat(md5(i::text), 4) from generate_series(1, 5000) i;
insert into loose select 0, i, i / 7.0, decode(md5(i::text), 'hex') from generate_series(1, 100) i"""


@dataclass
class Project:
    """The project on this machine. ``other``: the inventory of the other home; ``told``: variables that say what is there."""

    other: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Have it here, with something in it. What an earlier run left that was killed goes first."""
        self.stop()
        self.folder.mkdir()
        (self.folder / "compose.yaml").write_text(COMPOSE)
        self.playbook("inventories/local", "site.yml")
        self.here(f"create database {BESIDE}")
        for database in ("shop", BESIDE):
            self.here(TABLES, database)
        self.queue("set", "job", "first")
        self.queue("set", "soon", "x", "ex", "5000")
        self.queue("rpush", "list", "a", 'b\n"c\\')
        self.queue("hset", "hash", "field", "\x01\x02")
        self.queue("-n", "3", "sadd", "set", "1", "2")

    def stop(self) -> None:
        """Take it away."""
        subprocess.run(["docker", "compose", "--project-name", NAME, "down", "--volumes"], capture_output=True, check=False)

    def command(self, **given: object) -> list[str]:
        told = {"app_name": NAME, "app_project": str(self.folder), "app_compose_keep": ["writer"]}
        homes = {"from": "inventories/local", "to": self.other}
        return ["ansible-playbook", "playbooks/migrate.yml", "-e", json.dumps({**told, **self.told, **homes, **given})]

    def playbook(self, inventory: str, name: str, *arguments: str, succeeds: bool = True) -> str:
        told = {"app_name": NAME, "app_project": str(self.folder), **(self.told if inventory == self.other else {})}
        words = ["ansible-playbook", "-i", inventory, f"playbooks/{name}", "-e", json.dumps(told), *arguments]
        done = subprocess.run(words, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=900, check=False)
        assert (done.returncode == 0) is succeeds, done.stdout[-4000:] + done.stderr[-1000:]
        return " ".join((done.stdout + done.stderr).split())

    def move(self, phase: str, succeeds: bool = True, **given: object) -> str:
        """What a phase says, on one line."""
        words = self.command(migrate=phase, **given)
        done = subprocess.run(words, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600, check=False)
        said = " ".join((done.stdout + done.stderr).split())
        assert (done.returncode == 0) is succeeds, said[-5000:]
        assert "geheim" not in said
        return said

    def killed(self, after: str, seconds: float, phase: str = "switch", **given: object) -> None:
        """Begin a phase, and kill it some seconds after it has noted where it is."""
        run = subprocess.Popen(
            self.command(migrate=phase, **given), cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        self._wait(run, after, seconds)
        kill_tree(run.pid)
        run.wait()

    def _wait(self, run: subprocess.Popen[Any], after: str, seconds: float) -> None:
        note = Path(self.environment["XDG_DATA_HOME"]) / "berth" / "moves" / f"{NAME}.json"

        def there() -> bool:
            known = json.loads(note.read_text()) if note.is_file() else {"phase": ""}
            return bool(known["phase"] == after or (after == "last step" and known.get("last")))

        while run.poll() is None and not there():
            time.sleep(0.02)
        time.sleep(random.uniform(0, seconds))

    def cut(self, seconds: float, cut: Callable[[], None] | None = None, after: str = "switching", **given: object) -> str:
        """Begin a switch, and cut its way off, by default take the relay away, some seconds after writes were paused, or after ``after``.

        Returns what it said.
        """
        words = self.command(migrate="switch", **given)
        run = subprocess.Popen(
            words, cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self._wait(run, after, seconds)
        (cut or relays_end)()
        said, _nothing = run.communicate(timeout=300)
        return " ".join(said.split())

    def here(self, query: str, database: str = "shop") -> str:
        """What the project's own Postgres answers. Raises :class:`OSError`."""
        words = ["docker", "exec", f"{NAME}-db-1", "psql", "-U", "shop", "-qAt", "-d", database, "-c", query]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    def queue(self, *words: str) -> str:
        command = ["docker", "exec", "--env", "REDISCLI_AUTH=geheim", f"{NAME}-queue-1", "redis-cli", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@contextlib.contextmanager
def closed(told: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Stores that endpoints.yml has told of take no writes meanwhile, as after a move."""
    stores = Stores("the home", told, "", fresh=False)
    stores.writes(allowed=False)
    try:
        yield
    finally:
        stores.writes(allowed=True)


def relays_end() -> None:
    """No relay runs any more."""
    for each in containers.find("ecs"):
        with contextlib.suppress(docker.errors.APIError):
            each.kill()


Session = tuple[list[str], dict[str, str]]
HERE: Session = (["docker", "exec", "-i", f"{NAME}-db-1", "psql", "-U", "shop", "-qAt", "-v", "ON_ERROR_STOP=1"], {})


class Client:
    """A session in a Postgres, as an app has one: it lasts until the server ends it."""

    def __init__(self, session: Session) -> None:
        words, more = session
        self.process = subprocess.Popen(
            words, env={**os.environ, **more}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def do(self, statement: str) -> None:
        """Returns when the server has acknowledged it. Raises :class:`OSError` when it has not."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{statement};\n\\echo acknowledged\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != "acknowledged\n":
            raise OSError("the session has ended")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Writers:
    """Five clients that write into a Postgres, ten times a second each, and remember what was acknowledged; by default the project's own.

    ``first``: the number of the first, so that those of one move are not those of another.
    """

    def __init__(self, session: Session = HERE, first: int = 1) -> None:
        self.ended, self.session = threading.Event(), session
        self.acknowledged: set[tuple[int, int]] = set()
        self.threads = [threading.Thread(target=self._write, args=(each,), daemon=True) for each in range(first, first + 5)]
        for each in self.threads:
            each.start()

    def _write(self, writer: int) -> None:
        number, client = 0, Client(self.session)
        while not self.ended.wait(0.1):
            number += 1
            try:
                client.do(f"insert into loose values ({writer}, {number}, random(), null)")
                self.acknowledged.add((writer, number))
                if number % 3 == 0:
                    client.do(f"update sold set note = repeat('x', {number}) where number = {writer * 100 + number}")
                if number % 5 == 0:
                    client.do(f"delete from loose where writer = 0 and number = {writer * 20 - number % 20}")
            except OSError:
                # Whoever was refused connects anew, and not at once.
                client.end()
                self.ended.wait(0.5)
                client = Client(self.session)
        client.end()

    def wait_for(self, count: int) -> None:
        """Until so many writes more were acknowledged."""
        end, enough = time.monotonic() + 60, len(self.acknowledged) + count
        while len(self.acknowledged) < enough:
            assert time.monotonic() < end, f"{len(self.acknowledged)} writes of {enough} were acknowledged"
            time.sleep(0.05)

    def stop(self) -> set[tuple[int, int]]:
        self.ended.set()
        for each in self.threads:
            each.join(60)
        return self.acknowledged


def written(rows: str) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in (line.split("|") for line in rows.split())}


@dataclass
class OnDroplet(Project):
    """And on a droplet."""

    droplet: Any = None

    def frozen(self, after: str = "switching", **given: object) -> str:
        """Begin a switch, and let the droplet say nothing from then to its end. Returns what it said."""
        machine = machines.of(self.droplet.droplet("db-1")["id"])
        try:
            return self.cut(0.5 if after == "switching" else 0.05, machine.pause, after, **given)
        finally:
            machine.unpause()

    def droplet_keys(self, command: str) -> str:
        """What the droplet's Redis answers to the app's user."""
        client = "redis-cli --tls --cacert /etc/berth/tls/ca.pem --no-auth-warning"
        password = "$(cat /etc/berth/redis/secrets/app)"
        return str(self.droplet.on("db-1", f"docker exec -e REDISCLI_AUTH={password} berth-redis {client} {command}").strip())


@dataclass
class OnAws(Project):
    """And on AWS, where it has stores only."""

    cloud: Any = None

    def session_there(self, database: str = "") -> Session:
        """How the app's own user has a session in RDS; by default in the app's own database."""
        secret = self.cloud.secrets(f"berth/{NAME}/postgres")[f"berth/{NAME}/postgres"]
        where = (
            f"host={secret['host']} port={secret['port']} sslmode=require user={secret['username']} dbname={database or secret['dbname']}"
        )
        words = ["docker", "run", "--rm", "-i", "--network", "host", "--env", "PGPASSWORD", "postgres:17"]
        return [*words, "psql", "-qAt", "-v", "ON_ERROR_STOP=1", where], {"PGPASSWORD": secret["password"]}

    def there(self, query: str, database: str = "") -> str:
        """What RDS answers to the app's own user. Raises :class:`OSError`."""
        words, more = self.session_there(database)
        done = subprocess.run(words, input=query, env={**os.environ, **more}, capture_output=True, text=True, check=False)
        if done.returncode:
            raise OSError(done.stderr)
        return done.stdout.strip()

    def keys(self, *command: str) -> str:
        """What ElastiCache answers."""
        secret = self.cloud.secrets(f"berth/{NAME}/redis")[f"berth/{NAME}/redis"]
        words = ["docker", "run", "--rm", "--network", "host", "--env", "REDISCLI_AUTH", "valkey/valkey:8", "valkey-cli"]
        words += ["--no-auth-warning", "--tls", "--insecure", "-h", secret["host"], "-p", str(secret["port"]), *command]
        settings = {**os.environ, "REDISCLI_AUTH": secret["password"]}
        return subprocess.run(words, env=settings, capture_output=True, text=True, check=True).stdout.strip()

    def open_ways(self) -> list[str]:
        """Relays that run, and what lets somebody in to them."""
        tasks = self.cloud.client("ecs").list_tasks(cluster=f"berth-{NAME}", family=f"berth-{NAME}-relay")["taskArns"]
        groups = self.cloud.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"berth-{NAME}-relay"]}])
        return tasks + [each["GroupId"] for each in groups["SecurityGroups"]]
