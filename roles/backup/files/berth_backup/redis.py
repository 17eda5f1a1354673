"""Backups of Redis (and Valkey): a snapshot as a replica gets it, checked, and kept by restic on an object store."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from .common import BackupError, check, meaning, runs, say
from .restic import Restic
from .work import Watch

_FILE = "dump.rdb"
_MARK = 40
# What a server that keeps a log of its changes reads first: a snapshot as the log's beginning.
_LOG, _BASE = "appendonlydir", "appendonly.aof.1.base.rdb"
_MANIFEST = f"file {_BASE} seq 1 type b\n"


class RedisKeeper(Restic, Watch):
    """All commands of Redis."""

    kind = "Redis"
    numbers = ("bytes", "keys", "expiring")
    # A server writes its log anew beside the old one.
    times = 2

    def holds(self, folder: Path) -> bool:
        """Whether there is a server's data in a folder."""
        return (folder / _LOG).is_dir() or (folder / _FILE).is_file()

    def serves(self) -> bool:
        """Whether it takes writes; the machine of one that follows takes no backups."""
        return runs(self.container) and b"role:slave" not in self._client(self.container, "backup", "info", "replication").stdout

    def ready(self, restored: str) -> bool:
        """Whether a restored server answers."""
        return self._answers(restored)

    def closed(self) -> bool:
        """By the file that a move leaves, for who starts it."""
        return any(self.data.glob("closed*.conf"))

    # Backups

    def backup(self, *, full: bool = False) -> dict[str, Any]:
        """Take one, check it, remove those that are too old. Where another one is followed, nothing is done. ``full`` makes no difference:
        restic keeps what is alike once.
        """
        del full
        if not self.serves():
            if runs(self.container):
                return {"changed": False, "skipped": "no primary: the primary's machine takes the backup"}
            raise BackupError(f"{self.container} does not run, so there is nothing to back up")
        folder = self.place("snapshot")
        try:
            with self.noted("backup"):
                say("taking a snapshot")
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(mode=0o700)
                self._snapshot(folder / _FILE)
                keys, expiring = self._counted(folder)
                self.send(folder / _FILE, keys=keys, expiring=expiring, bytes=_size(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        taken = self.backups()[-1]
        self.notes.write("backup", {"id": taken["id"]})
        return {"changed": True, **taken}

    def _client(self, container: str, user: str, *words: str, output: Any = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
        password = "health" if user == "health" else (Path(self.settings["home"]) / "secrets" / "backup").read_text().strip()
        tls = ("--tls", "--cacert", "/etc/berth/tls/ca.pem", "--user", user, "--no-auth-warning")
        command = ["docker", "exec", "--env", "REDISCLI_AUTH", container, self.settings["client"], *tls, *words]
        environment = {**os.environ, "REDISCLI_AUTH": password}
        return subprocess.run(command, env=environment, stdout=output, stderr=subprocess.PIPE, check=False)

    def _answers(self, container: str) -> bool:
        return self._client(container, "health", "ping").stdout.strip() == b"PONG"

    def _snapshot(self, path: Path) -> None:
        with path.open("wb") as file:
            done = self._client(self.container, "backup", "--rdb", "-", output=file)
        if done.returncode != 0:
            raise BackupError(f"{self.container} gives no snapshot: {meaning(done.stderr.decode(errors='replace'))}")
        # Sent to a replica without a length, a snapshot ends in a mark that is no part of it, and that the client leaves there.
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MARK))
            if re.fullmatch(rb"[0-9a-f]{%d}" % _MARK, file.read()):
                file.truncate(size - _MARK)

    def _counted(self, folder: Path) -> tuple[int, int]:
        mount = f"--mount=type=bind,source={folder},target=/check,readonly"
        words = ("--network=none", mount, "--entrypoint", self.settings["checker"], self.settings["image"], f"/check/{_FILE}")
        said = check("the snapshot is damaged", "docker", "run", "--rm", *words)
        numbers = [re.search(rf"(\d+) {what}", said) for what in ("keys read", "expires")]
        return int(numbers[0][1]) if numbers[0] else 0, int(numbers[1][1]) if numbers[1] else 0

    # Restores

    def bring(self, kind: str, backup: dict[str, Any]) -> dict[str, Any]:
        """Restore into a folder, and start a server on it, at a port of its own where somebody is to look at it."""
        folder, name, begin = self.place(kind), f"{self.container}-{kind}", time.monotonic()
        self.discard(kind)
        (folder / _LOG).mkdir(mode=0o700, parents=True)
        try:
            self.must("the backup cannot be restored", "dump", backup["id"], backup["path"], target=folder / _LOG / _BASE)
            (folder / _LOG / f"{_BASE.split('.1.')[0]}.manifest").write_text(_MANIFEST)
            self.own(folder, Path(self.settings["home"]) / "tls" / "server.key")
            port = [f"--publish=127.0.0.1:{self.settings['port'] + 1}:6379"] if kind == "restored" else []
            mounts = [f"--mount=type=bind,source={folder},target=/data"]
            mounts += [
                f"--mount=type=bind,source={self.settings['home']}/{each},target=/etc/berth/{each},readonly" for each in ("conf", "tls")
            ]
            words = ("docker", "run", "--detach", "--name", name, *port, *mounts, self.settings["image"])
            check("the restored server", *words, self.settings["server"], "/etc/berth/conf/redis.conf")
            self.awaited(name, lambda: self._answers(name))
        except BaseException:
            self.discard(kind)
            raise
        return {"container": name, "folder": str(folder), "seconds": round(time.monotonic() - begin, 1)}

    # Drills

    def rehearse(self, backup: dict[str, Any]) -> tuple[float, list[str]]:
        """By the number of keys."""
        self.room(backup["bytes"] * self.times)
        brought = self.bring("drill", backup)
        said = self._client(brought["container"], "backup", "info", "keyspace").stdout.decode()
        keys = sum(int(number) for number in re.findall(r"keys=(\d+)", said))
        # Keys that were to expire may have done so.
        if not backup["keys"] - backup["expiring"] <= keys <= backup["keys"]:
            raise BackupError(f"backup {backup['id']} holds {keys} keys, and {backup['keys']} were recorded with it")
        said = f"{keys} keys of the {backup['keys']} that the backup recorded, {backup['expiring']} expiring"
        return brought["seconds"], ["Redis starts", said]


def _size(folder: Path) -> int:
    return (folder / _FILE).stat().st_size
