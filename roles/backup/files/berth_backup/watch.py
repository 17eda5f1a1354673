"""Who watches the backups: what is wrong with them, said once to whom it concerns, and all that there is to know."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from .common import BackupError, moment, post, say
from .postgres import Server, Work

ARCHIVER = """SELECT json_build_object('failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
 'failed', last_failed_wal, 'age', extract(epoch FROM now() - last_archived_time)::int) FROM pg_stat_archiver"""


class Watch(Work):
    """Looks, and changes nothing."""

    def wrong(self) -> list[str]:
        """What is wrong with the backups, in words; empty where all is well."""
        last, drill, found = self.notes.read("backup"), self.notes.read("drill"), []
        if last.get("failed"):
            found.append(f"the last backup failed: {last['failed']}")
        late = self.settings["late_hours"] * 3600
        if self.server.primary():
            try:
                kept = self.repository.backups()
                if not kept:
                    found.append("there is no backup")
                elif time.time() - kept[-1]["ended"] > late:
                    found.append(f"the newest backup is of {kept[-1]['at']}, more than {self.settings['late_hours']} hours ago")
            except BackupError as problem:
                found.append(str(problem))
            archiver = json.loads(self.server.ask(ARCHIVER))
            if archiver["failing"]:
                found.append(f"the log cannot be archived (since {archiver['failed']}); it fills the volume until it can")
        if drill.get("failed"):
            found.append(f"the last drill failed: {drill['failed']}")
        return found

    def watch(self) -> dict[str, Any]:
        """Raise an alarm where something is wrong, once; and say once that it is well again."""
        wrong, before = self.wrong(), self.notes.read("alarm").get("wrong") or []
        if wrong != before:
            text = f"Backups of {self.settings['name']}'s Postgres on {os.uname().nodename}: {'; '.join(wrong) or 'all is well again'}"
            say(text)
            if self.settings["alarm_url"]:
                post(self.settings["alarm_url"], text)
            self.notes.write("alarm", {"wrong": wrong})
        return {"changed": False, "wrong": wrong}

    def state(self) -> dict[str, Any]:
        """All that there is to know: the backups, what is wrong, the last drill, what stands beside; and the same in ``lines``."""
        try:
            backups = self.repository.backups()
        except BackupError:  # which wrong() says
            backups = []
        beside = self.notes.read("restored-beside") if Server(f"{self.server.name}-restored").runs() else {}
        aside = sorted(map(str, self.data.parent.glob(f"{self.data.name}.before-*")))
        wrong, drill = self.wrong(), self.notes.read("drill")
        lines = [f"{each['id']}, {each['type']}, of {each['at']}, {each['bytes'] >> 20} MiB of data" for each in backups]
        if beside:
            lines.append(f"{beside['meant']} is restored in {beside['container']}, beside the running server")
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
