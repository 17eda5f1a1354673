"""Programs that nobody here wrote, each set in an environment of its own: they pin boto3 for themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from . import state


def programs(name: str, pins: Path) -> Path:
    """The folder of the programs that a file of requirements brings, set up once for what the file says. ``name``: its folder in .cache."""
    home = state.ROOT / ".cache" / name
    mark = home / ".pins"
    if not mark.is_file() or mark.read_text(encoding="utf-8") != pins.read_text(encoding="utf-8"):
        print(f"Setting up .cache/{name} from {pins.relative_to(state.ROOT)}: a few minutes, once", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([home / "bin" / "python", "-m", "pip", "install", "--quiet", "--requirement", str(pins)], check=True)
        mark.write_text(pins.read_text(encoding="utf-8"), encoding="utf-8")
    return home / "bin"
