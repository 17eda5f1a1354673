"""What the backups of every store have in common: copies beside the data, one that takes its place, and an alarm when something is wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .common import BackupError, Notes, check, meaning, moment, now, post, run, runs, say

_SHOW_SECONDS = 15


class Work:
    """What one machine does for a store. ``settings``: what the store's role wrote."""

    kind: str

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.notes = Notes(Path(settings["notes"]))
        self.container = str(settings["container"])
        self.data = Path(settings["data"])

    def holds(self, folder: Path) -> bool:
        """Whether there is a store's data in a folder."""
        raise NotImplementedError

    def backups(self) -> list[dict[str, Any]]:
        """The backups, oldest first: at least ``id``, ``type``, ``at`` (when it ended) and the same as ``ended``, ``bytes``."""
        raise NotImplementedError

    def serves(self) -> bool:
        """Whether the running server is the one whose data is backed up."""
        raise NotImplementedError

    def stopped(self) -> str:
        """Why there is nothing to back up at the moment, which is an alarm; the empty string where there is."""
        return "" if runs(self.container) else f"{self.container} does not run, so nothing is backed up"

    def stands_beside(self) -> dict[str, Any]:
        """What is noted of a copy that was restored beside the running server, where it is there."""
        return self.notes.read("restored-beside") if runs(f"{self.container}-restored") else {}

    def further(self) -> list[str]:
        """What else is wrong with the backups of the running server."""
        return []

    @contextlib.contextmanager
    def noted(self, name: str, **known: Any) -> Iterator[None]:
        """Let the watch know of a failure."""
        try:
            yield
        except BackupError as problem:
            self.notes.write(name, {**known, "failed": str(problem)})
            raise


class Copies(Work):
    """A copy is a folder beside the data, and a container of its own."""

    def ready(self, restored: str) -> bool:
        """Prepare a restored server to take the running one's place. Returns whether it can."""
        raise NotImplementedError

    def closed(self) -> bool:
        """Whether a move has kept the running server from taking writes. False where it cannot be asked: one that is broken is to be restored."""
        raise NotImplementedError

    def rehearse(self, backup: dict[str, Any]) -> tuple[float, list[str]]:
        """Restore a backup as the copy ``drill``, and look at it. Returns the seconds that it took to restore, and what was found well."""
        raise NotImplementedError

    def own(self, *paths: Path) -> None:
        """Let the server's user, whose number is the image's affair, own files and folders with all that is in them."""
        image, user = self.settings["image"], self.settings["user"]
        words = ("--network=none", "--entrypoint=sh", image, "-c", f"id -u {user}; id -g {user}")
        numbers = [int(each) for each in check(f"{image} has no user {user}", "docker", "run", "--rm", *words).split()]
        for path in paths:
            for each in (path, *path.rglob("*")):
                os.chown(each, *numbers)

    def awaited(self, name: str, answers: Callable[[], bool]) -> None:
        """Wait until a restored server answers. It may take as long as it takes, if it lives."""
        shown = time.monotonic()
        while not answers():
            if not runs(name):
                _code, out, err = run("docker", "logs", "--tail", "40", name)
                raise BackupError(f"the restored server does not start: {meaning(out + err)}. The running one was not touched")
            if time.monotonic() - shown > _SHOW_SECONDS:
                shown = time.monotonic()
                say("the restored server is reading its log")
            time.sleep(0.3)

    def room(self, needed: int) -> None:
        """Raise :class:`BackupError` where another copy of the data does not fit."""
        free = shutil.disk_usage(self.data.parent).free
        if free < needed * 1.1:
            raise BackupError(
                f"{self.data.parent} has {free >> 20} MiB left, and the data is {needed >> 20} MiB; enlarge the volume. Nothing was touched"
            )

    def place(self, kind: str) -> Path:
        """The folder of a copy beside the data."""
        return self.data.with_name(f"{self.data.name}.{kind}")

    def discard(self, kind: str = "restored") -> dict[str, Any]:
        """Take a copy away."""
        there = self.place(kind).exists()
        run("docker", "rm", "--force", f"{self.container}-{kind}")
        shutil.rmtree(self.place(kind), ignore_errors=True)
        self.notes.drop(kind + "-beside")
        return {"changed": there}

    def take(self) -> dict[str, Any]:
        """Put the restored server's data in the running one's place, whose data is moved aside. It ends also where it was killed before."""
        restored, taking = f"{self.container}-restored", self.notes.read("taking")
        if not taking:
            if not self.ready(restored):
                raise BackupError("there is no restored server beside the running one; give restore_to=latest, a backup's id or a time")
            if self.closed():
                raise BackupError(
                    f"{self.kind} takes no writes since its data was moved away with playbooks/migrate.yml, and what was restored would take "
                    "them. To use it again, open it with that move's from and to, -e migrate=back -e migrate_lose=true; then let what was "
                    "restored take the place once more. The running one was not touched"
                )
            stamp = now().strftime("%Y%m%d-%H%M%S")
            taking = {"aside": str(self.place(f"before-{stamp}")) if self.holds(self.data) else ""}
            self.notes.write("taking", taking)
        project = str(Path(self.settings["home"]) / "compose.yaml")
        run("docker", "stop", "--time", "120", restored)
        run("docker", "rm", "--force", restored)
        if self.place("restored").is_dir():
            if runs(self.container):
                check("the running server cannot be stopped", "docker", "compose", "--file", project, "stop")
            if self.holds(self.data):
                self.data.rename(taking["aside"])
            elif self.data.is_dir():
                self.data.rmdir()
            self.place("restored").rename(self.data)
        if Path(project).is_file():
            # Where machines agree on who leads: what they agreed on is of the data that was there before.
            if self.settings.get("forgets"):
                check("what the machines agreed on cannot be forgotten", *self.settings["forgets"])
            check("the server cannot be started", "docker", "compose", "--file", project, "up", "--detach", "--wait")
        for name in ("taking", "restored-beside"):
            self.notes.drop(name)
        return {"changed": True, "aside": taking["aside"]}

    def finish(self) -> None:
        """End what was cut off while restored data took the running one's place: until then there is no database."""
        if self.notes.read("taking"):
            say("ending a restore that was cut off")
            self.take()

    def forget(self) -> dict[str, Any]:
        """Remove data that was moved aside."""
        there = sorted(map(str, self.data.parent.glob(f"{self.data.name}.before-*")))
        for each in there:
            shutil.rmtree(each)
        return {"changed": bool(there), "removed": there}

    def drill(self) -> dict[str, Any]:
        """Restore the latest backup into a server that nobody uses, look whether all is in it, and take it away."""
        found = self.backups()
        if not found:
            raise BackupError("there is no backup to restore; playbooks/backup.yml takes one")
        if runs(self.container) and not self.serves():
            return {"changed": False, "skipped": "a standby: the primary's machine holds the drill"}
        backup = found[-1]
        say(f"restoring backup {backup['id']} of {backup['at']}")
        try:
            with self.noted("drill", id=backup["id"], at=time.time()):
                seconds, checks = self.rehearse(backup)
        finally:
            self.discard("drill")
        age = int(time.time() - backup["ended"])
        result = {"id": backup["id"], "at": time.time(), "restored": seconds, "age": age, "checks": checks}
        self.notes.write("drill", result)
        return {"changed": True, **result}


