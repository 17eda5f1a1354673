# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A selection of a Compose project's services as a production docker-compose.yml, for Beanstalk's Docker platform or any host."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from . import accessories
from .bound_files import KINDS
from .compose import Project
from .dockerrun import canonical
from .mount_kinds import (
    FOREIGN,
    GONE,
    INSTALLED,
    LOGS,
    LOST,
    as_folder,
    below,
    covers,
    is_anonymous,
    is_database,
    is_foreign,
    is_installed,
    machine_volume,
    taken_from,
)
from .mounts import Mounts
from .problems import listed
from .selection import Options, Selection
from .standing import one_shots, restarts

# What belongs to a developer's machine, or was merged into other keys.
_LEFT_BEHIND = ("build", "develop", "env_file", "profiles", "pull_policy", "attach")


def production(project: Project, selection: Selection, *, delivered: bool = False) -> dict[str, Any]:
    """The Compose model that runs the selection from images alone.

    A secret travels as ``${VARIABLE:?…}``: Beanstalk hands the environment's properties to Compose. ``delivered``: whoever asks sees to what
    lies beside the file; else the notes say what that is.
    """
    notes, services, once = selection.notes, {}, one_shots(selection.services)
    declared = project.model.get("volumes") or {}
    used: set[str] = set()
    mounts = Mounts(project, notes, delivered=delivered)
    for remark in [] if delivered else accessories.on_instances(selection.services, selection.images, selection.front_door):
        notes.advise(remark)
    for name, service in selection.services.items():
        result = {key: value for key, value in service.items() if key not in _LEFT_BEHIND and value not in (None, [], {})}
        result["image"] = selection.images[name]
        environment: dict[str, str] = {key: _escaped(value) for key, value in selection.bindings[name].environment.items()}
        environment.update({key: f"${{{key}:?give it as an environment secret}}" for key in selection.bindings[name].secrets})
        result.pop("environment", None)
        if environment:
            result["environment"] = dict(sorted(environment.items()))
        given = [as_folder(each, declared, project.directory, project.repository) for each in service.get("volumes") or []]
        volumes = [volume for volume in (_volume(project, service, each, mounts, name, delivered) for each in given) if volume]
        volumes += _from_the_image(service, given, volumes, mounts, lends=name in mounts.lent)
        result.pop("volumes", None)
        if volumes:
            result["volumes"] = volumes
            used |= {volume["source"] for volume in volumes if volume["type"] == "volume" and volume.get("source")}
        _among(name, result, selection)
        depends = {other: how for other, how in (service.get("depends_on") or {}).items() if other in selection.services}
        result.pop("depends_on", None)
        if depends:
            result["depends_on"] = depends
        if name not in once and restarts(service) == "no":
            result["restart"] = "unless-stopped"
            if service.get("deploy"):
                result["deploy"] = {key: how for key, how in service["deploy"].items() if key != "restart_policy"}
        result.setdefault("restart", "no" if name in once else restarts(service) or "unless-stopped")
        services[name] = {
            key: value if key in ("environment", "volumes", "image") else _escaped(value) for key, value in sorted(result.items())
        }
    document: dict[str, Any] = {"services": services}
    volumes_used = {name: _without_name(declared.get(name)) for name in sorted(used)}
    if volumes_used:
        document["volumes"] = volumes_used
    networks = {network for service in services.values() for network in service.get("networks") or {}} - {"default"}
    if networks:
        document["networks"] = {name: _without_name((project.model.get("networks") or {}).get(name)) for name in sorted(networks)}
    for kind in KINDS:
        wanted = {entry["source"] for service in services.values() for entry in service.get(kind) or []}
        if wanted:
            document[kind] = {
                name: _of_project(project, _without_name((project.model.get(kind) or {}).get(name))) for name in sorted(wanted)
            }
            paths = [str(each["file"]) for each in document[kind].values() if each.get("file")]
            if paths and not delivered:
                notes.advise(f"{kind}: read from {listed(paths)}, beside the file; deliver what is there with it")
    return document


def _among(name: str, service: dict[str, Any], selection: Selection) -> None:
    """Let a service name none that is not here: Compose would refuse the whole file for it."""
    here, notes = selection.services, selection.notes
    sources = taken_from(service)
    kept = {
        # What was linked to is found by its names, where it is now.
        "links": [each for each in service.pop("links", []) if str(each).split(":")[0] in here],
        "volumes_from": [each for each, source in sources.items() if source in here],
    }
    service.pop("volumes_from", None)
    service.update({key: entries for key, entries in kept.items() if entries})
    lost = [f"volumes_from {each}" for each, source in sources.items() if source not in here]
    for key in ("network_mode", "pid", "ipc"):
        kind, _colon, other = str(service.get(key) or "").partition(":")
        if kind == "container" or (kind == "service" and other not in here):
            lost.append(f"{key} {service.pop(key)}")
    lost += [f"external_links {each}" for each in service.pop("external_links", [])]
    for setting in lost:
        notes.lose(name, setting, GONE)


