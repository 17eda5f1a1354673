"""Eight droplets in one run: three that agree on whose Postgres takes writes, and five with the app behind a load balancer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal import demo, server
from tests.machine.conftest import APP, Cloud, at_length, eventually, ip_range
from tests.machine.load import Load
from tests.machine.test_digitalocean_home import Droplets, changes

NAME = "eight-test"
VOLUME: dict[str, Any] = {"volumes": [{"name": "data", "size": 1}]}
DROPLETS = [
    {"name": "data-1", "groups": ["postgres", "redis"], "size": "s-2vcpu-2gb", **VOLUME},
    *({"name": f"data-{number}", "groups": ["postgres"], "size": "s-1vcpu-1gb", **VOLUME} for number in (2, 3)),
    *({"name": f"app-{number}", "groups": ["app"], "size": "s-1vcpu-1gb"} for number in range(1, 6)),
]
GIVEN = ("-e", json.dumps({"digitalocean_droplets": DROPLETS, "digitalocean_ip_range": ip_range(6), "backup_bucket": ""}))
pytestmark = [pytest.mark.docker, at_length("minutes")]


@pytest.fixture(scope="module")
def eight(cloud: Cloud) -> Iterator[Droplets]:
    server.digitalocean(demo.bases(APP))
    found = Droplets(NAME, "", cloud.environment, "", "digitalocean")
    begin = time.monotonic()
    done = found.playbook("site.yml", *GIVEN)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    print(f"eight droplets from nothing: {time.monotonic() - begin:.0f} s")
    found.output, found.url = done.stdout, done.stdout.split("URL: ")[1].split("'")[0].split()[0]
    yield found
    found.playbook("destroy.yml", *GIVEN, "-e", f"destroy={NAME}", "-e", f"destroy_volumes={NAME}")


def test_the_app_is_served_by_all_five_from_one_database(eight: Droplets):
    assert eventually(eight.ready)
    eight.submit(12)
    assert eventually(lambda: eight.result(12)) == 233
    assert [eight.droplet(f"app-{number}")["status"] for number in range(1, 6)] == ["active"] * 5


def test_a_second_run_changes_nothing(eight: Droplets):
    begin = time.monotonic()
    done = eight.playbook("site.yml", *GIVEN)
    print(f"eight droplets, nothing to change: {time.monotonic() - begin:.1f} s")
    assert done.returncode == 0
    assert not any(changes(done.stdout).values())


def test_a_release_reaches_all_five_without_a_lost_request(eight: Droplets):
    begin = time.monotonic()
    with Load(f"{eight.url}/api/values/12", rate=50) as load:
        done = eight.playbook("deploy.yml", *GIVEN, "-e", "app_release=another")
    print(f"a release to five droplets: {time.monotonic() - begin:.1f} s")
    assert done.returncode == 0, done.stdout[-3000:]
    assert load.lost == {}
    served = {json.loads(eight.on(f"app-{number}", "cat /srv/berth/*/current.json"))["release"] for number in range(1, 6)}
    assert len(served) == 1
    assert served.pop().startswith("another-")
