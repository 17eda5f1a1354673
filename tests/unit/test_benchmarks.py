"""That what `make bench` measures runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.modules import ROOT


@pytest.mark.compose
def test_the_functions_are_measured_by_themselves():
    project = ROOT / "tests" / "unit" / "projects" / "django"
    done = subprocess.run([sys.executable, "-m", "benchmarks.render", str(project)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_part_that_there_is_not_is_said_before_anything_is_measured():
    done = subprocess.run([sys.executable, "-m", "benchmarks", "droplet"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "there is no part droplet; there are rendering, no-change, aws, droplets, backups, moves, homes\n"
