"""A droplet that is cut off, stands still, is killed or full in the middle of each playbook: it ends, and run again all is as it should be.

A client writes all along, and pgbench, whose sums tell whether transactions are whole.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rehearsal import containers, server, stack
from rehearsal.digitalocean import machines
from rehearsal.rules import kill_tree
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.database import READER, Database, Writer, changed_tasks, project
from tests.machine.interrupted import start

pytestmark = [pytest.mark.docker, at_length("two hours")]
NAME, DOMAIN = "troubled", "shop.example.net"
STORE: dict[str, Any] = {"size": "s-1vcpu-1gb", "volumes": [{"name": "data", "size": 2}]}
DROPLETS = [
    {"name": "db-1", "groups": ["postgres", "redis"], **STORE},
    {"name": "db-2", "groups": ["postgres"], **STORE},
    {"name": "app-1", "groups": ["app"], "size": "s-1vcpu-1gb"},
]
GIVEN = {"digitalocean_ip_range": ip_range(15), "machine_timeout": 15, "app_compose_keep": ["writer", "reader"]}
# The most that a playbook may take whose droplet is in trouble.
SECONDS = 420
# Nothing of its own network goes in or out; what runs on it goes on.
CUT = """table inet cut {
  chain in { type filter hook prerouting priority -400; iifname "eth*" drop; }
  chain out { type filter hook postrouting priority -400; oifname "eth*" drop; }
}"""
# What is set aside at once, and the rest, the part that is root's as well, by writing until there is no more.
FILL = (
    "cd /mnt/data; fallocate --length $(df --output=avail --block-size=M . | tail -1 | tr -dc 0-9 | awk '{ print $1 - 8 }')M filler; "
    "dd if=/dev/zero of=filler.rest bs=64k 2>/dev/null; df . | tail -1 | grep ' 100% '"
)
SUMS = "(select coalesce(sum(delta), 0) from pgbench_history), " + ", ".join(
    f"(select sum({table[0]}balance) from pgbench_{table})" for table in ("accounts", "tellers", "branches")
)


@dataclass
class Troubled(Database):
    """``more``: variables that the runs before have brought. ``tasks``: how many a playbook has, as far as it has run to its end."""

    more: dict[str, Any] = field(default_factory=dict)
    release: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    bench: threading.Thread | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def primary(self) -> str:
        """The droplet whose Postgres takes writes."""
        return str(eventually(lambda: next((name for name in ("db-1", "db-2") if self.standing(name) == "f"), None), 120))

    def number(self, name: str) -> int:
        return int(self.droplet(name)["id"])

    def told(self, **more: Any) -> tuple[str, ...]:
        given = {"digitalocean_droplets": self.droplets, **self.given, **self.more, **more}
        return ("-e", f"app_name={self.name}", "-e", f"app_project={self.project}", "-e", json.dumps(given))

    def load(self) -> None:
        """Have pgbench running until the end, wherever the app's client is at the time."""
        self.ask("create table written (number int primary key)")
        subprocess.run(self.client('pgbench --initialize --quiet --scale=2 "$DATABASE_URL"'), check=True, capture_output=True)

        def run() -> None:
            while not self.ended.wait(0.5):
                with suppress(subprocess.TimeoutExpired, StopIteration):
                    words = self.client('timeout 20 pgbench --no-vacuum --client=2 --rate=20 --time=15 "$DATABASE_URL"')
                    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=40, check=False)

        self.bench = threading.Thread(target=run, daemon=True)
        self.bench.start()

    def whole(self) -> bool:
        """Whether what pgbench keeps equal in each of its transactions is equal."""
        found = self.ask(f"select {SUMS}").split("|")
        return len(set(found)) == 1 and found[0] != "0"


def cut_off(app: Troubled, name: str) -> Callable[[], object]:
    """Cut a droplet off. Returns what ends that; so do the others."""
    machine = machines.of(app.number(name))
    containers.run_in(machine, ["sh", "-c", f"echo '{CUT}' | nft --file -"])
    return lambda: containers.run_in(machine, ["nft", "delete table inet cut"])


def frozen(app: Troubled, name: str) -> Callable[[], object]:
    machine = machines.of(app.number(name))
    machine.pause()
    return machine.unpause  # type: ignore[no-any-return]


def killed(app: Troubled, name: str) -> Callable[[], object]:
    number = app.number(name)
    machines.power(number, on=False, hard=True)
    return lambda: machines.power(number, on=True)


def full(app: Troubled, name: str) -> Callable[[], object]:
    """A volume with no byte left on it."""
    machine = machines.of(app.number(name))
    print(containers.run_in(machine, ["sh", "-c", FILL]))
    return lambda: containers.run_in(machine, ["rm", "/mnt/data/filler", "/mnt/data/filler.rest"])


TROUBLES = {"cut off": cut_off, "frozen": frozen, "killed": killed, "full": full}


def site(app: Troubled) -> dict[str, Any]:
    """A new release, and another setting of Postgres's."""
    return deploy(app) | data_tier(app)


def data_tier(app: Troubled) -> dict[str, Any]:
    app.more["postgres_container_settings"] = {"work_mem": f"{random.randint(5, 200)}MB"}
    return {}


def deploy(app: Troubled) -> dict[str, Any]:
    app.release += 1
    app.more["app_env"] = {"RELEASE": str(app.release)}
    return {}


