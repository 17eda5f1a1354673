"""Backups of Postgres: what they need on a machine, how they are taken, and what is recorded with them."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from .common import BackupError, check, run, say
from .postgres import Postgres, still
from .work import Copies

# The image has Debian's or Alpine's packages.
RECIPE = """FROM {base}
LABEL org.berth.base={base}
USER root
RUN if command -v apk > /dev/null; then apk add --no-cache pgbackrest ca-certificates; else apt-get update \\
 && apt-get install --yes --no-install-recommends pgbackrest ca-certificates && rm -rf /var/lib/apt/lists/*; fi
"""


class Backups(Copies, Postgres):
    """Taken of the primary; a standby only has what it needs to take them once it is one."""

    def prepare(self, candidate: str = "") -> dict[str, Any]:
        """Have the image; say what the repository holds, and what is in the data's place.

        ``candidate``: another configuration of pgBackRest's, which has to open the repository before it takes the place of the one in force.
        """
        base, image = self.settings["base"], self.settings["image"]
        wanted = run("docker", "image", "inspect", "--format", '{{index .Config.Labels "org.berth.base"}}', image)
        changed = wanted[:2] != (0, f"{base}\n")
        if changed:
            say(f"adding pgBackRest to {base}")
            check(f"{image} cannot be built", "docker", "build", "--tag", image, "-", stdin=RECIPE.format(base=base))
        configuration = Path(candidate).name if candidate else "pgbackrest.conf"
        self.own(Path(self.repository.conf) / configuration)
        empty = not self.holds(self.data)
        found = self.repository.info(configuration) if empty or candidate else {}
        kept = [each["label"] for each in found.get("backup") or []]
        return {"changed": changed, "empty": empty, "kept": kept}

    def keep(self) -> dict[str, Any]:
        """Have this server's log archived, and a first backup. Nothing is done where that is so already."""
        if not self.server.primary():
            return {"changed": False}
        identifier = self.server.ask("SELECT system_identifier FROM pg_control_system()")
        repository = hashlib.sha256((Path(self.repository.conf) / "pgbackrest.conf").read_bytes()).hexdigest()
        if self.notes.read("kept") == {"identifier": identifier, "repository": repository}:
            return {"changed": False}
        found = self.repository.info()
        known = [str(each["system-id"]) for each in found.get("db") or []]
        result: dict[str, Any] = {"changed": known[-1:] != [identifier]}
        if result["changed"]:
            # Another database's backups stay beside this one's.
            self.repository.within("the repository", "stanza-upgrade" if known else "stanza-create")
        self.archived()
        if not found.get("backup") or result["changed"]:
            result = {"changed": True, "backup": self.backup(full=True)}
        self.notes.write("kept", {"identifier": identifier, "repository": repository})
        return result

    def backup(self, *, full: bool = False) -> dict[str, Any]:
        """Take one, check it, and record what the database holds. On a standby nothing is done."""
        if not self.server.primary():
            if self.server.runs():
                return {"changed": False, "skipped": "a standby: the primary's machine takes the backup"}
            raise BackupError(f"{self.server.name} does not run, so there is nothing to back up")
        ended = [each["ended"] for each in self.backups() if each["type"] == "full"]
        kind = "full" if full or not ended or time.time() - ended[-1] > self.settings["full_days"] * 86400 - 3600 else "incr"
        say(f"taking a backup ({kind})")
        with self.noted("backup"):
            self.beside("no backup was taken", "backup", f"--type={kind}")
            taken = self.backups()[-1]
            if taken["wrong"]:
                raise BackupError(
                    f"backup {taken['id']} has pages with wrong checksums: the database's files are damaged; see {self.server.name}'s log"
                )
            record = self.record(taken["id"])
            self.archived()
        self.notes.write("backup", {"id": taken["id"]})
        return {"changed": True, **taken, "record": record}

    def record(self, label: str) -> dict[str, str]:
        """Note with a backup what the database held at one moment: rows and a sum of each table, which a drill compares.

        The moment is one at which nothing is being written, so that it is a place in the log as well. Where there is none in time, no note.
        """
        lines, place = still(self.server.name, self.settings["database"], self.settings["record_bytes"], self.settings["record_seconds"])
        if not place:
            say("the database was written to all the time, so the backup has no record of rows")
            return {}
        self.server.ask("SELECT pg_switch_wal()")
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        record = {"place": place, "tables": str(len(lines)), "rows": str(sum(int(line.split()[-2]) for line in lines)), "digest": digest}
        self.repository.within(
            "the record", "annotate", f"--set={label}", *(f"--annotation={key}={value}" for key, value in record.items())
        )
        self.notes.write(f"records/{label}", {"lines": lines})
        kept = {each["id"] for each in self.backups()}
        for name in self.notes.names("records"):
            if name not in kept:
                self.notes.drop(f"records/{name}")
        return record
