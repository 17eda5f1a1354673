"""Drills: the latest backup restored into a server that nobody uses, looked at, and taken away."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from .common import BackupError, meaning, run, say
from .postgres import Server, counted
from .restores import Restores


class Drills(Restores):
    """A backup that nobody has restored is a hope."""

    def drill(self) -> dict[str, Any]:
        """Restore the latest backup into a server that nobody uses, look whether all is in it, and take it away."""
        found = self.backups()
        if not found:
            raise BackupError("there is no backup to restore; playbooks/backup.yml takes one")
        if not self.server.primary() and self.server.runs():
            return {"changed": False, "skipped": "a standby: the primary's machine holds the drill"}
        backup, begin = found[-1], time.monotonic()
        try:
            self.room(backup["bytes"])
            place = backup["record"].get("place")
            words = [f"--set={backup['id']}", "--target-action=promote"]
            words += ["--type=lsn", f"--target={place}", "--target-exclusive"] if place else ["--type=immediate"]
            say(f"restoring backup {backup['id']} of {backup['at']}")
            brought = self.bring("drill", words, published=False)
            checks = self.examine(Server(brought["container"]), backup)
        except BackupError as problem:
            self.notes.write("drill", {"id": backup["id"], "at": time.time(), "failed": str(problem)})
            raise
        finally:
            self.discard("drill")
        age = int(time.time() - backup["ended"])
        result = {"id": backup["id"], "at": time.time(), "restored": brought["seconds"], "age": age, "checks": checks}
        result["seconds"] = round(time.monotonic() - begin, 1)
        self.notes.write("drill", result)
        return {"changed": True, **result}

    def examine(self, server: Server, backup: dict[str, Any]) -> list[str]:
        """Look whether a restored server is whole. Returns what was found well; raises :class:`BackupError` for what was not."""
        database, done = self.settings["database"], ["Postgres starts"]
        say("looking at every page and index")
        words = ("pg_amcheck", "--all", "--install-missing", "--no-strict-names", "--heapallindexed", "--progress")
        code, out, err = run("docker", "exec", "--user", "postgres", server.name, *words)
        if code != 0:
            raise BackupError(f"backup {backup['id']} is damaged: {(out or meaning(err)).strip()[:600]}")
        done.append("pg_amcheck finds no damage")
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
