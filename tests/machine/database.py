"""A Postgres on droplets, seen through the app that uses it; and a client that writes one number after another."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from rehearsal.digitalocean import machines
from tests.machine.conftest import eventually
from tests.machine.test_digitalocean_home import Droplets

# The app is a client that its own image brings: it sleeps, and is asked to write.
COMPOSE = """services:
  postgres:
    image: postgres:17
    environment: {POSTGRES_HOST_AUTH_METHOD: trust}
  writer:
    image: postgres:17.7
    command: [sh, -c, "trap exit TERM; sleep infinity & wait"]
    environment:
      DATABASE_URL: postgresql://postgres@postgres/postgres
    depends_on: [postgres]
"""
# And one of Redis.
READER = """  cache:
    image: redis:8
  reader:
    image: redis:8.2.2
    command: [sh, -c, "trap exit TERM; sleep infinity & wait"]
    environment: {REDIS_URL: "redis://cache:6379"}
    depends_on: [cache]
"""
# Redis's own client takes a URL without a user for one of the user with an empty name.
_CACHED = (
    "at=${REDIS_URL#*@}; word=${REDIS_URL#*://*:}; REDISCLI_AUTH=${word%%@*} redis-cli --no-auth-warning --tls --insecure -h ${at%%[:/]*}"
)


# What Docker says, and how a program ends, where a container ends or another one has taken its place.
_GONE, _KILLED = ("is not running", "No such container"), 137


@dataclass
class Database(Droplets):
    """Droplets with Postgres, one of them with the app too. ``given``: variables of every run."""

    droplets: list[dict[str, Any]] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    _machines: dict[str, str] = field(default_factory=dict, repr=False)

    def run(self, playbook: str, *arguments: str, succeeds: bool = True, **more: Any) -> str:
        """What a playbook says, on one line."""
        done = self.playbook(playbook, *self.told(**more), *arguments)
        failed = re.findall(r"TASK \[[^\n]*\n(?:(?!TASK \[).*\n)*?(?:fatal|failed): .*", done.stdout)
        assert (done.returncode == 0) is succeeds, "\n".join(failed)[-5000:] + done.stdout[-3000:] + done.stderr[-1000:]
        return " ".join((done.stdout + done.stderr).split())

    def told(self, **more: Any) -> tuple[str, ...]:
        """The variables of a run, as ansible-playbook takes them."""
        given = {"digitalocean_droplets": self.droplets, "app_compose_keep": ["writer"], **self.given, **more}
        return ("-e", f"app_name={self.name}", "-e", f"app_project={self.project}", "-e", json.dumps(given))

    def client(self, command: str) -> list[str]:
        """The words that run a command in the app's own client."""
        find = "docker ps --quiet --filter label=com.docker.compose.service=writer | head --lines=1"
        name = next(each["name"] for each in self.droplets if "app" in each["groups"])
        inside = f"docker exec -i $({find}) sh -c '{command}'"
        if name not in self._machines:
            # Asked of the API once: who writes ten times a second would soon have asked as often as it lets anybody in an hour.
            self._machines[name] = machines.name_of(self.droplet(name)["id"])
        return ["docker", "exec", "-i", self._machines[name], "sh", "-c", inside]

    def ask(self, query: str, seconds: int = 5) -> str:
        """What the app's own client is answered, by way of the variables that the app has. Raises :class:`OSError`."""
        command = f'PGCONNECT_TIMEOUT=2 timeout {seconds} psql -qAt "$DATABASE_URL" -c "{query}"'
        done = self._said(command)
        if done.returncode == _KILLED or any(words in done.stderr for words in _GONE):
            # The client of a release that ends just now, half a minute after another one has taken its place; or a droplet that another one is called as.
            self._machines.clear()
            time.sleep(3)
            done = self._said(command)
        if done.returncode:
            raise OSError(done.stderr[-500:])
        return done.stdout.strip()

    def _said(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.client(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    def cached(self, words: str) -> str:
        """What Redis answers to the app's own client, the service of :data:`READER`, by way of the variables that the app has."""
        find = "docker ps --quiet --filter label=com.docker.compose.service=reader | head --lines=1"
        name = next(each["name"] for each in self.droplets if "app" in each["groups"])
        return self.on(name, f"docker exec $({find}) sh -c '{_CACHED} {words}'").strip()

    @contextlib.contextmanager
    def standing_still(self, name: str) -> Iterator[None]:
        """A droplet that does nothing meanwhile, and goes on where it was. One that is restarted meanwhile goes on by that."""
        container = machines.name_of(self.droplet(name)["id"])
        subprocess.run(["docker", "pause", container], check=True, capture_output=True)
        try:
            yield
        finally:
            done = subprocess.run(["docker", "unpause", container], check=False, capture_output=True, text=True)
            assert done.returncode == 0 or "is not paused" in done.stderr, done.stderr

    @contextlib.contextmanager
    def cut_off(self, name: str) -> Iterator[None]:
        """A droplet that no other one of the private network hears meanwhile, nor it them."""
        network = self.given["digitalocean_ip_range"]
        for hook, side in (("prerouting", "saddr"), ("postrouting", "daddr")):
            chain = f"add chain inet cut {hook} {{ type filter hook {hook} priority -400; }}"
            self.on(name, f"nft 'add table inet cut; {chain}; add rule inet cut {hook} ip {side} {network} ip daddr != 127.0.0.0/8 drop'")
        try:
            yield
        finally:
            self.on(name, "nft delete table inet cut")

    def standing(self, name: str) -> str:
        return self.on(name, "docker exec -u postgres berth-postgres psql -qAt -c 'select pg_is_in_recovery()'").strip()

    def write(self, number: int) -> None:
        """Write a number down. Raises :class:`OSError` where that was not acknowledged."""
        self.ask(f"insert into written values ({number})")

    def written(self) -> set[int]:
        return {int(each) for each in self.ask("select number from written").split()}


def project(folder: Path, more: str = "") -> Path:
    """A Compose project of the client, with further services."""
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE + more)
    return folder


def changed_tasks(said: str) -> list[str]:
    """The tasks of a run that changed something."""
    tasks = re.split(r"TASK \[", said.split("PLAY RECAP")[0])
    return [each.split("]")[0] for each in tasks if "changed: [" in each]


class Writer(threading.Thread):
    """Writes one number after another, and remembers which were acknowledged, and how long at most none was: ``gap`` in seconds, and ``worst``,
    what was said last meanwhile.
    """

    # Those that a test which failed has left writing.
    every: ClassVar[list[Writer]] = []

    def __init__(self, database: Database, first: int = 1) -> None:
        super().__init__(daemon=True)
        self.first = first
        self.database, self.acknowledged, self.ended = database, [], threading.Event()
        self.gap, self._last, self.refusal, self.worst = 0.0, time.monotonic(), "", ""
        self.every.append(self)

    def run(self) -> None:
        number = self.first - 1
        # What it asks costs the machine more than what is done for it.
        while not self.ended.wait(0.1):
            number += 1
            try:
                self.database.write(number)
            except (OSError, subprocess.TimeoutExpired, StopIteration) as error:
                self.refusal = repr(error)
                continue
            self.acknowledged.append(number)
            now = time.monotonic()
            if now - self._last > self.gap:
                self.gap, self.worst = now - self._last, self.refusal
            self._last, self.refusal = now, ""

    @classmethod
    def begun(cls, database: Database, first: int) -> Self:
        """One that writes already."""
        writer = cls(database, first)
        writer.start()
        writer.goes_on()
        return writer

    def goes_on(self) -> None:
        """Wait until some more numbers are acknowledged."""
        count = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) > count + 3)

    def stop(self) -> list[int]:
        self.ended.set()
        self.join(30)
        return self.acknowledged

    @classmethod
    def stop_all(cls) -> None:
        """None of them writes any more."""
        while cls.every:
            cls.every.pop().stop()
