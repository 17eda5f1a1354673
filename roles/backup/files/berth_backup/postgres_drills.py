"""Drills of Postgres: a backup restored into a server that nobody uses, and looked at."""

from __future__ import annotations

import hashlib
from typing import Any

from .common import BackupError, meaning, run, say
from .postgres import Server, counted
from .postgres_restores import Restores


class Drills(Restores):
    """A backup that nobody has restored is a hope."""

    def rehearse(self, backup: dict[str, Any]) -> tuple[float, list[str]]:
        """Up to the place in the log at which what it holds was recorded."""
        self.room(backup["bytes"])
        place = backup["record"].get("place")
        words = [f"--set={backup['id']}", "--target-action=promote"]
        words += ["--type=lsn", f"--target={place}", "--target-exclusive"] if place else ["--type=immediate"]
        brought = self.bring("drill", words, published=False)
        return brought["seconds"], ["Postgres starts", *self.examine(Server(brought["container"]), backup)]

    def examine(self, server: Server, backup: dict[str, Any]) -> list[str]:
        """Look whether a restored server is whole. Returns what was found well; raises :class:`BackupError` for what was not."""
        database, done = self.settings["database"], ["pg_amcheck finds no damage"]
        say("looking at every page and index")
        words = ("pg_amcheck", "--all", "--install-missing", "--no-strict-names", "--heapallindexed", "--progress")
        code, out, err = run("docker", "exec", "--user", "postgres", server.name, *words)
        if code != 0:
            raise BackupError(f"backup {backup['id']} is damaged: {(out or meaning(err)).strip()[:600]}")
        if backup["record"].get("digest"):
            lines = counted(server, database, self.settings["record_bytes"])
            if hashlib.sha256("\n".join(lines).encode()).hexdigest() != backup["record"]["digest"]:
                then = set(self.notes.read(f"records/{backup['id']}").get("lines") or [])
                other = ", ".join(sorted({line.rsplit(" ", 2)[0] for line in then ^ set(lines)})) if then else "some tables"
                raise BackupError(f"backup {backup['id']} does not hold what was recorded with it: {other}")
            done.append(f"{backup['record']['rows']} rows in {len(lines)} tables are what the backup recorded")
        else:
            done.append("rows were not compared, since the backup has no record of them")
        if self.settings["query"]:
            answer = server.ask(self.settings["query"], database)
            if answer in ("", "f", "0"):
                raise BackupError(f"the query of backup_drill_query answers {answer!r} on backup {backup['id']}")
            done.append(f"the query answers {answer[:80]!r}")
        return done
