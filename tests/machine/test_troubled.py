"""A droplet that is cut off, stands still, is killed or full in the middle of each playbook: it ends, and run again all is as it should be.

A client writes all along, and pgbench, whose sums tell whether transactions are whole.
"""

from __future__ import annotations

import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

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
# What visitors see of the app.
FRONT = """  web:
    image: nginx:1.28
    ports: ["80:80"]
"""
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
    """``more``: variables that the runs before have brought. ``tasks``: how many a playbook has, as far as it has run to its end.
    ``acknowledged``: what has been written in all cases."""

    more: dict[str, Any] = field(default_factory=lambda: {"app_env": {"RELEASE": "0"}})
    release: int = 0
    tasks: dict[str, int] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    def primary(self) -> str:
        """The droplet whose Postgres takes writes."""
        return str(eventually(lambda: next((name for name in ("db-1", "db-2") if self.standing(name) == "f"), None), 120))

    def number(self, name: str) -> int:
        return int(self.droplet(name)["id"])

    def load(self) -> None:
        """Have pgbench running until the end, wherever the app's client is at the time."""
        self.ask("create table written (number int primary key)")
        subprocess.run(self.client('pgbench --initialize --quiet --scale=2 "$DATABASE_URL"'), check=True, capture_output=True)

        def run() -> None:
            while not self.ended.wait(0.5):
                with suppress(subprocess.TimeoutExpired, StopIteration):
                    words = self.client('timeout 20 pgbench --no-vacuum --client=2 --rate=20 --time=15 "$DATABASE_URL"')
                    subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=40, check=False)

        threading.Thread(target=run, daemon=True).start()

    def transactions(self) -> int:
        """How many pgbench has done."""
        return int(self.ask("select count(*) from pgbench_history"))

    def whole(self) -> bool:
        """Whether what pgbench keeps equal in each of its transactions is equal."""
        found = self.ask(f"select {SUMS}").split("|")
        return len(set(found)) == 1 and found[0] != "0"


@contextmanager
def cut_off(app: Troubled, name: str) -> Iterator[None]:
    """A droplet that nobody reaches meanwhile, and that reaches nobody."""
    machine = machines.of(app.number(name))
    containers.run_in(machine, ["sh", "-c", f"echo '{CUT}' | nft --file -"])
    try:
        yield
    finally:
        containers.run_in(machine, ["nft", "delete table inet cut"])


@contextmanager
def killed(app: Troubled, name: str) -> Iterator[None]:
    """One whose plug is pulled, and that is started again."""
    machines.power(app.number(name), on=False, hard=True)
    try:
        yield
    finally:
        machines.power(app.number(name), on=True)


@contextmanager
def full(app: Troubled, name: str) -> Iterator[None]:
    """One whose volume has no byte left meanwhile."""
    machine = machines.of(app.number(name))
    containers.run_in(machine, ["sh", "-c", FILL])
    try:
        yield
    finally:
        containers.run_in(machine, ["rm", "/mnt/data/filler", "/mnt/data/filler.rest"])


TROUBLES: dict[str, Callable[[Troubled, str], AbstractContextManager[None]]] = {
    "cut off": cut_off,
    "frozen": Troubled.standing_still,
    "killed": killed,
    "full": full,
}


def data_tier(app: Troubled) -> None:
    """Another setting of Postgres's."""
    app.more["postgres_container_settings"] = {"work_mem": f"{random.randint(5, 200)}MB"}


def deploy(app: Troubled) -> None:
    """A new release."""
    app.release += 1
    app.more["app_env"] = {"RELEASE": str(app.release)}


def site(app: Troubled) -> None:
    """Both."""
    data_tier(app)
    deploy(app)


def rollback(app: Troubled) -> None:
    """A release to come back from."""
    before = app.more["app_env"]
    deploy(app)
    app.run("deploy.yml", **app.more)
    app.more["app_env"] = before


def patch(app: Troubled) -> None:
    """Something that asks for a restart of each."""
    for each in DROPLETS:
        app.on(str(each["name"]), "touch /run/reboot-required")


class Run(NamedTuple):
    """On whom trouble comes, the primary's droplet (``store``) or the app's; what prepares it; and variables of its own."""

    victims: tuple[str, ...]
    prepare: Callable[[Troubled], None] = lambda _app: None
    own: Mapping[str, str] = MappingProxyType({})


