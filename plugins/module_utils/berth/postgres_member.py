# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres on a machine as one of several that hold the same data: what it is, and how it becomes a standby or the primary."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .machine_docker import Docker, Run, last_words, reason
from .problems import BerthError

_CONTROL = {
    "identifier": "Database system identifier",
    "state": "Database cluster state",
    "location": "Latest checkpoint location",
    "timeline": "Latest checkpoint's TimeLineID",
}
_SIGNAL = "standby.signal"
_FOLLOWERS = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'"
_TIMELINE = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
_RECEIVED = "SELECT coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"
_BYTES = "SELECT sum(pg_database_size(oid)) FROM pg_database"
_WAITED_FOR = "synchronous_standby_names"
_LOOK_SECONDS = 0.3


def position(text: str) -> int:
    """A place in the write-ahead log, such as 0/3000148, as a number of bytes. Raises :class:`BerthError` for what is none."""
    found = re.fullmatch(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})", text.strip())
    if not found:
        raise BerthError(f"{text!r} is no place in the write-ahead log")
    return (int(found[1], 16) << 32) + int(found[2], 16)


def control(text: str) -> dict[str, str]:
    """What pg_controldata says, in English, of what matters here."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key: lines.get(name, "").strip() for key, name in _CONTROL.items()}


class Member:
    """The server on this machine. ``params``: the parameters of the module postgres_member; ``run``: ``AnsibleModule.run_command``."""

    def __init__(self, params: Mapping[str, Any], run: Run) -> None:
        self.params, self.docker = params, Docker(run)
        self.data = Path(params["data"])

    def runs(self) -> bool:
        """Whether the server runs."""
        code, out, _err = self.docker("inspect", "--format", "{{.State.Running}}", self.params["container"])
        return code == 0 and out.strip() == "true"

    def ask(self, query: str) -> str:
        """What the running server answers."""
        words = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--command", query)
        return self.docker.check("Postgres", "exec", "--user", "postgres", self.params["container"], *words).strip()

    def _control(self, *, runs: bool) -> dict[str, str]:
        if runs:
            within = ("exec", "--env", "LC_ALL=C", self.params["container"], "sh", "-c", 'pg_controldata "$PGDATA"')
            return control(self.docker.check(f"{self.data} cannot be read", *within))
        mount = f"type=bind,source={self.data},target=/data,readonly"
        words = ("run", "--rm", "--network", "none", "--env", "LC_ALL=C", "--mount", mount, "--entrypoint", "pg_controldata")
        return control(self.docker.check(f"{self.data} cannot be read", *words, self.params["image"], "/data"))

    def found(self) -> dict[str, Any]:
        """What it is: ``standing`` (empty, standby or primary), ``runs``, and where it holds data ``identifier`` and ``timeline``.

        Of a running primary also ``followers`` and ``bytes``; of a running standby ``received``, a place in the write-ahead log, and the same
        in bytes.
        """
        if not (self.data / "PG_VERSION").is_file():
            return {"standing": "empty", "runs": False, "timeline": 0, "identifier": ""}
        runs = self.runs()
        told = self._control(runs=runs)
        standing = "standby" if (self.data / _SIGNAL).exists() else "primary"
        result: dict[str, Any] = {
            "standing": standing,
            "runs": runs,
            "identifier": told["identifier"],
            "timeline": int(told["timeline"] or 0),
        }
        try:
            if runs and standing == "primary":
                more = {
                    "followers": self.ask(_FOLLOWERS).split(),
                    "bytes": int(self.ask(_BYTES) or 0),
                    "timeline": int(self.ask(_TIMELINE)),
                }
                result.update(more)
            elif runs:
                received = self.ask(_RECEIVED)
                result.update({"received": received, "received_bytes": position(received)})
        except BerthError:  # it starts, or stops: what its files say is what is known
            result["runs"] = False
        return result

    def stop(self) -> None:
        """Let it write all, send all to who follows, and stop."""
        self.docker.check("Postgres cannot be stopped", "compose", "--file", self.params["project"], "stop")

    def start(self) -> None:
        """Start it again, as it was. Raises :class:`BerthError` with what its log says last."""
        project = ("compose", "--file", self.params["project"])
        try:
            self.docker.check("Postgres cannot be started", *project, "up", "--detach", "--wait")
        except BerthError as problem:
            _code, logs, more = self.docker(*project, "logs", "--no-color", "--no-log-prefix", "--tail", "20")
            raise BerthError(f"{problem}; its log: {reason(logs, more)}") from None

    def step_down(self) -> str:
        """Stop a primary that has a follower, and return up to where its log goes. Raises :class:`BerthError`, with it serving."""
        follower = self.params["follower"]
        if follower not in self.ask(_FOLLOWERS).split():
            raise BerthError(f"{follower} does not follow this primary at the moment, so it lacks some of the data")
        self.stop()
        told = self._control(runs=False)
        if told["state"] != "shut down":
            self.start()
            raise BerthError(f"Postgres did not stop cleanly ({told['state']}); it was started again")
        return told["location"]

    def follow(self) -> None:
        """Let a primary that was stopped, and of which another has everything, start as a standby the next time."""
        (self.data / _SIGNAL).touch(mode=0o600)
        there = (self.data / "PG_VERSION").stat()
        os.chown(self.data / _SIGNAL, there.st_uid, there.st_gid)

    def promote(self) -> None:
        """Become the primary. Raises :class:`BerthError` where it has not received all up to ``location``."""
        location = self.params["location"]
        end = time.monotonic() + self.params["wait_timeout"]
        while location and position(self.ask(_RECEIVED)) < position(location):
            if time.monotonic() > end:
                raise BerthError(f"it has received the log up to {self.ask(_RECEIVED)}, and the primary stopped at {location}")
            time.sleep(_LOOK_SECONDS)
        done = self.ask(f"SELECT pg_promote(true, {self.params['wait_timeout']})")
        if done != "t" and self.ask("SELECT pg_is_in_recovery()") != "f":
            raise BerthError(f"it is not the primary after {self.params['wait_timeout']} s; its log says why")
        # So that its files say at once which timeline is the newer one.
        self.ask("CHECKPOINT")
        # Nobody follows it yet, and what waits for a standby would wait until one does.
        self.ask(f"ALTER SYSTEM SET {_WAITED_FOR} = ''")
        self.ask("SELECT pg_reload_conf()")

    def waits(self) -> bool:
        """Whether it waits for standbys as its configuration says: one that has just taken over does not."""
        return self.ask(f"SELECT count(*) FROM pg_file_settings WHERE name = '{_WAITED_FOR}' AND sourcefile LIKE '%auto.conf'") == "0"

    def wait_again(self) -> None:
        """Wait for standbys as the configuration says, since there are some again."""
        self.ask(f"ALTER SYSTEM RESET {_WAITED_FOR}")
        self.ask("SELECT pg_reload_conf()")

    def copy(self) -> str:
        """Become a standby of ``primary`` with a copy of its data. Returns where the data is that was in its place, or nothing."""
        free = shutil.disk_usage(self.data.parent).free
        if free < self.params["bytes"] * 1.1:
            raise BerthError(
                f"{self.data.parent} has {free >> 20} MiB left, and the primary's data is {self.params['bytes'] >> 20} MiB; enlarge the volume, "
                f"or remove what was moved to {self.data}.before-… once. Nothing was touched"
            )
        aside = self._set_aside()
        fresh, image = self.data.with_name(f"{self.data.name}.new"), self.params["image"]
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        mount = ("--mount", f"type=bind,source={fresh},target=/fresh")
        own = ("run", "--rm", "--network", "none", *mount, "--entrypoint", "chown", image, "postgres:postgres", "/fresh")
        self.docker.check("The copy's folder", *own)
        primary = self.params["primary"]
        conninfo = f"host={primary['host']} port={primary['port']} user={self.params['user']} "
        conninfo += "sslmode=verify-ca sslcert=/none sslrootcert=/authority.pem"
        words: tuple[str, ...] = ("run", "--rm", "--user", "postgres", *mount, "--env", "PGPASSWORD", "--entrypoint", "pg_basebackup")
        words += ("--mount", f"type=bind,source={self.params['authority']},target=/authority.pem,readonly", image)
        words += ("--pgdata=/fresh", "--checkpoint=fast", "--wal-method=stream", f"--slot={self.params['follower']}")
        code, out, err = Docker(self.docker.run, {"PGPASSWORD": self.params["password"]})(*words, f"--dbname={conninfo}")
        if code != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            kept = f" What was there before is in {aside}" if aside else ""
            raise BerthError(f"the primary's data cannot be copied: {last_words(out, err)}.{kept}")
        try:
            if self.data.is_dir():
                self.data.rmdir()
            fresh.rename(self.data)
        except OSError as error:
            raise BerthError(f"{self.data} holds something that is no database: {error.strerror}. Move it away, and run again") from None
        self.follow()
        return aside

    def _set_aside(self) -> str:
        """Move data away that another primary has gone beyond. Returns where to, or nothing where there was none."""
        if not (self.data / "PG_VERSION").is_file():
            return ""
        if self.runs():
            self.stop()
        aside = self.data.with_name(f"{self.data.name}.before-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
        self.data.rename(aside)
        return str(aside)
