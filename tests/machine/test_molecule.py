"""The molecule scenarios, each as `molecule test` runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from rehearsal import server
from tests.machine.conftest import EVERY, Cloud, at_length

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
# They share a droplet, which the platform's own takes away.
ON_DROPLETS = ["app_compose", "machine", "postgres_container", "redis_container", "platform_digitalocean"]
# Of what these do, test_aws_home.py sees more.
LEFT_OUT = [] if EVERY else ["postgres_rds", "redis_elasticache", "app_beanstalk"]
ELSEWHERE = [name for name in SCENARIOS if name not in ON_DROPLETS + LEFT_OUT]
Done = subprocess.CompletedProcess[str]


def run(scenario: str, environment: Mapping[str, str], folder: Path) -> Done:
    # What an earlier run left where Molecule keeps its state, killed or not, would be taken for prepared.
    settings = {**environment, "MOLECULE_EPHEMERAL_DIRECTORY": str(folder / scenario)}
    command = ["molecule", "test", "--scenario-name", scenario]
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def runs(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Done]]]:
    """All scenarios, in two lanes: those on the droplet one after another, and beside them the others, which mostly wait for AWS."""
    server.digitalocean(["nginx:1.28", "redis:8"])
    folder = tmp_path_factory.mktemp("molecule")
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        # Those that are not of a cloud do not see what leads to the rehearsal.
        cloudy = ("_aws", "_rds", "_elasticache", "_beanstalk")
        yield {
            **{name: first.submit(run, name, cloud.environment, folder) for name in ON_DROPLETS},
            **{name: second.submit(run, name, cloud.environment if name.endswith(cloudy) else os.environ, folder) for name in ELSEWHERE},
        }


@pytest.mark.parametrize("scenario", [*(pytest.param(each, marks=at_length("a minute")) for each in LEFT_OUT), *ELSEWHERE, *ON_DROPLETS])
def test_scenario(runs: dict[str, Future[Done]], scenario: str):
    done = runs[scenario].result()
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-3000:]
