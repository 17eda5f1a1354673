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
