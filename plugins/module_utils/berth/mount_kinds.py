# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a mount of a Compose file is to another machine: the machine's own, the developer's, the image's, or what containers keep."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .compose import Repository
from .dockerfiles import SETTINGS, working_folder

LOGS = "awseb-logs-"
# Binds of the machine itself, alike on every host. Anything else outside the project is the developer's own.
_MACHINE = ("/var/run", "/run", "/proc", "/sys", "/dev", "/etc", "/var/log", "/var/lib", "/tmp", "/usr/share", "/lib/modules", "/cgroup")
_ROOTS = ("/", "/var/lib/docker")
# What a build installs, and nobody else writes.
_INSTALLED = frozenset("node_modules bower_components .venv site-packages __pycache__ .pnpm-store .yarn".split())
# Which are that beside the program alone: elsewhere a vendor may be somebody who sells.
_BESIDE_PROGRAM = ("vendor", "vendor/bundle", "venv")
INSTALLED = "the image has what it installed there"
# What keeps a folder in git that has nothing in it.
_NOTHING = (".gitkeep", ".gitignore", ".keep", ".placeholder")
# What git does not keep either, and every build makes anew.
MADE = frozenset({"node_modules", "vendor", "dist", "build", "target", "out", "bin", "obj", "venv", "__pycache__", "coverage"})
# What is there is written by who renews certificates.
_RENEWED = re.compile(r"letsencrypt|acme|certbot")
GONE = "that container is not among these"
FOREIGN = "the path is of the developer's machine"
# Where servers keep what containers write.
_KEPT = ("/data/", "/home/", "/media/", "/mnt/", "/opt/", "/root/", "/srv/", "/storage/", "/var/", "/volumes/")
# Where libraries are, and no data.
_LIBRARIES = ("/usr/lib/", "/usr/local/lib/", "/usr/local/bundle/", "/bin/", "/usr/bin/")
# A file in which a program has its database.
_DATABASE_FILE = re.compile(r"\.(sqlite3?|db3?|s3db|duckdb|mv\.db|rdb)$", re.IGNORECASE)
LOST = "what is written there ends with each release; let the program keep it in a folder of its own, and mount that, such as ./data:/data"
# What it is called tells that it is a file.
FILE = re.compile(r"\.(?!d$)[A-Za-z0-9]{1,5}$")


def is_foreign(path: str) -> bool:
    """Whether a path outside the project means nothing on another machine."""
    return path in _ROOTS or not (path in _MACHINE or path.startswith(tuple(each + "/" for each in _MACHINE)))


def keeps(volume: Mapping[str, Any]) -> bool:
    """Whether a mount is a folder outside of the project, of this machine alone, that containers keep something in."""
    source, target = str(volume.get("source") or ""), str(volume["target"])
    if volume.get("type") != "bind" or volume.get("read_only") or not is_foreign(source) or source in _ROOTS:
        return False
    # Somebody's own, who is here, or keeps keys there.
    own = source.startswith(("/home/", "/root/")) and (os.path.exists(source) or "/." in source)
    file = os.path.isfile(source) or any(FILE.search(path) for path in (source, target)) or is_database(volume)
    made = any(part in MADE for path in (source, target) for part in path.split("/"))
    return (source + "/").startswith(_KEPT) and not (own or file or made or (target + "/").startswith((*SETTINGS, *_LIBRARIES)))


def is_installed(service: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
    """Whether a named volume lies over what a built image has installed: an empty or older one would stand in for it.

    One that is left out by mistake loses what is written there, so what is not sure is none.
    """
    if not service.get("build") or volume.get("type") != "volume":
        return False
    target, folder = str(volume["target"]).rstrip("/"), working_folder(service["build"])
    beside = folder is not None and target in [f"{folder.rstrip('/')}/{each}" for each in _BESIDE_PROGRAM]
    return beside or (target + "/").startswith(_LIBRARIES) or not _INSTALLED.isdisjoint(target.split("/"))


def is_database(volume: Mapping[str, Any]) -> bool:
    """Whether a mount is a database in one file, as SQLite has it, into which containers may write."""
    return not volume.get("read_only") and _DATABASE_FILE.search(str(volume["target"])) is not None


def covers(service: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
    """Whether a mount lies over the folder in which a built image has its program."""
    folder = working_folder(service.get("build") or {}) if service.get("build") else None
    return bool(folder) and folder != "/" and (str(folder) + "/").startswith(str(volume["target"]).rstrip("/") + "/")


def is_anonymous(volume: Mapping[str, Any]) -> bool:
    """Whether a mount is a volume without a name: it begins with what the image has there, and ends with its container."""
    return volume.get("type") == "volume" and not volume.get("source")


def taken_from(service: Mapping[str, Any]) -> dict[str, str]:
    """Whose volumes a service takes: each as it is written (``web:ro``), to the service's name."""
    return {str(each): str(each).split(":")[0] for each in service.get("volumes_from") or []}


def lent(services: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Those whose volumes others take (``volumes_from``)."""
    return {name for service in services.values() for name in taken_from(service).values()}


def below(path: str, folders: Iterable[str]) -> bool:
    """Whether a path is one of these folders, or in one."""
    return any((path.rstrip("/") + "/").startswith(each.rstrip("/") + "/") for each in folders)


def device_of(declared: Mapping[str, Any] | None) -> str:
    """The folder that a named volume is by its driver's options (``o: bind``), or the empty string."""
    options = (declared or {}).get("driver_opts") or {}
    return str(options.get("device") or "") if "bind" in str(options.get("o")).split(",") else ""


def as_folder(volume: Mapping[str, Any], declared: Mapping[str, Any], directory: str, repository: Repository | None) -> Mapping[str, Any]:
    """A mount of a named volume that is a folder of the project with files in it, as the mount of that folder; any other as it is.

    ``declared``: the volumes of the Compose model.
    """
    device = device_of(declared.get(str(volume.get("source") or ""))) if volume.get("type") == "volume" else ""
    if not device.startswith(directory + "/") or is_written(device, str(volume["target"]), repository):
        return volume
    return {**volume, "type": "bind", "source": device}


def machine_volume(path: str) -> str:
    """The name of the volume that such a folder becomes."""
    return "machine-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", path).strip("-.")


def folder_volume(relative: str) -> str:
    """The name of the volume that a folder of the project, which containers write into, becomes."""
    return "folder-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", relative).strip("-.")


def holds_files(path: str, repository: Repository | None) -> bool:
    """Whether there are files in a folder, in a repository such that git keeps."""
    names = (
        repository.under(path) if repository else [name for _where, _folders, names in os.walk(path, followlinks=True) for name in names]
    )
    return any(os.path.basename(each) not in _NOTHING for each in names)


def is_written(path: str, target: str, repository: Repository | None) -> bool:
    """Whether a folder that can be written to holds what containers keep, and nothing that is delivered.

    What git keeps of it is delivered; of what is mounted where programs are set up, such as certificates, all that is here.
    """
    if target.startswith(SETTINGS) and not _RENEWED.search(target) and holds_files(path, None):
        return False
    return not holds_files(path, repository)
