"""Running commands in a rehearsal, for scans."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rehearsal import server

ROOT = Path(__file__).parent.parent


def run(*words: str) -> None:
    """Run a command in the rehearsal. Stop with its words when it fails."""
    print("  " + " ".join(words[:6]), flush=True)
    settings = {**os.environ, **server.environment()}
    done = subprocess.run(words, cwd=ROOT, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stdout[-3000:]}{done.stderr[-2000:]}")
