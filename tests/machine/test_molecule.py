"""The molecule scenarios, each as `molecule test` runs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rehearsal import server
from tests.machine.conftest import Cloud

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))

ON_AWS = [name for name in SCENARIOS if name.endswith(("_aws", "_rds", "_elasticache", "_beanstalk"))]
# They share a droplet, which the platform's own takes away.
ON_DROPLETS = ["app_compose", "machine", "postgres_container", "redis_container", "platform_digitalocean"]


def run(scenario: str, environment: dict[str, str]) -> None:
    # A run that was killed has left what the next one would take for prepared.
    subprocess.run(["molecule", "reset", "--scenario-name", scenario], cwd=ROOT, env=environment, capture_output=True, check=False)
    command = ["molecule", "test", "--scenario-name", scenario]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-3000:]


@pytest.mark.docker
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name not in ON_AWS + ON_DROPLETS])
def test_scenario(scenario: str):
    run(scenario, dict(os.environ))


@pytest.mark.docker
@pytest.mark.parametrize("scenario", ON_AWS)
def test_scenario_on_the_rehearsed_aws(cloud: Cloud, scenario: str):
    run(scenario, cloud.environment)


@pytest.mark.docker
@pytest.mark.parametrize("scenario", ON_DROPLETS)
def test_scenario_on_a_rehearsed_droplet(cloud: Cloud, scenario: str):
    server.digitalocean(["nginx:1.28"])
    run(scenario, cloud.environment)