PLAYBOOKS = {
    "site.yml": Run(("store", "app"), site),
    "platform.yml": Run(("store",)),
    "data_tier.yml": Run(("store",), data_tier),
    "deploy.yml": Run(("store", "app"), deploy),
    "rollback.yml": Run(("app",), rollback),
    "rotate.yml": Run(("store", "app")),
    "promote.yml": Run(("store",)),
    "patch.yml": Run(("store", "app"), patch),
    "backup.yml": Run(("store",)),
    "restore.yml": Run(("store",), own={"restore_to": "latest", "restore_store": "postgres"}),
    "drill.yml": Run(("store",)),
    "status.yml": Run(("store",)),
    "name.yml": Run(("app",), own={"app_domain": DOMAIN, "app_dns": "digitalocean"}),
}
CASES = [
    (playbook, trouble, whose)
    for playbook, run in PLAYBOOKS.items()
    for whose in run.victims
    for trouble in TROUBLES
    # The app's droplet has no volume; its full disk is in test_digitalocean_home.py.
    if (whose, trouble) != ("app", "full")
]


@pytest.fixture(scope="module")
def app(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    server.digitalocean(["nginx:1.28"])
    folder: Path = project(tmp_path_factory.mktemp("troubled") / "troubled", FRONT + READER)
    found = Troubled(NAME, "", cloud.environment, "", "digitalocean", project=folder, droplets=DROPLETS, given=GIVEN)
    found.run("site.yml", **found.more)
    found.cached("set kept 1")
    stack.account().domains.create(body={"name": "example.net"})
    try:
        found.load()
        yield found
    finally:
        found.ended.set()
        stack.account().domains.delete("example.net")
        found.run("destroy.yml", "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


@pytest.fixture(autouse=True)
def _nobody_goes_on_writing() -> Iterator[None]:
    """A case that fails leaves the others alone."""
    yield
    Writer.stop_all()


def in_trouble(app: Troubled, number: int, trouble: str, name: str, playbook: str, told: tuple[str, ...]) -> tuple[int, str]:
    """A playbook whose droplet is in trouble from its ``number``-th task to its end: its exit code, and what it said."""
    process, said, tasks = start(Cloud(app.environment, "inventories/digitalocean"), playbook, *told), [], 0
    guard = threading.Timer(SECONDS, kill_tree, [process.pid])
    guard.start()
    with ExitStack() as troubles:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if line.startswith("TASK ["):
                tasks += 1
                if tasks == number:
                    troubles.enter_context(TROUBLES[trouble](app, name))
        code = process.wait()
        guard.cancel()
    assert tasks >= number, f"task {number} of {playbook} did not come: {said[-30:]}"
    return code, "".join(said)


@pytest.mark.parametrize("playbook, trouble, whose", CASES)
def test_it_ends_and_run_again_all_is_as_it_should_be(app: Troubled, playbook: str, trouble: str, whose: str):
    run = PLAYBOOKS[playbook]
    run.prepare(app)
    told = app.told(**app.more, **run.own)
    name = app.primary() if whose == "store" else "app-1"
    writer = Writer.begun(app, 1_000_000 * (CASES.index((playbook, trouble, whose)) + 1))
    at = random.Random(f"{playbook} {trouble} {whose}").randint(2, max(app.tasks.get(playbook, 16) - 3, 2))
    begun = time.monotonic()
    code, said = in_trouble(app, at, trouble, name, playbook, told)
    took = time.monotonic() - begun
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
    done = app.transactions()
    assert eventually(lambda: app.transactions() > done)
    acknowledged = writer.stop()
    app.acknowledged |= set(acknowledged)
    print(
        f"{playbook}, {name} {trouble} at task {at} of {app.tasks[playbook]}: ended with {code} after {took:.0f} s; {len(acknowledged)} writes, "
        f"{writer.gap:.1f} s without one at most. {' '.join(why[0].split())[:400] if why else ''}"
    )
    assert app.acknowledged <= app.written()
    assert app.whole()
    assert app.cached("get kept") == "1"
    if playbook == "restore.yml":
        app.run("restore.yml", restore_to="none", restore_store="postgres", **app.more)
    assert changed_tasks(app.run("site.yml", **app.more)) == []
