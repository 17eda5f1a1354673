# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release's containers write into and what is there after them: named volumes, and folders of the machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from .standing import one_shots

# A container's folders of the machine, for what backs them up there: absolute paths, with colons in between.
FOLDERS_LABEL = "org.berth.folders"
# What a machine has for itself, or for Berth; nobody keeps data there.
_MACHINES = [
    PurePosixPath(f"/{each}")
    for each in """proc sys dev run var/run etc usr boot bin sbin lib lib64 tmp var/tmp var/log var/cache var/lib/docker
var/lib/containerd var/lib/berth srv/berth""".split()
]


def folders(service: Mapping[str, Any]) -> list[str]:
    """The folders of the machine itself that a service may write its data into, as absolute paths."""
    found = set()
    for mount in service.get("volumes") or []:
        path = PurePosixPath(str(mount.get("source") or ""))
        own = any(path == each or each in path.parents or path in each.parents for each in _MACHINES)
        if mount["type"] == "bind" and path.is_absolute() and not mount.get("read_only") and not own:
            found.add(str(path))
    return sorted(found)


def written(model: Mapping[str, Any]) -> set[str]:
    """The declared volumes into which containers write that run on, and the folders of the machine. What runs to an end makes anew what it has
    written, as from its image."""
    services = model.get("services") or {}
    once = one_shots(services)
    lasting = [service for name, service in services.items() if name not in once]
    mounted = [volume for service in lasting for volume in service.get("volumes") or []]
    declared = model.get("volumes") or {}
    named = {
        each["source"] for each in mounted if each["type"] == "volume" and each.get("source") in declared and not each.get("read_only")
    }
    return named | {folder for service in lasting for folder in folders(service)}


def called(model: Mapping[str, Any]) -> set[str]:
    """The same, by the names that volumes have on a machine."""
    declared = model.get("volumes") or {}
    return {(declared.get(each) or {}).get("name") or each for each in written(model)}


def scattered(model: Mapping[str, Any], machines: int) -> list[str]:
    """What is told of volumes of which each of several machines has one, and into which the release's containers write, as warnings."""
    names = written(model) if machines > 1 else set()
    if not names:
        return []
    return [
        f"volumes: each of the {machines} app machines has a {' and a '.join(sorted(names))} of its own, so what a container writes on one is not on "
        "the others; keep what visitors upload in an object store, or use one app machine"
    ]