class Watch(Work):
    """Looks, and changes nothing."""

    def wrong(self) -> list[str]:
        """What is wrong with the backups, in words; empty where all is well."""
        if stopped := self.stopped():
            return [stopped]
        if not self.serves():
            return []
        found = []
        for name, what in (("backup", "the last backup failed"), ("drill", "the last drill failed")):
            failed = self.notes.read(name).get("failed")
            found += [f"{what}: {failed}"] if failed else []
        try:
            kept, hours = self.backups(), self.settings["late_hours"]
            if not kept:
                found.append("there is no backup")
            elif time.time() - kept[-1]["ended"] > hours * 3600:
                found.append(f"the newest backup is of {kept[-1]['at']}, more than {hours} hours ago")
            found += self.further()
        except BackupError as problem:
            found.append(str(problem))
        return found

    def watch(self) -> dict[str, Any]:
        """Raise an alarm where something is wrong, once; and say once that it is well again."""
        wrong, before = self.wrong(), self.notes.read("alarm").get("wrong") or []
        if wrong != before:
            text = f"Backups of {self.settings['name']}'s {self.kind} on {os.uname().nodename}: {'; '.join(wrong) or 'all is well again'}"
            say(text)
            if self.settings["alarm_url"]:
                post(self.settings["alarm_url"], text)
            self.notes.write("alarm", {"wrong": wrong})
        return {"changed": False, "wrong": wrong}

    def state(self) -> dict[str, Any]:
        """All that there is to know: the backups, what is wrong, the last drill, what stands beside; and the same in ``lines``."""
        try:
            backups = self.backups()
        except BackupError:  # which wrong() says
            backups = []
        beside = self.stands_beside()
        aside = sorted(map(str, self.data.parent.glob(f"{self.data.name}.before-*")))
        wrong, drill = self.wrong(), self.notes.read("drill")
        lines = [f"{each['id']}, {each['type']}, of {each['at']}, {each['bytes'] >> 20} MiB of data" for each in backups]
        if beside:
            lines.append(f"{beside['meant']} is restored in {beside['container'] or beside['folder']}, beside what runs")
        lines += [f"{each} was moved aside" for each in aside]
        return {
            "changed": False,
            "backups": backups,
            "wrong": wrong,
            "drill": drill,
            "beside": beside,
            "aside": aside,
            "lines": lines,
            "summary": summary(backups, wrong, drill),
        }


def summary(backups: list[dict[str, Any]], wrong: list[str], drill: dict[str, Any]) -> str:
    """One line for who looks at everything."""
    said = f"{len(backups)} backups" if len(backups) != 1 else "1 backup"
    if backups:
        said += f", the newest of {backups[-1]['at']}"
    if drill:
        said += f"; last drill {moment(drill['at'])}, " + ("FAILED" if drill.get("failed") else f"well, restored in {drill['restored']} s")
    else:
        said += "; no drill yet"
    return said + (f". WRONG: {'; '.join(wrong)}" if wrong else "")
