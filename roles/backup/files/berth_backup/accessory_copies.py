"""An app's accessories on copies of their volumes, where nobody reaches them: whether they begin on a backup."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from .common import BackupError, meaning, run
from .volumes import copy_of

_UP_SECONDS = "180"
_STOP_SECONDS = "10"
# For so long what was begun has to go on.
_STEADY_SECONDS = 3


class AccessoryCopies:
    """``home``: the folder with their Compose file, in that of the app; ``place``: where Compose files of copies lie, which hold passwords."""

    def __init__(self, home: Path, place: Path) -> None:
        self._home, self._place = home, place

    def begin(self, kind: str, folder: Path) -> list[str]:
        """Let them run on the copies in a folder. Returns their containers. Raises :class:`BackupError` where one does not go on."""
        path = self._home / "compose.json"
        model = apart(json.loads(path.read_text()) if path.is_file() else {}, folder)
        if not model["services"]:
            return []
        self._file(kind).touch(mode=0o600)
        self._file(kind).write_text(json.dumps(model))
        words = ("up", "--detach", "--no-build", "--pull", "never", "--wait", "--wait-timeout", _UP_SECONDS)
        code, out, err = run(*self._compose(kind), *words)
        time.sleep(_STEADY_SECONDS if code == 0 else 0)
        running = run(*self._compose(kind), "ps", "--services", "--status", "running")[1].split()
        lost = sorted(set(model["services"]) - set(running))
        if code != 0 or lost:
            logs = run(*self._compose(kind), "logs", "--no-color", "--tail", "20")
            raise BackupError(
                f"{', '.join(lost) or 'a server'} does not run on what was restored: {meaning(''.join(logs[1:]) or err + out)}"
            )
        return run(*self._compose(kind), "ps", "--format", "{{.Name}}")[1].split()

    def end(self, kind: str) -> None:
        """Stop and remove them, where they are there."""
        if self._file(kind).is_file():
            run(*self._compose(kind), "down", "--volumes", "--timeout", _STOP_SECONDS)
            self._file(kind).unlink()

    def _file(self, kind: str) -> Path:
        return self._place / f"app.{kind}.json"

    def _compose(self, kind: str) -> tuple[str, ...]:
        project = re.sub(r"[^a-z0-9_-]+", "-", f"{self._home.parent.name}-{kind}".lower())
        named = ("--file", str(self._file(kind)), "--project-directory", str(self._home), "--project-name", project)
        return ("docker", "compose", *named)


def apart(model: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Of a Compose model the services that have any of the volumes of which ``folder`` holds copies, on those, in a network of their own."""
    called = {key: (how or {}).get("name") or key for key, how in (model.get("volumes") or {}).items()}
    services = {}
    for name, service in (model.get("services") or {}).items():
        mounts, mine = [], False
        for mount in service.get("volumes") or []:
            source = str(mount.get("source") or "")
            copy = folder / copy_of(called.get(source, source))
            if source and copy.is_dir():
                mine = True
                mounts.append({"type": "bind", "source": str(copy), "target": mount["target"], "read_only": bool(mount.get("read_only"))})
            elif mount["type"] == "volume":
                # One of its own, without what is in the real one.
                mounts.append({"type": "volume", "target": mount["target"]})
            else:
                mounts.append(mount)
        if mine:
            left = ("ports", "networks", "network_mode", "labels", "restart", "container_name", "volumes")
            services[name] = {**{key: how for key, how in service.items() if key not in left}, "volumes": mounts, "restart": "no"}
    for service in services.values():
        if "depends_on" in service:
            service["depends_on"] = {other: how for other, how in service["depends_on"].items() if other in services}
    needed = {key: model[key] for key in ("secrets", "configs") if model.get(key)}
    return {"services": services, "networks": {"default": {"internal": True}}, **needed}
