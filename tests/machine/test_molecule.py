"""The molecule scenarios, each as `molecule test` runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


@pytest.mark.docker
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str):
    done = subprocess.run(["molecule", "test", "--scenario-name", scenario], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-3000:]
