"""Deploys, rollbacks, releases that never come up, and controllers that are killed, at 100 requests a second: none is lost."""

from __future__ import annotations

import itertools
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
from tests.machine.interrupted import KILLED, start, sweep_tasks
from tests.machine.load import Load
from tests.machine.test_digitalocean_home import Droplets

pytestmark = [pytest.mark.docker, at_length("a quarter of an hour")]
SERVER = """
const said = "release " + process.env.RELEASE;
const server = require("http").createServer((asked, answer) => answer.end(said));
process.on("SIGTERM", () => server.close(() => process.exit(0)));
if (process.env.RELEASE !== "broken") server.listen(80);
"""
WEB = {"image": "node:22-slim", "command": ["node", "-e", SERVER], "ports": ["80:80"], "environment": {"RELEASE": "0"}}
RUNS = "docker ps --filter label=org.berth.app --format '{{.Label \"org.berth.release\"}}'"


@dataclass
class Served(Droplets):
    """An app of one service on some droplets. ``count``: how many."""

    count: int = 1

    def given(self, release: object) -> tuple[str, ...]:
        """The variables of a run that brings a release."""
        droplets = [{"name": f"app-{each}", "groups": ["app"], "size": "s-1vcpu-1gb"} for each in range(1, self.count + 1)]
        told: dict[str, Any] = {"digitalocean_droplets": droplets, "digitalocean_ip_range": ip_range(4)}
        told["app_compose_timeout"] = 6 if release == "broken" else 60
        return ("-e", json.dumps({**told, "app_env": {"RELEASE": str(release)}}))

    def serves(self, release: object) -> bool:
        """Whether each droplet runs one release, the same one, which answers."""
        runs = [self.on(f"app-{each}", RUNS).split() for each in range(1, self.count + 1)]
        kept = {self.on(f"app-{each}", "cat /srv/berth/*/current.json").split('"release": ')[1] for each in range(1, self.count + 1)}
        return (
            len(runs[0]) == 1
            and all(each == runs[0] for each in runs)
            and len(kept) == 1
            and self.on("app-1", "curl -s http://127.0.0.1/") == f"release {release}"
        )


@pytest.fixture(scope="module", params=[1, 3], ids=["one droplet", "three behind a load balancer"])
def served(request: pytest.FixtureRequest, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project: Path = tmp_path_factory.mktemp("served") / "served"
    project.mkdir()
    (project / "compose.yaml").write_text(json.dumps({"services": {"web": WEB}}))
    server.digitalocean(["node:22-slim"])
    found = Served(f"deploys-{request.param}", "", cloud.environment, "", "digitalocean", project=project, count=request.param)
    done = found.playbook("site.yml", *found.given(0))
    assert done.returncode == 0, done.stdout[-4000:]
    found.url = done.stdout.split("URL: ")[1].split("'")[0].split()[0]
    # A load balancer that is new leads nobody anywhere until it has seen that machines are well, which site.yml waits for.
    assert urllib.request.urlopen(found.url, timeout=5).status == 200
    yield found
    found.playbook("destroy.yml", *found.given(0), "-e", f"destroy={found.name}")


def test_deploys_rollbacks_and_releases_that_never_come_up_lose_no_request(served: Served):
    with Load(served.url) as load:
        for number in itertools.count(1):
            for playbook, release, succeeds in (("deploy.yml", number, True), ("rollback.yml", 0, True), ("deploy.yml", "broken", False)):
                done = served.playbook(playbook, *served.given(release))
                assert (done.returncode == 0) is succeeds, done.stdout[-4000:]
            if load.asked > 5000:
                break
    print(f"{served.count} droplets: {load.asked} requests over {3 * number} runs, {load.longest:.2f} s at most")
    assert load.lost == {}


def test_a_release_that_is_asked_at_another_path_whether_it_is_well_loses_no_request(served: Served):
    file = served.project / "compose.yaml"
    kept = file.read_text()
    try:
        with Load(served.url) as load:
            for playbook, path in (("site.yml", "/up"), ("deploy.yml", "/ready"), ("site.yml", "/up")):
                text = SERVER.replace(
                    "answer.end(said)", f'asked.url === "/" || asked.url === "{path}" ? answer.end(said) : answer.writeHead(404).end()'
                )
                check = f"require('http').get('http://127.0.0.1:80{path}', (said) => process.exit(said.statusCode === 200 ? 0 : 1))"
                web = {**WEB, "command": ["node", "-e", text], "healthcheck": {"test": ["CMD", "node", "-e", check], "interval": "1s"}}
                file.write_text(json.dumps({"services": {"web": web}}))
                done = served.playbook(playbook, *served.given(path[1:]))
                assert done.returncode == 0, done.stdout[-4000:]
                # As long as a load balancer takes to see that a machine is not well, and longer.
                time.sleep(20)
    finally:
        file.write_text(kept)
    print(f"{served.count} droplets: {load.asked} requests, {load.longest:.2f} s at most")
    assert load.lost == {}


def test_killed_at_every_task_and_at_any_moment_and_run_again_no_request_is_lost(served: Served):
    there = Cloud(served.environment, "inventories/digitalocean")
    told = ("-e", f"app_name={served.name}", "-e", f"app_project={served.project}")
    with Load(served.url, most=100_000) as load:
        kills = sweep_tasks(there, 1, 1, "deploy.yml", *told, *served.given("swept"))
        assert eventually(lambda: served.serves("swept"))
        moments = 0
        for number in range(100):
            process = start(there, "deploy.yml", *told, *served.given(f"moment {number}"))
            time.sleep(1 + number / 5)
            if process.poll() is None:
                kill_tree(process.pid)
            process.communicate()
            done = there.playbook("deploy.yml", *told, *served.given(f"moment {number}"))
            assert done.returncode == 0, done.stdout[-4000:]
            assert eventually(lambda number=number: served.serves(f"moment {number}"))
            if process.returncode != KILLED:
                break
            moments += 1
    print(
        f"{served.count} droplets: killed {kills} times at tasks and {moments} at moments, {load.asked} requests, {load.longest:.2f} s at most"
    )
    assert kills > 10
    assert moments > 5
    assert load.lost == {}
