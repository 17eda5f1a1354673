"""A repository of pgBackRest on an object store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .common import UNREADABLE, BackupError, check, meaning, moment, run

PGDATA = "/var/lib/postgresql/data"
TOOL = ("pgbackrest", "--config=/etc/berth/conf/pgbackrest.conf", "--stanza=main")

# What pgBackRest calls a status that has no number of its own.
_OTHER = 99


class Repository:
    """pgBackRest as a store's image brings it. ``settings``: what the role wrote."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.conf = str(Path(settings["home"]) / "conf")
        self._known: dict[str, dict[str, Any]] = {}

    def mounts(self, data: Path | None) -> list[str]:
        """What pgBackRest sees: its configuration, and a folder of data."""
        folder = [f"--mount=type=bind,source={data},target={PGDATA}"] if data else []
        return [f"--mount=type=bind,source={self.conf},target=/etc/berth/conf,readonly", *folder]

    def tool(self, *words: str, data: Path | None = None, configuration: str = "pgbackrest.conf") -> tuple[int, str, str]:
        """pgBackRest on its own, on a folder of data where one is given. It works whether or not a server runs."""
        self._known.clear()
        begin = ("docker", "run", "--rm", "--user", "postgres", *self.mounts(data), "--entrypoint", TOOL[0], self.settings["image"])
        return run(*begin, f"--config=/etc/berth/conf/{configuration}", *TOOL[2:], *words)

    def within(self, problem: str, *words: str) -> str:
        """pgBackRest beside the running server, with what that leaves of the processors: it is for the app first."""
        self._known.clear()
        return check(problem, "docker", "exec", "--user", "postgres", self.settings["container"], "nice", "--adjustment=19", *TOOL, *words)

    def info(self, configuration: str = "pgbackrest.conf") -> dict[str, Any]:
        """What the repository holds, as pgBackRest says it; nothing is empty. Raises :class:`BackupError` where it cannot be read.

        It is asked once, until something else is done.
        """
        if configuration in self._known:
            return self._known[configuration]
        code, out, err = self.tool("info", "--output=json", "--log-level-console=error", configuration=configuration)
        if code != 0:
            raise BackupError(f"the repository cannot be read: {meaning(out + err)}")
        try:
            found: dict[str, Any] = (json.loads(out) or [{}])[0]
        except ValueError:  # what a wrong passphrase makes of it
            raise BackupError(UNREADABLE) from None
        for each in found.get("repo") or []:
            if (each.get("status") or {}).get("code") == _OTHER:
                raise BackupError(f"the repository cannot be read: {meaning(str(each['status'].get('message')))}")
        self._known[configuration] = found
        return found

    def backups(self) -> list[dict[str, Any]]:
        """The backups, oldest first: ``id``, ``type``, ``at`` (when it ended), ``bytes`` of data, ``wrong``, ``record``."""
        return [
            {
                "id": each["label"],
                "type": each["type"],
                "at": moment(each["timestamp"]["stop"]),
                "ended": each["timestamp"]["stop"],
                "bytes": each["info"]["size"],
                "wrong": bool(each.get("error")),
                "record": each.get("annotation") or {},
            }
            for each in self.info().get("backup") or []
        ]
