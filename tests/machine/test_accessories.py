"""Services that keep data and are no slot: one for two droplets, which runs on over all releases."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import server
from rehearsal.rules import kill_tree
from tests.machine.conftest import Cloud, at_length, eventually, ip_range
from tests.machine.interrupted import KILLED, start
from tests.machine.load import Load
from tests.machine.test_digitalocean_home import Droplets, changes

pytestmark = pytest.mark.docker
# Counts what it is asked in the store, over one connection, and says who it is.
SERVER = """
const store = require("net").connect(6379, "counters");
const asked = [];
let said = "";
store.on("data", (data) => {
  said += data;
  for (let end; (end = said.indexOf("\\r\\n")) >= 0; said = said.slice(end + 2))
    asked.shift().end(said.slice(1, end) + " " + process.env.RELEASE);
});
store.on("close", () => process.exit(1));
const server = require("http").createServer((request, answer) => { asked.push(answer); store.write("INCR asked\\r\\n"); });
process.on("SIGTERM", () => server.close(() => process.exit(0)));
store.on("connect", () => server.listen(80));
"""
PROJECT = {
    "services": {
        "web": {
            "image": "node:22-slim",
            "command": ["node", "-e", SERVER],
            "ports": ["80:80"],
            "environment": {"RELEASE": "0"},
            "links": ["store:counters"],
            "depends_on": ["store"],
        },
        # In memory alone: whatever begins it anew loses what it holds.
        "store": {"image": "redis:8", "command": ["redis-server", "--save", ""]},
    }
}
ONE = [{"name": "app-1", "groups": ["app", "accessories"], "size": "s-1vcpu-1gb"}]
TWO = [*ONE, {"name": "app-2", "groups": ["app"], "size": "s-1vcpu-1gb"}]
BEGUN = "docker inspect --format '{{.State.StartedAt}}' kept-accessories-store-1"


@dataclass
class Kept(Droplets):
    """An app with a store of its own on two droplets."""

    def told(self, release: str, droplets: list[dict[str, Any]] = TWO, store: str = "0", **more: Any) -> tuple[str, str]:
        """The variables of a run. ``store``: what the store is told, and begins anew for."""
        given = {"digitalocean_droplets": droplets, "digitalocean_ip_range": ip_range(16), "app_compose_keep": ["store"], **more}
        return ("-e", json.dumps({**given, "app_env": {"RELEASE": release, "store": {"TOLD": store}}}))

    def run(self, name: str, release: str, droplets: list[dict[str, Any]] = TWO, **more: Any) -> Any:
        """Run a playbook that brings a release."""
        return self.playbook(name, *self.told(release, droplets, **more))

    def ask(self, address: str) -> list[str]:
        """How often anyone has asked, and the release that answers."""
        with urllib.request.urlopen(f"http://{address}/", timeout=10) as response:
            text: str = response.read().decode()
        return text.split()


@pytest.fixture(scope="module")
def kept(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    project: Path = tmp_path_factory.mktemp("kept") / "kept"
    project.mkdir()
    (project / "compose.yaml").write_text(json.dumps(PROJECT))
    server.digitalocean(["node:22-slim", "redis:8"])
    found = Kept("kept", "", cloud.environment, "", "digitalocean", project=project)
    done = found.run("site.yml", "first")
    assert done.returncode == 0, done.stdout[-4000:]
    found.output, found.url = done.stdout + done.stderr, done.stdout.split("URL: ")[1].split("'")[0].split()[0]
    yield found
    found.put_away(*found.told("", app_compose_keep=["store"]))


def test_both_droplets_count_in_one_store(kept: Kept):
    counted = [kept.ask(kept.address(name)) for name in ("app-1", "app-2", "app-1", "app-2")]
    assert [int(number) for number, _release in counted] == sorted(int(number) for number, _release in counted)
    assert len({number for number, _release in counted}) == 4
    assert "store (redis) keeps data, so it runs on over all releases; its volumes are backed up where backup_bucket is set" in " ".join(
        kept.output.split()
    )


def test_nobody_else_gets_to_it(kept: Kept):
    told = f"timeout 3 bash -c '</dev/tcp/{kept.address('app-1', 'private')}/6379' && echo open"
    assert "open" in kept.on("app-2", told)
    assert "open" not in kept.on("app-2", told.replace(kept.address("app-1", "private"), kept.address("app-1")))


def test_releases_come_and_go_without_a_lost_request_and_it_holds_what_it_held(kept: Kept):
    begun, since = kept.on("app-1", BEGUN), int(time.time())
    before = int(kept.ask(kept.url.removeprefix("http://"))[0])
    with Load(kept.url) as load:
        for playbook, release in (("deploy.yml", "second"), ("rollback.yml", "")):
            done = kept.run(playbook, release)
            assert done.returncode == 0, done.stdout[-4000:]
    assert load.lost == {}
    # The app ends where its connection to the store breaks, which the edge hides: nobody's broke.
    ended = f"docker events --since {since} --until $(date +%s) --filter event=die --format '{{{{.Actor.Attributes.exitCode}}}}'"
    assert {code for name in ("app-1", "app-2") for code in kept.on(name, ended).split()} == {"0"}
    number, release = kept.ask(kept.url.removeprefix("http://"))
    assert int(number) > before + load.asked
    assert release == "first"
    assert kept.on("app-1", BEGUN) == begun


def test_a_second_run_changes_nothing_and_brings_back_what_was_stopped(kept: Kept):
    done = kept.run("site.yml", "first")
    assert done.returncode == 0, done.stdout[-4000:]
    assert not any(changes(done.stdout).values()), changes(done.stdout)
    kept.on("app-1", "docker stop kept-accessories-store-1")
    assert "store, for all releases: Exited" in " ".join(kept.run("status.yml", "first").stdout.split())
    done = kept.run("deploy.yml", "first")
    assert done.returncode == 0, done.stdout[-4000:]
    assert [kept.ask(kept.address(name))[1] for name in ("app-1", "app-2")] == ["first", "first"]


def test_it_is_backed_up_and_restored_on_the_droplet_that_keeps_it_alone(kept: Kept):
    assert "1 backup, the newest of" in " ".join(kept.run("status.yml", "first").stdout.split())
    done = kept.run("restore.yml", "first", restore_store="app", restore_to="latest")
    assert done.returncode == 0, done.stdout[-4000:]
    said = " ".join(done.stdout.split())
    assert "Look at it on app-1-app: " in said
    assert "kept-restored-store-1" in kept.on("app-1", "docker ps")
    assert "berth-backup" not in kept.on("app-2", "ls /usr/local/sbin")
    done = kept.run("restore.yml", "first", restore_store="app", restore_to="none")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "kept-restored" not in kept.on("app-1", "docker ps --all")


def test_one_that_does_not_come_up_as_a_release_wants_it_runs_as_before(kept: Kept):
    broken = json.dumps(PROJECT).replace('"--save"', '"--no-such-setting"')
    (kept.project / "compose.yaml").write_text(broken)
    done = kept.run("deploy.yml", "broken")
    (kept.project / "compose.yaml").write_text(json.dumps(PROJECT))
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "an accessory, which keeps data over all releases, does not come up: store Restarting (1)" in said
    assert "no-such-setting" in said
    # The app ends with its store, and is started again, after ever longer.
    for name in ("app-1", "app-2"):
        assert eventually(lambda name=name: kept.ask(kept.address(name)))[1] == "first"


@at_length("four minutes")
def test_killed_at_any_moment_while_it_begins_anew_and_run_again_both_droplets_find_it(kept: Kept):
    there = Cloud(kept.environment, "inventories/digitalocean")
    kills = 0
    for number in range(40):
        told = ("-e", f"app_name={kept.name}", "-e", f"app_project={kept.project}", *kept.told(f"killed {number}", store=str(number)))
        process = start(there, "deploy.yml", *told)
        time.sleep(2 + number / 2)
        if process.poll() is None:
            kill_tree(process.pid)
        process.communicate()
        done = there.playbook("deploy.yml", *told)
        assert done.returncode == 0, done.stdout[-4000:]
        for name in ("app-1", "app-2"):
            assert eventually(lambda name=name: kept.ask(kept.address(name)))[1:] == ["killed", str(number)]
        assert f"TOLD={number}" in kept.on("app-1", "docker inspect --format '{{.Config.Env}}' kept-accessories-store-1")
        if process.returncode != KILLED:
            break
        kills += 1
    print(f"killed {kills} times")
    assert kills > 6
    assert kept.run("deploy.yml", "first").returncode == 0


def test_the_droplet_that_keeps_it_is_neither_taken_away_nor_let_off(kept: Kept):
    other = [{**ONE[0], "name": "app-2"}]
    for droplets, words in (
        (other, "keeps data and is not in digitalocean_droplets any more"),
        ([{**each, "groups": ["app"]} for each in TWO], "keeps accessories; move the data away before it leaves that group"),
    ):
        done = kept.run("platform.yml", "first", droplets)
        assert done.returncode != 0
        assert words in " ".join(done.stdout.split())
    assert kept.ask(kept.address("app-1"))[1] == "first"
