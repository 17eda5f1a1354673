"""Playbooks that are killed, with all that they started, as a power cut would: at a task's beginning, or at a request that changes something."""

from __future__ import annotations

import subprocess
import threading

from rehearsal import faults
from rehearsal.rules import kill_tree
from tests.machine.conftest import ROOT, Cloud

KILLED = -9
SECONDS = 600


def start(cloud: Cloud, playbook: str, *arguments: str) -> subprocess.Popen[str]:
    """A playbook that runs."""
    command = ["ansible-playbook", "-i", cloud.inventory, f"playbooks/{playbook}", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=cloud.environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def killed_at_task(cloud: Cloud, number: int, playbook: str, *arguments: str) -> tuple[int, str]:
    """Kill a playbook when its ``number``-th task begins. Returns its exit code (:data:`KILLED`) and what it said."""
    process, said, tasks = start(cloud, playbook, *arguments), [], 0
    guard = threading.Timer(SECONDS, kill_tree, [process.pid])
    guard.start()
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if line.startswith("TASK ["):
            tasks += 1
            if tasks == number:
                kill_tree(process.pid)
    guard.cancel()
    return process.wait(), "".join(said)


def killed_at_change(cloud: Cloud, number: int, playbook: str, *arguments: str, done: bool) -> tuple[int, str, str]:
    """Kill a playbook at its ``number``-th request that changes something. ``done``: after the cloud has done it, with the answer lost.

    Returns its exit code, what it said, and the request.
    """
    process = start(cloud, playbook, *arguments)
    faults.add("kill-after" if done else "kill", changes=True, skip=number - 1, times=1, pid=process.pid)
    guard = threading.Timer(SECONDS, kill_tree, [process.pid])
    guard.start()
    said, _none = process.communicate()
    guard.cancel()
    return process.returncode, said, faults.clear()[0]["last"]


def sweep_tasks(cloud: Cloud, first: int, step: int, playbook: str, *arguments: str) -> int:
    """Kill a playbook at its task ``first``, and each time ``step`` tasks further, until a run gets to its end. Returns how often."""
    for count in range(400):
        code, said = killed_at_task(cloud, first + count * step, playbook, *arguments)
        if code != KILLED:
            assert code == 0, said[-6000:]
            return count
    raise AssertionError(f"{playbook} did not end")


def sweep_changes(cloud: Cloud, steps: list[int], playbook: str, *arguments: str, done: bool) -> list[str]:
    """Kill a playbook over and over, at each run's first request that changes something, or, by ``steps``, a later one, until a run gets to its
    end. Returns the requests at which it died.

    What every run asks anew is passed by: a run that died there again would never get further.
    """
    died: list[str] = []
    more = 0
    for count in range(400):
        code, said, at = killed_at_change(cloud, steps[count % len(steps)] + more, playbook, *arguments, done=done)
        if code != KILLED:
            assert code == 0, said[-6000:]
            return died
        more = more + 1 if at in died else 0
        died.append(at)
    raise AssertionError(f"{playbook} did not end; it died at {died[-5:]}")
