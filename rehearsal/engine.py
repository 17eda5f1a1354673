"""The Docker engine of this machine: set up by the playbook that users run, and stopped again only where Berth started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import docker.errors

ROOT = Path(__file__).parent.parent
# Written by the role docker_engine where it starts an engine without a service manager.
_PID_FILE = Path("/run/berth-dockerd.pid")


def answers() -> bool:
    """Whether an engine answers."""
    try:
        docker.from_env(timeout=10).ping()
    except (docker.errors.DockerException, OSError):
        return False
    return True


def has_plugins() -> bool:
    """Whether Compose and buildx are there."""
    commands = (["docker", "compose", "version"], ["docker", "buildx", "version"])
    try:
        return all(subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in commands)
    except FileNotFoundError:
        return False


def set_up(*, or_skip: bool = False) -> int:
    """Run the platform playbook of the local inventory, unless all is there. Returns the exit code.

    ``or_skip``: without BERTH_REQUIRE_DOCKER, a machine where containers cannot run is no failure.
    """
    if answers() and has_plugins():
        return 0
    print("Setting up Docker (playbooks/platform.yml -i inventories/local): a minute, once", flush=True)
    code = playbook("local", "platform.yml")
    if code and or_skip and not os.environ.get("BERTH_REQUIRE_DOCKER"):
        print("No Docker engine: what needs one is skipped.", file=sys.stderr)
        return 0
    return code


def playbook(target: str, name: str, *arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run one of Berth's playbooks on an inventory, as a user would. Returns the exit code."""
    command = ["ansible-playbook", "-i", f"inventories/{target}", f"playbooks/{name}", *arguments]
    settings = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", **(environment or {})}
    return subprocess.run(command, cwd=ROOT, env=settings, check=False).returncode


def stop() -> None:
    """Stop the engine that Berth started, unless it serves others."""
    try:
        number = int(_PID_FILE.read_text(encoding="utf-8"))
        is_engine = Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip() == "dockerd"
    except (OSError, ValueError):
        return
    if not is_engine:
        _PID_FILE.unlink(missing_ok=True)
        return
    running = docker.from_env().containers.list()
    if running:
        print(f"The Docker engine stays: {len(running)} other containers run on it.")
        return
    print("Stopping the Docker engine that Berth started.")
    os.kill(number, signal.SIGTERM)
    for _second in range(30):
        if not Path(f"/proc/{number}").exists():
            break
        time.sleep(1)
    _PID_FILE.unlink(missing_ok=True)
