"""Running commands in a rehearsal, for all benchmarks of a cloud."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rehearsal import server

ROOT = Path(__file__).parent.parent


def seconds(action: Callable[[], None], times: int, before: Callable[[], None] | None = None) -> float:
    """The median time of an action, in seconds. ``before``: what is done before each turn, and not measured."""
    taken = []
    for _time in range(times):
        if before:
            before()
        begin = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def run(*words: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the rehearsal; stop with its words when it fails."""
    settings = {**os.environ, **server.environment(), **(environment or {})}
    # What is imported is compiled once, as where people work.
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(words, cwd=folder, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words[:4])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def void(_said: object) -> None:
    """Nothing of what was said."""