def rollback(app: Troubled) -> dict[str, Any]:
    """A release to come back from."""
    before = app.more.get("app_env")
    deploy(app)
    app.run("deploy.yml", **app.more)
    app.more["app_env"] = before or {"RELEASE": "0"}
    return {}


def patch(app: Troubled) -> dict[str, Any]:
    """Something that asks for a restart of each."""
    for each in DROPLETS:
        app.on(str(each["name"]), "touch /run/reboot-required")
    return {}


def nothing(_app: Troubled) -> dict[str, Any]:
    return {}


# Which playbook, what prepares it and says its own variables, and on whom trouble comes: the primary's droplet, or the app's.
PLAYBOOKS: dict[str, tuple[Callable[[Troubled], dict[str, Any]], tuple[str, ...]]] = {
    "site.yml": (site, ("store", "app")),
    "platform.yml": (nothing, ("store",)),
    "data_tier.yml": (data_tier, ("store",)),
    "deploy.yml": (deploy, ("store", "app")),
    "rollback.yml": (rollback, ("app",)),
    "rotate.yml": (nothing, ("store", "app")),
    "promote.yml": (nothing, ("store",)),
    "patch.yml": (patch, ("store", "app")),
    "backup.yml": (nothing, ("store",)),
    "restore.yml": (lambda _app: {"restore_to": "latest", "restore_store": "postgres"}, ("store",)),
    "drill.yml": (nothing, ("store",)),
    "status.yml": (nothing, ("store",)),
    "name.yml": (lambda _app: {"app_domain": DOMAIN, "app_dns": "digitalocean"}, ("app",)),
}
CASES = [
    (playbook, trouble, whose)
    for playbook, (_prepare, victims) in PLAYBOOKS.items()
    for whose in victims
    for trouble in TROUBLES
    # The app's droplet has no volume; its full disk is in test_digitalocean_home.py.
    if (whose, trouble) != ("app", "full")
]


@pytest.fixture(scope="module")
def app(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    server.digitalocean()
    folder: Path = project(tmp_path_factory.mktemp("troubled") / "troubled", READER)
    found = Troubled(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=GIVEN)
    found.run("site.yml")
    found.cached("set kept 1")
    stack.account().domains.create(body={"name": "example.net"})
    try:
        found.load()
        yield found
    finally:
        found.ended.set()
        Writer.stop_all()
        stack.account().domains.delete("example.net")
        found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


@contextmanager
def troubled_at(
    app: Troubled, number: int, trouble: str, name: str, playbook: str, told: tuple[str, ...]
) -> Iterator[tuple[int, str, bool]]:
    """A playbook whose droplet is in trouble from its ``number``-th task on: how it ended, what it said, and whether it came so far."""
    process, said, tasks, undo = start(Cloud(app.environment, "inventories/digitalocean"), playbook, *told), [], 0, None
    guard = threading.Timer(SECONDS, kill_tree, [process.pid])
    guard.start()
    try:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            tasks += line.startswith("TASK [")
            if tasks == number and undo is None:
                undo = TROUBLES[trouble](app, name)
        code = process.wait()
        guard.cancel()
        yield code, "".join(said), undo is not None
    finally:
        guard.cancel()
        if undo:
            undo()


@pytest.mark.parametrize("playbook, trouble, whose", CASES)
def test_it_ends_and_run_again_all_is_as_it_should_be(app: Troubled, playbook: str, trouble: str, whose: str):
    prepare, _victims = PLAYBOOKS[playbook]
    told = app.told(**prepare(app))
    name = app.primary() if whose == "store" else "app-1"
    writer = Writer.begun(app, 1_000_000 * (CASES.index((playbook, trouble, whose)) + 1))
    at = random.Random(f"{playbook} {trouble} {whose}").randint(2, max(app.tasks.get(playbook, 16) - 3, 2))
    begun = time.monotonic()
    with troubled_at(app, at, trouble, name, playbook, told) as (code, said, reached):
        took = time.monotonic() - begun
    assert reached, f"task {at} of {playbook} did not come: {said[-3000:]}"
    assert took < SECONDS, said[-3000:]
    assert "Traceback" not in said
    why = re.findall(r"(?m)^fatal: .*(?:\n  .*)*", said)
    assert bool(why) is bool(code), said[-3000:]
    there = Cloud(app.environment, "inventories/digitalocean")
    eventually(lambda: "Server" in app.on(name, "docker version") and app.ask("select 1") == "1", 120)
    again = there.playbook(playbook, *told)
    assert again.returncode == 0, f"task {at}, ended with {code}: {said[-5000:]}\n\nAgain: {again.stdout[-6000:]}"
    app.tasks[playbook] = again.stdout.count("TASK [")
    writer.goes_on()
    acknowledged = writer.stop()
    print(
        f"{playbook}, {name} {trouble} at task {at} of {app.tasks[playbook]}: ended with {code} after {took:.0f} s; {len(acknowledged)} writes, "
        f"{writer.gap:.1f} s without one at most. {' '.join(why[0].split())[:400] if why else ''}"
    )
    assert set(acknowledged) <= app.written()
    assert app.whole()
    assert app.cached("get kept") == "1"
    if playbook == "restore.yml":
        app.run("restore.yml", restore_to="none", restore_store="postgres", **app.more)
    assert changed_tasks(app.run("site.yml", **app.more)) == []
