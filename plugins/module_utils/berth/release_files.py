# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release brings along beside its images: the files of the project that containers mount, its secrets and its configs.

They travel in the release's Compose model, under a key that Compose does not read, and lie beside its Compose file on the machine, so that each
release has its own. What containers write into a folder of the project becomes a named volume, which all releases have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import source_bundle
from .bound_files import KINDS, target_of
from .brought_files import KEY, packed
from .compose import Project
from .dockerfiles import SETTINGS
from .mount_kinds import FILE, LOST, device_of, folder_volume, holds_files, is_database, is_foreign, is_written
from .notes import Notes
from .problems import BerthError
from .secret_texts import Texts
from .selection import Selection

_PROJECT = "project"
_CERTIFICATES = re.compile(r"/etc/(letsencrypt|ssl/private)(/|$)")
MOST_BYTES = 20 * 1024 * 1024
# Where programs read, and do not write.
_READ = (*SETTINGS, "/usr/share/", "/usr/local/")


def bring(model: dict[str, Any], project: Project, selection: Selection, texts: Texts) -> dict[str, Any]:
    """The model with all that it mounts of the project in it.

    Raises :class:`BerthError` for what is not there, and for too much.
    """
    result = {**model, "services": {name: dict(service) for name, service in model["services"].items()}}
    mounted: dict[str, str] = {}
    for name, service in result["services"].items():
        given = service.get("volumes") or []
        volumes = [_bind(name, volume, project, selection.notes) for volume in given]
        if volumes:
            service["volumes"] = volumes
        pairs = zip(volumes, given, strict=True)
        mounted |= {new["source"]: old["source"] for new, old in pairs if new["type"] == "bind" and new["source"].startswith(".")}
        kept: dict[str, Any] = {
            each["source"]: {} for each in volumes if each["type"] == "volume" and each.get("source", "").startswith(folder_volume(""))
        }
        if kept:
            result["volumes"] = {**kept, **(result.get("volumes") or {})}
    _of_machine(result.get("volumes") or {}, project, selection.notes)
    files = {**_delivered(project.directory, mounted), **_given(result, selection, texts)}
    return {**result, KEY: files} if files else result


def _of_machine(volumes: dict[str, Any], project: Project, notes: Notes) -> None:
    """Let volumes that are folders of the developer's machine be Docker's own, as others are."""
    for name, declared in volumes.items():
        device = device_of(declared)
        if device and (device.startswith(project.directory + "/") or is_foreign(device)):
            volumes[name] = {key: value for key, value in declared.items() if key != "driver_opts"}
            notes.advise(f"volumes.{name}: {device} is of the developer's machine, so Docker keeps the volume where it keeps others")


def _bind(name: str, volume: dict[str, Any], project: Project, notes: Notes) -> dict[str, Any]:
    source, target = str(volume.get("source") or ""), str(volume["target"])
    if volume["type"] == "bind" and _CERTIFICATES.match(source):
        notes.advise(
            f"{name}: {source} has no certificates on a machine where the edge gets them (app_domain); let {name} speak plain HTTP, or deliver your own"
        )
    if volume["type"] != "bind" or not source.startswith("."):
        return volume
    relative = os.path.normpath(source)
    path = os.path.join(project.directory, relative)
    if not os.path.exists(path) and (volume.get("read_only") or FILE.search(relative)):
        raise BerthError(f"services.{name}.volumes: {path} is not there, and is mounted as {target}; put it there, or leave the volume out")
    if os.path.isfile(path) and is_database(volume):
        notes.advise(f"{name}: {source} is a database in one file: {LOST}")
    if not volume.get("read_only") and not os.path.isfile(path):
        if is_written(path, target, project.repository):
            if os.path.isdir(path) and holds_files(path, None):
                notes.advise(
                    f"{name}: {source} can be written to, and git keeps nothing of it, so it is kept on the machine like a named volume, over all releases "
                    "and without the files that are here; mount it read-only (:ro) to have these delivered"
                )
            return {"type": "volume", "source": folder_volume(relative), "target": target}
        if not target.startswith(_READ):
            notes.advise(
                f"{name}: {source} comes with each release, so what containers write there is lost with the next; "
                "mount it read-only (:ro), or let a named volume keep what they write"
            )
    return {**volume, "source": f"./{os.path.normpath(os.path.join(_PROJECT, source_bundle.placed(relative)))}"}


def _delivered(directory: str, mounted: Mapping[str, str]) -> dict[str, Any]:
    """``mounted``: place beside the Compose file to path of the project, each with ``./``."""
    files: dict[str, Any] = {}
    size = 0
    for place, source in sorted(mounted.items()):
        start = os.path.normpath(os.path.join(directory, source))
        for path in source_bundle.files(directory, [source]):
            if "/.git/" in path.removeprefix(start):
                continue
            size += os.path.getsize(path)
            if size > MOST_BYTES:
                raise BerthError(
                    f"volumes: more than 20 MB of {directory} is mounted ({', '.join(sorted(mounted.values()))}), and a release brings no more along; "
                    "let an image have it"
                )
            mode = "0755" if os.access(path, os.X_OK) else "0644"
            files[os.path.normpath(place + path.removeprefix(start))] = {**packed(Path(path).read_bytes()), "mode": mode}
    return files


def _given(model: dict[str, Any], selection: Selection, texts: Texts) -> dict[str, Any]:
    """Let the model's secrets and configs be files beside it."""
    files: dict[str, Any] = {}
    for kind in KINDS:
        declared: dict[str, Any] = {}
        for name, service in model["services"].items():
            entries = []
            for entry in service.get(kind) or []:
                path, source = target_of(kind, entry), entry["source"]
                bound = any(each["variable"] == path and each["service"] == name for each in selection.bound)
                if (kind, source) in texts.missing and not bound:
                    raise BerthError(texts.missing[(kind, source)])
                text = selection.files[name][path]
                # One that several services have is led to different places where they mean different stores by it.
                other = next((each for each in (source, f"{source}.{name}") if declared.get(each, text) == text), source)
                declared[other] = text
                # Compose ignores owner and mode of what comes from a file.
                entries.append({"source": other, "target": path})
            if entries:
                service[kind] = entries
        if declared:
            model[kind] = {name: {"file": f"./{kind}/{name}"} for name in sorted(declared)}
            given = {f"{kind}/{name}": packed(text.encode("utf-8", "surrogateescape")) for name, text in declared.items()}
            # Containers run as anyone, and nobody else gets into the folder.
            files |= {path: {**entry, "mode": "0444"} for path, entry in given.items()}
    return files
