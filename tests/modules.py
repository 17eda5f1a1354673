"""Runs a module as Ansible runs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def run(
    module: str, arguments: dict[str, Any], *options: str, environment: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any], str]:
    """Exit code, the module's result, and everything that was printed."""
    settings = {
        **(environment or os.environ),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_NOCOLOR": "1",
    }
    command = ["ansible", "machine", "-i", "inventories/local", "-m", module, "-a", json.dumps(arguments), *options]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
    begin = done.stdout.rfind("\nmachine | ") + 1 if not done.stdout.startswith("machine | ") else 0
    text = done.stdout[begin:]
    result = json.loads(text[text.index("{") : text.rindex("}") + 1]) if "{" in text else {}
    return done.returncode, result, done.stdout + done.stderr
