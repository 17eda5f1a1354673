# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis or Valkey of a developer's Compose project: its snapshot in a file, restored into a server beside the one that runs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .beside import Beside, called, last_words
from .compose_stores import Store, wait_until
from .migration_redis import MANY, WRITES
from .problems import BerthError, refuse
from .store_dumps import Backup

_FILE = "dump.rdb"
_PLACE = "/berth-restored"
# The client's words, whatever it is called in an image.
CLIENT = ("sh", "-c", 'exec $(command -v redis-cli || command -v valkey-cli || command -v keydb-cli) --no-auth-warning "$@"', "sh")
_SERVER = "$(command -v redis-server || command -v valkey-server || command -v keydb-server)"
_KNOWN = ("REDIS_PASSWORD", "VALKEY_PASSWORD", "KEYDB_PASSWORD")


class Redis(Store):
    """A restored one is a server of its own. To take the place, its files are moved into the other's volume."""

    engine = "redis"

    def __init__(self, project: str, service: str, found: Mapping[str, Any]) -> None:
        super().__init__(project, service, found)
        self.copy = f"{project}-{service}-restored"
        self.beside_it = _signed_in(service, self.container, self.password())

    def password(self) -> str:
        """What its command or its environment says; empty where it asks for none."""
        command = " ".join([str(self.found.get("Path") or ""), *(self.found.get("Args") or [])])
        given = re.search(r"--requirepass[ =]+[\"']?([^\s\"']+)", command)
        variable = re.fullmatch(r"\$\{?(\w+)\}?", given[1]) if given else None
        if variable:
            return str(self.environment.get(variable[1], ""))
        return given[1] if given else next((value for key in _KNOWN if (value := self.environment.get(key, ""))), "")

    def client(self, *words: str, restored: bool = False) -> str:
        """What the client prints, of the server that runs or of the restored one, which asks for no password. Raises :class:`BerthError`."""
        place = _signed_in(f"the restored {self.service}", self.copy, "") if restored else self.beside_it
        said = place.ask(*CLIENT, *words).strip()
        if said.startswith("NOAUTH"):
            refuse(f"{self.service} asks for a password that neither its command (--requirepass) nor its environment ({_KNOWN[0]}) has")
        if said.startswith(("ERR ", "WRONGPASS", "NOPERM", "LOADING")):
            refuse(f"{self.service}: {said}")
        return said

    def setting(self, name: str) -> str:
        """A setting of the running server's."""
        return [*self.client("config", "get", name).splitlines(), "", ""][1]

    def version(self) -> str:
        found = re.findall(r"(?:valkey|redis)_version:(\S+)", self.client("info", "server"))
        return str(found[-1]) if found else ""

    def dump(self, folder: Path) -> dict[str, Any]:
        # To a file in the container: what is sent to standard output ends in a mark that is no part of a snapshot.
        there = "/tmp/berth-snapshot.rdb"
        try:
            self.client("--rdb", there)
            self.beside_it.write(folder / _FILE, "cat", there)
        finally:
            subprocess.run(["docker", "exec", self.container, "rm", "-f", there], capture_output=True, check=False)
        if (folder / _FILE).open("rb").read(5) not in (b"REDIS", b"VALKE"):
            refuse(f"{self.service} gave no snapshot")
        keys = sum(int(each) for each in re.findall(r"keys=(\d+)", self.client("info", "keyspace")))
        engine = "valkey" if "valkey_version:" in self.client("info", "server") else self.engine
        return {"engine": engine, "version": self.version(), "keys": keys}

    def restore(self, backup: Backup) -> str:
        file, name = backup.file(self.service, _FILE), self.setting("dbfilename") or _FILE
        self.discard()
        # Root, whatever the image's user is: the files are given to the other's user once they are where it looks for them.
        words = ["docker", "create", "--name", self.copy, "--label", f"berth.backup={backup.id}", "--user", "0", "--network", "none"]
        words += ["--volume", _PLACE, "--entrypoint", "sh", self.found["Image"], "-c", f'exec {_SERVER} "$@"', "sh"]
        words += ["--dir", _PLACE, "--dbfilename", name, "--save", "", "--appendonly", "no"]
        words += [word for each in ("appendfilename", "appenddirname") if (value := self.setting(each)) for word in (f"--{each}", value)]
        try:
            called("the restored server", words)
            called("the restored server", ["docker", "cp", str(file), f"{self.copy}:{_PLACE}/{name}"])
            called("the restored server", ["docker", "start", self.copy])
            wait_until(f"the restored {self.service}", lambda: self._answers(restored=True))
        except BaseException:
            self.discard()
            raise
        return f"docker exec -it {self.copy} redis-cli"

    def _answers(self, *, restored: bool = False) -> bool:
        try:
            return self.client("ping", restored=restored) == "PONG"
        except BerthError:
            if restored and not _seen(self.copy).get("State", {}).get("Running"):
                said = subprocess.run(["docker", "logs", "--tail", "5", self.copy], capture_output=True, text=True, check=False)
                refuse(f"the restored {self.service} does not start: {last_words(said.stdout + said.stderr)}. Nothing was touched")
            return False

    def beside(self) -> str:
        found = _seen(self.copy)
        return str(found["Config"]["Labels"].get("berth.backup", "")) if found and found["State"]["Running"] else ""

    def closed(self) -> bool:
        return self.setting(WRITES) == str(MANY)

    def take(self, stamp: str) -> str:
        place, aside = self.setting("dir"), f"before-{stamp}"
        volume = _mounted(self.found, place, "/data")
        if not volume:
            refuse(f"{self.service} keeps its data in {place}, which is in no volume of its own; give it one. Nothing was touched")
        if self.setting("appendonly") == "yes":
            # Where there is a log of commands, a server reads that, and no snapshot.
            self.client("config", "set", "appendonly", "yes", restored=True)
            wait_until(f"the restored {self.service}", self._written)
        called(self.service, ["docker", "stop", self.container])
        # In a container, so that it ends also where nobody waits for it any more; first all is there, then it is moved.
        script = (
            'set -eu; cd "$1"; rm -rf berth-new; cp -a "$3" berth-new; chown -R "$(stat -c %u:%g .)" berth-new; mkdir "$2"; '
            'for each in * .[!.]*; do case "$each" in berth-new | before-*) ;; *) [ ! -e "$each" ] || mv "$each" "$2" ;; esac; done; '
            "mv berth-new/* .; rmdir berth-new"
        )
        words = ["docker", "run", "--rm", "--user", "0", "--network", "none", volume, _mounted(_seen(self.copy), _PLACE, _PLACE)]
        try:
            called(self.service, [*words, "--entrypoint", "sh", self.found["Image"], "-c", script, "sh", "/data", aside, _PLACE])
        finally:
            called(self.service, ["docker", "start", self.container])
        wait_until(self.service, self._answers)
        self.discard()
        return f"{aside} in {self.service}'s volume"

    def _written(self) -> bool:
        said = self.client("info", "persistence", restored=True)
        return all(f"{name}:0" in said for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled")) and "aof_enabled:1" in said

    def discard(self) -> bool:
        there = bool(_seen(self.copy))
        subprocess.run(["docker", "rm", "--force", "--volumes", self.copy], capture_output=True, check=False)
        return there

    def forget(self) -> list[str]:
        script = 'cd "$1"; for each in before-*; do [ ! -d "$each" ] || { echo "$each"; rm -rf "$each"; }; done'
        words = ["docker", "exec", "--user", "0", self.container, "sh", "-c", script, "sh", self.setting("dir")]
        return called(self.service, words).split()


def _signed_in(title: str, container: str, password: str) -> Beside:
    """A container, where the client signs in with a password that reaches it by the environment. An empty one is one too, so it is not given."""
    shell = '[ -n "$REDISCLI_AUTH" ] || unset REDISCLI_AUTH'
    return Beside(title, ["docker", "exec", "-i", "--env", "REDISCLI_AUTH", container], shell, environment={"REDISCLI_AUTH": password})


def _mounted(found: Mapping[str, Any], place: str, target: str) -> str:
    """What mounts a container's volume into another; empty where the place is no volume."""
    for each in found["Mounts"]:
        if each["Destination"] == place and each["Type"] in ("volume", "bind"):
            return f"--mount=type={each['Type']},source={each['Name' if each['Type'] == 'volume' else 'Source']},target={target}"
    return ""


def _seen(container: str) -> dict[str, Any]:
    """What the engine knows of a container; empty where there is none."""
    done = subprocess.run(["docker", "container", "inspect", container], capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout) if done.returncode == 0 else []
    return found[0] if found else {}
