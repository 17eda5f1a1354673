"""Playbooks that are killed, with all that they started, as a power cut would: at a task's beginning, or at a request that changes something."""

from __future__ import annotations

import subprocess
import threading
from typing import Any

from rehearsal import faults
from rehearsal.aws.faults import kill_tree
from tests.machine.conftest import ROOT, Cloud

KILLED = -9
SECONDS = 600


def start(cloud: Cloud, playbook: str, *arguments: str) -> subprocess.Popen[str]:
    """A playbook that runs."""
    command = ["ansible-playbook", "-i", "inventories/aws", f"playbooks/{playbook}", *arguments]
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


def killed_at_change(cloud: Cloud, number: int, playbook: str, *arguments: str, done: bool) -> tuple[int, str]:
    """Kill a playbook at its ``number``-th request that changes something. ``done``: after AWS has done it, with the answer lost."""
    process = start(cloud, playbook, *arguments)
    faults.add("kill-after" if done else "kill", changes=True, skip=number - 1, times=1, pid=process.pid)
    guard = threading.Timer(SECONDS, kill_tree, [process.pid])
    guard.start()
    said, _none = process.communicate()
    guard.cancel()
    faults.clear()
    return process.returncode, said


def sweep(kill: Any, cloud: Cloud, steps: list[int], playbook: str, *arguments: str, **how: Any) -> int:
    """Kill a playbook over and over, each time a little further, until a run gets to its end. Returns how often it was killed.

    ``steps``: how many tasks or changes each run may do, over and over.
    """
    for count in range(400):
        code, said = kill(cloud, steps[count % len(steps)], playbook, *arguments, **how)
        if code != KILLED:
            assert code == 0, said[-6000:]
            return count
    raise AssertionError(f"{playbook} did not end")
