"""Reads Compose projects with the same functions as Berth's modules, which live where Ansible looks for them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "plugins" / "module_utils"))

from berth import compose
from berth import overview as module
from berth.images import basename, engine_of
from berth.label_proxy import told_at_start
from berth.notes import Notes
from berth.production import production_files
from berth.serving import serves

__all__ = ["basename", "engine_of", "in_production", "overview", "production_files", "run", "serves"]


def run(command: Sequence[str]) -> tuple[int, str, str]:
    """Run a command: exit code, standard output, standard error."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def in_production(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The services, with what stands in for a proxy that reads labels."""
    return told_at_start(services, (), Notes())


def overview(directory: Path, name: str) -> dict[str, Any]:
    """A running project at a glance, as the module ``compose_app_info`` returns it."""
    project = compose.read_project(run, str(directory))
    _code, out, _err = run(["docker", "compose", "--project-name", name, "ps", "--all", "--format", "json"])
    containers = [json.loads(line) for line in out.splitlines() if line.strip()]
    return module.overview(project, containers)
