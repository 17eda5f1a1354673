"""The Docker engine of this machine: set up by the playbook that users run, and stopped again only where Berth started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import docker
import docker.errors

ROOT = Path(__file__).parent.parent
# Written by the role docker_engine where it starts an engine without a service manager.
_PID_FILE = Path("/run/berth-dockerd.pid")
# In bytes. After the whole test suite and the benchmarks the engine held 5.6 GB (November 2026), and more at some moment before.
_NEEDED = 12 * 10**9
_PRUNE_SECONDS = 900


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
        _tell_of_space()
        return 0
    print("Setting up Docker (playbooks/platform.yml -i inventories/local): a minute, once", flush=True)
    code = playbook("local", "platform.yml")
    if code and or_skip and not os.environ.get("BERTH_REQUIRE_DOCKER"):
        print("No Docker engine: what needs one is skipped.", file=sys.stderr)
        return 0
    if code == 0:
        _tell_of_space()
    return code


def _tell_of_space() -> None:
    """Warn where the disk that the engine keeps images on may become full: what then fails, fails anywhere, and seldom says why."""
    root = Path(docker.from_env().info()["DockerRootDir"])
    # An engine in a machine of its own (Docker Desktop) keeps them where nobody here can look.
    free = shutil.disk_usage(root).free if root.is_dir() else _NEEDED
    if free < _NEEDED:
        print(
            f"Only {free / 10**9:.1f} GB are free where Docker keeps images ({root}), and a rehearsal should have {_NEEDED / 10**9:.0f} GB: "
            "docker system df says what takes it, docker builder prune and docker image prune remove what no container needs.",
            file=sys.stderr,
        )


def playbook(target: str, name: str, *arguments: str, environment: dict[str, str] | None = None) -> int:
    """Run one of Berth's playbooks on an inventory, as a user would. Returns the exit code."""
    command = ["ansible-playbook", "-i", f"inventories/{target}", f"playbooks/{name}", *arguments]
    settings = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", **(environment or {})}
    return subprocess.run(command, cwd=ROOT, env=settings, check=False).returncode


def _prune() -> int:
    """Remove images without a name, and what builds keep for the next one. Returns the bytes that are free again."""
    api, freed = docker.from_env(timeout=_PRUNE_SECONDS).api, 0
    for prune in (partial(api.prune_images, {"dangling": True}), partial(api.prune_builds, all=True)):
        # The engine is to stop in any case, also where somebody else has it prune at this moment.
        with contextlib.suppress(docker.errors.APIError, OSError):
            freed += int(prune()["SpaceReclaimed"] or 0)
    return freed


def _is_engine(number: int) -> bool:
    """Whether a process is a Docker engine, not one that was given the number of one that has ended."""
    try:
        return Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip() == "dockerd"
    except OSError:
        return False


def stop() -> None:
    """Stop the engine that Berth started, unless it serves others, and remove what builds have left in it.

    The next ones begin from bases of their own, so what these have left would only pile up, by a gigabyte or two each time.
    """
    try:
        number = int(_PID_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if not _is_engine(number):
        _PID_FILE.unlink(missing_ok=True)
        return
    running = docker.from_env().containers.list()
    if running:
        names = ", ".join(sorted(each.name for each in running)[:5]) + (", …" if len(running) > 5 else "")
        print(f"The Docker engine stays: {len(running)} other containers run on it ({names}).")
        return
    print("Stopping the Docker engine that Berth started. What builds have left in it goes first.", flush=True)
    print(f"{_prune() / 10**9:.1f} GB are free again.")
    os.kill(number, signal.SIGTERM)
    for _second in range(30):
        if not Path(f"/proc/{number}").exists():
            break
        time.sleep(1)
    _PID_FILE.unlink(missing_ok=True)
