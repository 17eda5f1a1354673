"""Where the rehearsal keeps what it has to remember: its server, its certificates, snapshots and bundles. Everything in it goes with `down`."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
USERS = ROOT / ".cache" / "rehearsal"
FOLDER = Path(os.environ.get("BERTH_REHEARSAL_STATE") or USERS)


def every() -> list[Path]:
    """The folders of all rehearsals of this checkout: of its user, and of tests, benchmarks and scans that were cut off."""
    known = {USERS, *(USERS.with_name(f"{USERS.name}-of-{name}") for name in ("tests", "benchmarks", "scans"))}
    # Containers may be left of one whose folder is gone; tests that run side by side have a folder each.
    return sorted(known | set(USERS.parent.glob(f"{USERS.name}-of-*")))


def name_of(path: Path) -> str:
    """Tells a rehearsal's containers from those of another checkout, or of the tests, on the same engine."""
    return "berth-" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:5]


NAME = name_of(FOLDER)
SERVER = "server.json"
LOG = "server.log"


def folder(*parts: str) -> Path:
    """A folder of the rehearsal's own, made where it is missing, that only its user can enter."""
    path = FOLDER.joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o700)
    return path


def read(name: str, path: Path = FOLDER) -> dict[str, Any] | None:
    """A remembered document, or None where there is none."""
    try:
        found: dict[str, Any] = json.loads((path / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found


def write(name: str, document: dict[str, Any]) -> None:
    """Remember a document, in one step."""
    path = folder() / name
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
    temporary.replace(path)
