# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service's volumes as ECS mount points, and the volumes that those need."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from .compose import Project
from .dockerfiles import SETTINGS, holds_program
from .mount_kinds import (
    FILE,
    FOREIGN,
    INSTALLED,
    LOGS,
    LOST,
    MADE,
    as_folder,
    below,
    covers,
    device_of,
    folder_volume,
    is_anonymous,
    is_database,
    is_foreign,
    is_installed,
    is_written,
    keeps,
    lent,
    machine_volume,
)
from .notes import Notes
from .problems import listed
from .source_bundle import placed
from .units import mebibytes

# Where Beanstalk unpacks the source bundle on the instance:
# https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/create_deploy_docker_v2config.html
BUNDLE = "/var/app/current"
# Where configs lie in it that are no files of the project.
_CONFIGS = ".berth/configs"
# Where a named volume of Compose lives on the instance.
VOLUMES = "/var/lib/berth/volumes"


class Mounts:
    """Collects the volumes of a document while its services' mount points are made.

    ``delivered``: whoever asks packs what is mounted from the source bundle; else the notes say what that is.
    """

    def __init__(self, project: Project, notes: Notes, *, delivered: bool = False) -> None:
        self.delivered = delivered
        self.directory = project.directory
        self.declared = project.model.get("volumes") or {}
        self.repository = project.repository
        self.notes = notes
        # Also for who mounts them to read.
        self.kept = {str(each["source"]) for one in project.services.values() for each in one.get("volumes") or [] if keeps(each)}
        self.lent = lent(project.services)
        self.volumes: dict[str, dict[str, Any]] = {}

    def of(self, name: str, service: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """A service's ECS ``mountPoints`` and ``linuxParameters.tmpfs``; what cannot be carried is noted."""
        points: list[dict[str, Any]] = []
        tmpfs: list[dict[str, Any]] = []
        volumes = [as_folder(each, self.declared, self.directory, self.repository) for each in service.get("volumes") or []]
        code = [volume["target"] for volume in volumes if self.is_source_code(service, volume)]
        self._say_what_others_miss(
            name, [*code, *(str(each["target"]) for each in volumes if is_anonymous(each) and not below(each["target"], code))]
        )
        for volume in volumes:
            kind, target = volume.get("type"), volume["target"]
            source = self._source(name, service, volume, code)
            if kind == "tmpfs":
                size = (volume.get("tmpfs") or {}).get("size")
                tmpfs.append({"containerPath": target, "size": mebibytes(size) if size else 64})
            elif source:
                point = {"sourceVolume": source, "containerPath": target}
                points.append({**point, "readOnly": True} if volume.get("read_only") else point)
        for entry in service.get("tmpfs") or []:
            tmpfs.append(self._tmpfs(name, entry))
        return points, tmpfs

    def _say_what_others_miss(self, name: str, targets: list[str]) -> None:
        if targets and name in self.lent:
            self.notes.advise(
                f"{name}: what its image has in {listed(targets)} is seen by who takes its volumes (volumes_from) where its Dockerfile says "
                "VOLUME for it, and not before"
            )

    def _tmpfs(self, name: str, entry: str) -> dict[str, Any]:
        path, _colon, options = entry.partition(":")
        rest = [option for option in options.split(",") if option and not option.startswith("size=")]
        size = re.search(r"(?:^|,)size=([^,]+)", options)
        mount: dict[str, Any] = {"containerPath": path, "size": mebibytes(size[1]) if size else 64}
        if not size:
            self.notes.advise(f"{name}: tmpfs {path} has no size, which ECS asks for: 64 MiB given")
        if rest:
            mount["mountOptions"] = rest
        return mount

    def _source(self, name: str, service: Mapping[str, Any], volume: Mapping[str, Any], code: list[str]) -> str | None:
        """The name of the volume that a mount point takes; None when the mount is no mount point, or is left out."""
        kind, target, source = volume.get("type"), volume["target"], str(volume.get("source") or "")
        setting = f"volume {source or '(anonymous)'}:{target}"
        if kind == "volume" and source:
            if is_installed(service, volume):
                self.notes.lose(name, setting, INSTALLED)
                return None
            if covers(service, volume):
                self.notes.advise(
                    f"{name}: volume {source} is mounted over {target}, where the image has its program, and an instance's folder is empty at first; "
                    "mount only what is written"
                )
            return self._named(name, source, setting)
        if kind == "volume":
            over = [
                str(each["target"]) for each in service.get("volumes") or [] if each.get("type") == "bind" and each["target"] not in code
            ]
            if below(target, over):
                self.notes.lose(
                    name,
                    setting,
                    "what the image has installed there is hidden by the folder that is mounted over it; let the image COPY that",
                )
            elif name not in self.lent and not below(target, code):
                self.notes.lose(name, setting, "an anonymous volume keeps nothing; name it to keep what it holds")
            return None
        if kind != "bind":
            if kind != "tmpfs":
                self.notes.lose(name, setting, f"ECS has no {kind} mounts")
            return None
        relative = os.path.relpath(source, self.directory)
        setting = f"volume {self._shown(source)}:{target}"
        if self.left_to_the_image(name, service, volume):
            return None
        if self.is_data(service, volume):
            return self._kept(name, folder_volume(relative))
        if not relative.startswith("..") or (self.repository and self.repository.holds(source)):
            if is_database(volume):
                self.notes.advise(f"{name}: {self._shown(source)} is a database in one file: {LOST}")
            return self.bundled(name, source)
        if source in self.kept:
            return self._kept(name, machine_volume(source), shown=f"{source}, which is no folder of the project,")
        if is_foreign(source):
            self.notes.lose(name, setting, LOST if is_database(volume) else FOREIGN)
            return None
        return self._declare(f"host-{source.strip('/')}", source)

    def bundled(self, name: str, path: str) -> str:
        """The name of the volume that leads to a path of the project in the source bundle."""
        relative = os.path.relpath(path, self.directory)
        self.notes.bundled.append(relative)
        place = placed(relative)
        shown = "." if relative == "." else f"./{relative}" if place == relative else f"{relative}, as ./{place},"
        if not self.delivered:
            self.notes.advise(f"{name}: {shown} is mounted from the source bundle; pack it beside the Dockerrun.aws.json")
        return self._declare("bundle" if relative == "." else f"bundle-{place}", os.path.normpath(f"{BUNDLE}/{place}"))

    def text(self, name: str, config: str, content: str) -> str:
        """The name of the volume that leads to what a config holds, which is a file of the source bundle alone."""
        place = f"{_CONFIGS}/{config}"
        self.notes.texts[place] = content
        if not self.delivered:
            self.notes.advise(
                f"{name}: config {config} is mounted from the source bundle; pack it as ./{place} beside the Dockerrun.aws.json"
            )
        return self._declare(f"config-{config}", f"{BUNDLE}/{place}")

    def _named(self, name: str, source: str, setting: str) -> str | None:
        if source.startswith(LOGS):
            # Beanstalk makes these volumes by itself, and rotates and collects what is in them.
            return source
        options = self.declared.get(source) or {}
        # A folder of the developer's machine is one of the instance.
        if not device_of(options) and (options.get("driver", "local") != "local" or options.get("driver_opts")):
            self.notes.lose(name, setting, "Beanstalk has no volume drivers")
            return None
        return self._kept(name, source)

    def _kept(self, name: str, volume: str, shown: str = "") -> str:
        path = f"{VOLUMES}/{volume}"
        self.notes.kept.append(path)
        self.notes.advise(
            f"{name}: {shown or f'volume {volume}'} is kept on the instance, in {path}: empty at first, lost when Beanstalk replaces the instance"
        )
        return self._declare(volume, path)

    def _declare(self, wish: str, path: str) -> str:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", wish).strip("-")[:250] or "volume"
        name, number = stem, 1
        while self.volumes.get(name, {"host": {"sourcePath": path}})["host"]["sourcePath"] != path:
            number += 1
            name = f"{stem}-{number}"
        self.volumes[name] = {"name": name, "host": {"sourcePath": path}}
        return name

    def _shown(self, source: str) -> str:
        relative = os.path.relpath(source, self.directory)
        return source if relative.startswith("..") else relative if relative == "." else f"./{relative}"

    def left_to_the_image(self, name: str, service: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
        """Whether a mount is left out, since the image holds what it lays over it; noted, and also where the image ought to hold it and does not."""
        if self.is_source_code(service, volume):
            setting = f"volume {self._shown(str(volume['source']))}:{volume['target']}"
            self.notes.lose(name, setting, "the source code is in the image" if not is_database(volume) else LOST)
            return True
        if self._lies_over_code(service, volume) and not is_database(volume):
            self.notes.advise(
                f"{name}: its image has nothing of the project in {volume['target']}, so {self._shown(str(volume['source']))} comes with each release, "
                "as git keeps it and without what is installed there; let the image COPY it"
            )
        return False

    def is_source_code(self, service: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
        """Whether a bind lays the developer's source over what the image already holds."""
        return self._lies_over_code(service, volume) and holds_program(service["build"], str(volume["target"]))

    def _lies_over_code(self, service: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
        """Whether a bind lays the developer's source where an image has its own.

        What is mounted where programs are set up, or a file under another name, is no source: that is how the image is told what to do.
        """
        if volume.get("type") != "bind" or str(volume["target"]).startswith(SETTINGS):
            return False
        if os.path.isfile(str(volume.get("source"))) and os.path.basename(volume["source"]) != os.path.basename(volume["target"]):
            return False
        if self.is_data(service, volume):
            return False
        source, context = str(volume.get("source")), str((service.get("build") or {}).get("context") or "")
        inside = source == context or source.startswith(context.rstrip("/") + "/")
        return bool(context) and (inside or context.startswith(source.rstrip("/") + "/") or source == self.directory)

    def is_data(self, service: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
        """Whether a bind is a folder of the project that holds nothing of it: containers write what they keep into it, such as uploads."""
        build, source = service.get("build") or {}, str(volume.get("source"))
        relative = os.path.relpath(source, self.directory)
        if volume.get("type") != "bind" or volume.get("read_only") or os.path.isfile(source) or is_database(volume):
            return False
        if relative.startswith("..") and not (self.repository and self.repository.holds(source)):
            return False
        # Where the image's own files are not here, nobody can tell what is among them.
        context = str(build.get("context") or "")
        seen = not context or os.path.isfile(os.path.join(context, str(build.get("dockerfile") or "Dockerfile")))
        if not seen or (context + "/").startswith(source.rstrip("/") + "/"):
            return False
        if any(part in MADE or re.match(r"\.[^.]", part) for part in relative.split("/")):
            return False
        there = os.path.isdir(source)
        if not there and FILE.search(source):
            return False
        # Who is given the Compose file alone does not know what the project has.
        known = there or self.repository is not None or self.delivered
        return known and is_written(source, str(volume["target"]), self.repository)
