"""Restores of Postgres: into a server beside the running one, which takes its place when that is said."""

from __future__ import annotations

import contextlib
import datetime
import re
import time
from pathlib import Path
from typing import Any

from .common import BackupError, check, meaning, moment, now, say, when_of
from .pgbackrest import PGDATA
from .postgres import Postgres, Server
from .work import Copies

# What a restore leaves in postgresql.auto.conf, which a standby of later on would heed.
_RECOVERY = (
    *("restore_command", "recovery_target", "recovery_target_time", "recovery_target_lsn", "recovery_target_inclusive"),
    *("recovery_target_action", "recovery_target_timeline"),
)

# A move closes one database for all who come.
_CLOSED = "SELECT setdatabase FROM pg_db_role_setting WHERE setrole = 0 AND 'default_transaction_read_only=on' = ANY (setconfig)"

# pgBackRest's numbers of what is not as it was written: a checksum, a format, a missing file, what cannot be decrypted.
_DAMAGE = re.compile(r"\[(026|029|055|095)\]")
_DAMAGED = "it is damaged where it is stored; restore an older one, and take a new one with playbooks/backup.yml -e backup_full=true"


class Restores(Copies, Postgres):
    """Any moment from the end of the first backup on."""

    def target(self, wanted: str) -> tuple[list[str], str]:
        """What pgBackRest is told, and what that means, for ``latest``, a backup's id, or a time. Raises :class:`BackupError` for what cannot be."""
        found = self.backups()
        if not found:
            raise BackupError("there is no backup in the repository yet; playbooks/backup.yml takes one")
        version = str((self.repository.info().get("db") or [{}])[-1].get("version", ""))
        if version != str(self.settings["major"]):
            raise BackupError(f"the backups are of Postgres {version}, and postgres_container_version is of {self.settings['major']}")
        if wanted == "latest":
            return ["--type=default"], "all that was archived"
        if wanted in [each["id"] for each in found]:
            return [f"--set={wanted}", "--type=immediate", "--target-action=promote"], f"the end of backup {wanted}"
        when = when_of(wanted, found)
        text = when.strftime("%Y-%m-%d %H:%M:%S.%f+00")
        return ["--type=time", f"--target={text}", "--target-action=promote"], moment(when.timestamp())

    def restore(self, wanted: str) -> dict[str, Any]:
        """Bring a backup into a server of its own beside the running one."""
        words, meant = self.target(wanted)
        self.room(self.backups()[-1]["bytes"])
        if "--type=immediate" not in words and self.server.primary():
            # All up to now is archived; and what comes after a time says that the time is over.
            self.server.ask("SELECT pg_current_xact_id(); SELECT pg_switch_wal()")
            try:
                self.archived()
            except BackupError as problem:
                say(f"what is not archived cannot be restored: {problem}")
        say(f"restoring {meant}")
        found = self.bring("restored", words, published=True)
        self.notes.write("restored-beside", {"wanted": wanted, "meant": meant, "at": time.time(), **found})
        return {"changed": True, "wanted": wanted, "meant": meant, **found, **self.lost(found["until"])}

    def ready(self, restored: str) -> bool:
        """Forget how it was restored."""
        server = Server(restored)
        if not server.primary():
            return False
        server.ask("".join(f"ALTER SYSTEM RESET {name};" for name in _RECOVERY) + "CHECKPOINT;")
        return True

    def closed(self) -> bool:
        """By what a move sets in the database."""
        return self.server.primary() and bool(self.server.ask(_CLOSED))

    def lost(self, until: str) -> dict[str, Any]:
        """What a restored server lacks of the running one."""
        if not self.server.primary():
            return {"lacks": ""}
        with contextlib.suppress(BackupError, ValueError):
            when = datetime.datetime.fromisoformat(until)
            seconds = int((now() - when).total_seconds())
            return {"lacks": f"what was written in the {seconds} s since {moment(when.timestamp())}"}
        return {"lacks": "what was written since"}

    def bring(self, kind: str, words: list[str], *, published: bool) -> dict[str, Any]:
        """Restore into a folder, and start a server on it that archives nothing. Returns its container and up to when it holds everything."""
        folder, name, begin = self.place(kind), f"{self.server.name}-{kind}", time.monotonic()
        self.discard(kind)
        folder.mkdir(mode=0o700)
        self.own(folder, Path(self.settings["home"]) / "tls" / "server.key")
        try:
            code, out, err = self.repository.tool("restore", *words, "--log-level-console=error", data=folder)
            if code != 0:
                said = out + err
                why = f"{_DAMAGED} ({' '.join(said.split())[-300:]})" if _DAMAGE.search(said) else meaning(said)
                raise BackupError(f"the backup cannot be restored: {why}. The running one was not touched")
            port = [f"--publish=127.0.0.1:{self.settings['port'] + 1}:5432"] if published else []
            tls = f"--mount=type=bind,source={self.settings['home']}/tls,target=/etc/berth/tls,readonly"
            command = ["postgres", *_options(config_file="/etc/berth/conf/postgresql.conf", shared_buffers="64MB", huge_pages="off")]
            # It keeps its log for when it is taken, when all of it is archived: without the beginning of its timeline, nothing that comes
            # after could be restored.
            command += _options(synchronous_standby_names="", archive_command="/bin/false", archive_timeout="0")
            started = ["docker", "run", "--detach", "--name", name, "--shm-size=256m", f"--env=PGDATA={PGDATA}", *port]
            check("the restored server", *started, *self.repository.mounts(folder), tls, self.settings["image"], *command)
            self.awaited(name, Server(name).primary)
        except BaseException:
            self.discard(kind)
            raise
        until = Server(name).ask("SELECT coalesce(pg_last_xact_replay_timestamp()::text, '')")
        return {"container": name, "folder": str(folder), "until": until, "seconds": round(time.monotonic() - begin, 1)}


def _options(**settings: str) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
