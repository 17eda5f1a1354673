"""Running commands in a rehearsal, for all benchmarks of a cloud."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rehearsal import server

ROOT = Path(__file__).parent.parent
# The median time, in seconds, of an action that is done so many times.
Seconds = Callable[[Callable[[], None], int], float]


def run(*words: str, folder: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    """Run a command in the rehearsal; stop with its words when it fails."""
    settings = {**os.environ, **server.environment(), **(environment or {})}
    done = subprocess.run(words, cwd=folder, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words[:4])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def void(_said: object) -> None:
    """Nothing of what was said."""
