"""The Compose projects that Berth started on this machine, remembered so that `make down` takes away these and no others."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import docker
import docker.errors

from .reading import basename, engine_of, in_production, serves

ROOT = Path(__file__).parent.parent
_STATE = ROOT / ".cache" / "projects.json"


def remember(name: str) -> None:
    """Note that a project was started here."""
    _STATE.parent.mkdir(exist_ok=True)
    _STATE.write_text(json.dumps(sorted({*remembered(), name})) + "\n", encoding="utf-8")


def remembered() -> list[str]:
    """The projects that were started here and not yet taken away."""
    try:
        return [str(name) for name in json.loads(_STATE.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError):
        return []


def take_away(say: Callable[[str], None] = print) -> None:
    """Remove the containers, networks, volumes and images of the remembered projects."""
    client = docker.from_env()
    for name in remembered():
        wanted = {"label": f"com.docker.compose.project={name}"}
        for container in client.containers.list(all=True, filters=wanted):
            say(f"removing container {container.name}")
            container.remove(force=True, v=True)
        for network in client.networks.list(filters=wanted):
            say(f"removing network {network.name}")
            network.remove()
        for volume in client.volumes.list(filters=wanted):
            say(f"removing volume {volume.name}")
            volume.remove()
        for image in client.images.list(filters=wanted):
            for tag in image.tags:
                say(f"removing image {tag}")
                client.images.remove(tag, force=True)
    _STATE.unlink(missing_ok=True)


def resolve(directory: Path, files: Sequence[str] = ()) -> dict[str, Any]:
    """The Compose model of a project. Raises ``subprocess.CalledProcessError`` with Compose's own words."""
    options = [word for name in files for word in ("--file", str(directory / name))]
    command = ["docker", "compose", "--project-directory", str(directory), *options, "config", "--format", "json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    model: dict[str, Any] = json.loads(result.stdout)
    return model


def base_images(model: dict[str, Any], *, backing: bool = True, built: bool = True) -> list[str]:
    """The images that a project runs or builds on, in the order of its services, each once.

    ``backing``: those of its stores too, as on a laptop. ``built``: those that it builds on too, beside those that it runs as they are.
    """
    images: list[str] = []
    own = {service.get("image") for service in model["services"].values() if service.get("build")}
    services = model["services"] if backing else in_production(model["services"])
    for _name, service in sorted(services.items()):
        image = str(service.get("image") or "")
        if not backing and engine_of(image) and serves(service, basename(image)):
            continue
        build = service.get("build")
        if build:
            images += _from(build) if built else []
        elif image and image not in own:
            images.append(image)
    return list(dict.fromkeys(images))


def _from(build: dict[str, Any]) -> list[str]:
    text = build.get("dockerfile_inline")
    if text is None:
        try:
            text = (Path(build.get("context", ".")) / build.get("dockerfile", "Dockerfile")).read_text(encoding="utf-8")
        except OSError:
            return []
    arguments = dict(re.findall(r"(?im)^\s*ARG\s+(\w+)=[\"']?([^\s\"']+)", text))
    arguments.update({key: str(value) for key, value in (build.get("args") or {}).items()})
    images, stages = [], {"scratch"}
    for image, stage in re.findall(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", text):
        resolved = re.sub(r"\$\{?(\w+)(?::-([^}]*))?\}?", lambda found: str(arguments.get(found[1], found[2] or "")), image)
        if resolved.lower() not in stages:
            images.append(resolved)
        stages.add(stage.lower())
    return images