def _of_project(project: Project, declared: dict[str, Any]) -> dict[str, Any]:
    # Compose resolved the path, to one of this machine.
    inside = str(declared.get("file") or "").startswith(project.directory + "/")
    return {**declared, "file": f"./{os.path.relpath(declared['file'], project.directory)}"} if inside else declared


def _from_the_image(
    service: Mapping[str, Any], given: Sequence[Mapping[str, Any]], carried: Sequence[Mapping[str, Any]], mounts: Mounts, lends: bool
) -> list[dict[str, Any]]:
    """The anonymous volumes that keep what an image has in sight.

    In sight of its own container, below a folder of the project that is mounted over it; and of who takes the volumes of one that ``lends``
    them, such as a server of static files.
    """
    folders = [str(each["target"]) for each in carried if each["type"] == "bind"]
    anonymous = [str(each["target"]) for each in given if is_anonymous(each)]
    if not lends:
        return [{"type": "volume", "target": each} for each in anonymous if below(each, folders)]
    code = [str(each["target"]) for each in given if mounts.is_source_code(service, each) and os.path.isdir(str(each["source"]))]
    return [{"type": "volume", "target": each} for each in [*code, *anonymous]]


def _volume(
    project: Project, service: dict[str, Any], volume: Mapping[str, Any], mounts: Mounts, name: str, delivered: bool
) -> dict[str, Any] | None:
    source = str(volume.get("source") or "")
    if mounts.left_to_the_image(name, service, volume):
        return None
    result = {key: value for key, value in volume.items() if value not in (None, {}, [])}
    if volume.get("type") == "volume" and not source:
        return None
    if is_installed(service, volume):
        mounts.notes.lose(name, f"volume {source}:{volume['target']}", INSTALLED)
        return None
    if volume.get("type") == "volume" and covers(service, volume):
        mounts.notes.advise(
            f"{name}: volume {source} is mounted over {volume['target']}, where the image has its program: a volume is filled from an image once, "
            "so the program of a later release is not seen there; mount only what is written"
        )
    if source.startswith(LOGS):
        # On the Docker platform Beanstalk hands in where it collects a container's logs.
        return {"type": "bind", "source": f"${{EB_LOG_BASE_DIR:-/var/log}}/{source.removeprefix(LOGS)}", "target": volume["target"]}
    inside = (source + "/").startswith(project.directory + "/")
    # Who delivers what is mounted delivers what lies beside the project in its repository, too.
    if volume.get("type") == "bind" and (inside or (delivered and project.repository and project.repository.holds(source))):
        relative = os.path.relpath(source, project.directory)
        result["source"] = relative if relative.startswith(".") else f"./{relative}"
        if inside and not mounts.is_data(service, volume):
            mounts.notes.bundled.append(relative)
        if not delivered:
            mounts.notes.advise(f"{name}: {result['source']} is mounted from beside the file; deliver it with it")
    elif volume.get("type") == "bind" and source in mounts.kept:
        mounts.notes.advise(f"{name}: {source} is no folder of the project, so it is kept like a named volume, without what is in it here")
        return {key: how for key, how in result.items() if key != "bind"} | {"type": "volume", "source": machine_volume(source)}
    elif volume.get("type") == "bind" and is_foreign(source):
        mounts.notes.lose(name, f"volume {source}:{volume['target']}", LOST if is_database(volume) else FOREIGN)
        return None
    return result


def _without_name(declared: Any) -> dict[str, Any]:
    # Compose resolved `name: project_volume`; the production file belongs to a project of its own.
    entry = {key: value for key, value in (declared or {}).items() if value not in (None, {}, [])}
    if not entry.get("external"):
        entry.pop("name", None)
    return entry


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return value


def as_yaml(document: dict[str, Any]) -> str:
    """Canonical YAML: stable order, two spaces, long lines unbroken, a newline at the end."""
    text: str = yaml.safe_dump(document, sort_keys=False, width=10**6, allow_unicode=True, default_flow_style=False)
    return text


def version_3(options: Options) -> str | None:
    """The Dockerrun.aws.json that lets the Docker platform pull from a private registry; None where none is asked for."""
    if not options.authentication:
        return None
    keys = {"bucket": options.authentication["bucket"], "key": options.authentication["key"]}
    return canonical({"AWSEBDockerrunVersion": "3", "Authentication": keys})
