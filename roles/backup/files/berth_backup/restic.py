"""A repository of restic's on an object store, for stores that have no engine of their own that keeps backups."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from .common import UNREADABLE, BackupError, check, meaning, moment, say, when_of
from .work import Copies


class Restic(Copies):
    """What is kept of a store in such a repository: its numbers are tags of each backup."""

    # Programs that are needed here, which are also the names of Debian's packages.
    programs: tuple[str, ...] = ("restic",)
    # The names of the numbers.
    numbers: tuple[str, ...] = ("bytes",)
    # How often a copy that is restored has to find room for what is in the backup.
    times = 1

    def backup(self, *, full: bool = False) -> dict[str, Any]:
        """Take one, check it, remove those that are too old. ``full`` makes no difference: restic keeps what is alike once."""
        raise NotImplementedError

    def bring(self, kind: str, backup: dict[str, Any]) -> dict[str, Any]:
        """Restore a backup as a copy, and let run on it what can: at least its ``folder``, its ``container`` and the ``seconds`` it took."""
        raise NotImplementedError

    def restic(self, *words: str, configuration: str = "", target: Path | None = None) -> tuple[int, str, str]:
        """restic, whose output goes into a file where one is given."""
        opened = json.loads(Path(configuration or self.settings["repository"]).read_text())
        options = ["--no-cache", "--option", "s3.bucket-lookup=path", *(["--cacert", opened["authority"]] if opened["authority"] else [])]
        environment = {**os.environ, **opened["environment"]}
        with open(target or os.devnull, "wb") as file:
            output = file if target else subprocess.PIPE
            done = subprocess.run(["restic", *options, *words], env=environment, stdout=output, stderr=subprocess.PIPE, check=False)
        return done.returncode, (done.stdout or b"").decode(errors="replace"), done.stderr.decode(errors="replace")

    def must(self, problem: str, *words: str, configuration: str = "", target: Path | None = None) -> str:
        """The output of restic. Raises :class:`BackupError`."""
        code, out, err = self.restic(*words, configuration=configuration, target=target)
        if code != 0:
            raise BackupError(f"{problem}: {UNREADABLE if 'wrong password' in err else meaning(err + out)}")
        return out

    def is_empty(self) -> bool:
        """Whether nothing is in the data's place."""
        return not self.holds(self.data)

    def prepare(self, candidate: str = "") -> dict[str, Any]:
        """Have restic and the repository; say what it holds, and what is in the data's place. ``candidate``: see Postgres."""
        missing = [each for each in self.programs if shutil.which(each) is None]
        changed = bool(missing)
        if missing:
            named = " and ".join(missing)
            say(f"installing {named}")
            check(f"{named} cannot be installed", "apt-get", "update", "--quiet=2")
            check(f"{named} cannot be installed", "apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", *missing)
        empty = self.is_empty()
        if not empty and not candidate:
            return {"changed": changed, "empty": False, "kept": []}
        code, out, err = self.restic("cat", "config", configuration=candidate)
        # A repository that is not there yet is no mistake; the first versions that say so by their exit code are newer than Debian's.
        if code != 0 and ("Is there a repository" in err or "does not exist" in err) and "Access Denied" not in err:
            self.must("the repository cannot be made", "init", configuration=candidate)
            changed = True
        elif code != 0:
            raise BackupError(f"the repository cannot be read: {UNREADABLE if 'wrong password' in err else meaning(err + out)}")
        return {"changed": changed, "empty": empty, "kept": [each["id"] for each in self.backups(candidate)] if empty else []}

    def backups(self, configuration: str = "") -> list[dict[str, Any]]:
        """The backups, oldest first; of each, beside what all stores' have, its ``path``, its ``tags`` as they are, and its numbers."""
        found = json.loads(self.must("the repository cannot be read", "snapshots", "--json", configuration=configuration) or "[]") or []
        kept = []
        for each in sorted(found, key=lambda one: str(one["time"])):
            tags = [tag for tag in each.get("tags") or [] if "=" in tag]
            said = dict(tag.split("=", 1) for tag in tags)
            ended = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", each["time"])).timestamp()
            one = {"id": each["short_id"], "type": "full", "at": moment(ended), "ended": ended, "path": each["paths"][0], "tags": tags}
            kept.append({**one, **{name: int(said.get(name, 0)) for name in self.numbers}})
        return kept

    def send(self, path: Path, *tags: str, **numbers: int) -> None:
        """Keep a file or folder, see that the repository is sound, and remove what is too old."""
        # Locks of commands that were killed.
        self.restic("unlock")
        said = [word for tag in (*(f"{name}={number}" for name, number in numbers.items()), *tags) for word in ("--tag", tag)]
        self.must("no backup was taken", "backup", "--quiet", "--host", self.settings["name"], *said, str(path))
        self.must("old backups cannot be removed", "forget", "--quiet", "--prune", "--keep-within", f"{self.settings['days']}d")
        self.must("the repository is not sound", "check", "--quiet")

    def target(self, wanted: str) -> dict[str, Any]:
        """The backup that ``latest``, an id or a time means. Raises :class:`BackupError` for what cannot be."""
        found = self.backups()
        if not found:
            raise BackupError("there is no backup in the repository yet; playbooks/backup.yml takes one")
        if wanted == "latest":
            return found[-1]
        for each in found:
            if each["id"] == wanted:
                return each
        when = when_of(wanted, found).timestamp()
        return next(each for each in reversed(found) if each["ended"] <= when)

    def keep(self) -> dict[str, Any]:
        """Have a first backup. Nothing is done where there was one already, or where there is nothing to keep."""
        if self.notes.read("backup").get("id") or not self.serves():
            return {"changed": False}
        return {"changed": True, "backup": self.backup()}

    def restore(self, wanted: str) -> dict[str, Any]:
        """Bring a backup beside what runs."""
        backup = self.target(wanted)
        self.room(backup["bytes"] * self.times)
        say(f"restoring backup {backup['id']} of {backup['at']}")
        found = {"meant": f"backup {backup['id']}", "until": backup["at"], **self.bring("restored", backup)}
        self.notes.write("restored-beside", {"wanted": wanted, "at": time.time(), **found})
        return {"changed": True, "wanted": wanted, **found, "lacks": f"what was written since {backup['at']}" if self.serves() else ""}
