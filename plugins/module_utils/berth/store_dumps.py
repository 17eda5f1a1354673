# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backups in a folder of their own: a folder each, complete or not there, whose files are what they were."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.common.text.formatters import bytes_to_human

from .backup_choice import chosen, now, shown
from .problems import BerthError, refuse

_NAMED = re.compile(r"\d{8}-\d{6}")
_MANIFEST = "backup.json"


class Backup:
    """One that is complete. ``stores``: by service, what the store says about itself, with the names and SHA-256 of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.id = folder, folder.name
        try:
            self.stores: dict[str, dict[str, Any]] = json.loads((folder / _MANIFEST).read_text())["stores"]
        except (OSError, ValueError, KeyError) as error:
            raise BerthError(f"{folder / _MANIFEST} cannot be read: {error}; the backup is damaged") from None
        self.at = datetime.datetime.strptime(self.id, "%Y%m%d-%H%M%S").replace(tzinfo=datetime.UTC)

    def file(self, service: str, name: str) -> Path:
        """A file of the backup. Raises :class:`BerthError` where it is not what it was."""
        path = self.folder / service / name
        try:
            found = digest(path)
        except OSError as error:
            raise BerthError(f"{path} cannot be read: {error.strerror}; the backup is damaged. Nothing was touched") from None
        if found != self.stores[service]["files"].get(name):
            raise BerthError(f"{path} is not what was written then; the backup is damaged. Nothing was touched")
        return path

    def line(self) -> str:
        """What is told of it."""
        held = ", ".join(f"{service} ({each['engine']} {each['version']})" for service, each in sorted(self.stores.items()))
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return f"{self.id}, of {shown(self.at)}, {held}, {bytes_to_human(size)}, in {self.folder}"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Backups:
    """Those of one app."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Backup]:
        """Those that are complete, oldest first."""
        return [each for each in self._read() if isinstance(each, Backup)]

    def lines(self) -> list[str]:
        """What is told of each, also of one that cannot be read."""
        return [each.line() if isinstance(each, Backup) else str(each) for each in self._read()]

    def _read(self) -> list[Backup | BerthError]:
        found: list[Backup | BerthError] = []
        for path in sorted(self.folder.glob("*")):
            if _NAMED.fullmatch(path.name):
                try:
                    found.append(Backup(path))
                except BerthError as problem:
                    found.append(problem)
        return found

    def begin(self) -> Path:
        """A folder for a new one, for this user alone. What an earlier one left that was cut off is removed."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.folder.glob("*.partial"):
                shutil.rmtree(left)
            # A name is a second.
            while (fresh := self.folder / f"{now():%Y%m%d-%H%M%S}.partial").with_suffix("").exists():
                time.sleep(0.1)
            fresh.mkdir(mode=0o700)
        except OSError as error:
            raise BerthError(
                f"{error.filename}: {error.strerror}; the folder of the backups has to be one that can be written to"
            ) from None
        return fresh

    def finish(self, fresh: Path, stores: dict[str, dict[str, Any]], keep: int) -> Backup:
        """Complete it in one step, and remove those beyond the newest ``keep``."""
        for service, each in stores.items():
            each["files"] = {path.name: digest(path) for path in sorted((fresh / service).iterdir())}
        (fresh / _MANIFEST).write_text(json.dumps({"stores": stores}, indent=1))
        done = fresh.with_suffix("")
        fresh.rename(done)
        for old in self.all()[:-keep] if keep else []:
            # Incomplete from the first moment, so that one that is half removed is never listed.
            gone = old.folder.with_suffix(".partial")
            old.folder.rename(gone)
            shutil.rmtree(gone)
        return Backup(done)

    def target(self, wanted: str, service: str) -> Backup:
        """The backup that ``latest``, an id or a time means. Raises :class:`BerthError` for what cannot be."""
        found = [each for each in self.all() if service in each.stores]
        if not found:
            refuse(f"{self.folder} holds no backup of {service}; playbooks/backup.yml takes one")
        name = chosen(wanted, [(each.id, each.at) for each in found])
        return next(each for each in found if each.id == name)
