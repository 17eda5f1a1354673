"""``.ebextensions`` of a source bundle: the commands that an instance runs before its containers begin, and no more of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker.errors
import yaml

from ... import containers, images
from .bundle import BundleError

# Any image with a shell does: what a command leaves in the folders that containers mount is all that stays of it.
_IMAGE = "postgres:17"


def documents(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The ``.config`` files of an unpacked bundle, in the order in which an instance reads them. Raises :class:`BundleError`."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted((folder / ".ebextensions").glob("*.config")):
        name = f".ebextensions/{path.name}"
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BundleError(f"The configuration file {name} contains invalid YAML or JSON: {error}") from None
        if not isinstance(document, dict):
            raise BundleError(f"The configuration file {name} is no mapping")
        found[name] = document
    return found


def left_out(folder: Path) -> list[str]:
    """What the files ask for that is not rehearsed, in words."""
    return [
        f"{name}: {key} is not rehearsed" for name, document in documents(folder).items() for key in sorted(set(document) - {"commands"})
    ]


def run(folder: Path, folders: Mapping[str, str]) -> None:
    """Run the commands of a bundle as root. ``folders``: path on the instance to the volume that stands for it.

    Raises :class:`BundleError` for one that fails.
    """
    for name, document in documents(folder).items():
        for key, command in sorted((document.get("commands") or {}).items()):
            # A test that fails is no error: the command is left out then.
            if command.get("test") and _fails(command, command["test"], folders) is not None:
                continue
            said = _fails(command, command.get("command", ""), folders)
            if said is not None and not command.get("ignoreErrors"):
                raise BundleError(f"Command failed on instance. Output: {said}. Command {key} in {name} failed.")


def _fails(command: Mapping[str, Any], words: Any, folders: Mapping[str, str]) -> str | None:
    images.ensure([_IMAGE], say=lambda _text: None)
    try:
        containers.client().containers.run(
            _IMAGE,
            words if isinstance(words, list) else ["/bin/sh", "-c", str(words)],
            entrypoint=[],
            user="0",
            working_dir=command.get("cwd") or "/",
            environment={key: str(value) for key, value in (command.get("env") or {}).items()},
            volumes={volume: {"bind": path, "mode": "rw,nocopy"} for path, volume in folders.items()},
            network_mode="none",
            remove=True,
        )
    except docker.errors.ContainerError as error:
        return f"exit status {error.exit_status}: {(error.stderr or b'').decode(errors='replace').strip()[-500:]}"
    except docker.errors.APIError as error:
        return str(error.explanation or error)
    return None
