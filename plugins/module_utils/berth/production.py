# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Compose files of a project count in production."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .compose import DEFAULT_FILES, named_files, override_beside
from .images import engine_of
from .keepers import keeper

_WORDS = ("production", "prod")


class _Loader(yaml.SafeLoader):
    """Takes Compose's own tags, ``!reset`` and ``!override``, for what they stand before."""


def _untagged(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _untagged)


def production_files(directory: str) -> list[str]:
    """The Compose files of a project's production, by name; none where those count that Compose finds by itself.

    Those are the project's Compose file with its production file merged over it (``compose.production.yaml`` or ``compose.prod.yaml`` beside
    ``compose.yaml``); or that one alone, where it needs nothing of the other: each service has an image or a build of its own, no store is missing, and
    visitors find their way. Without one, the Compose file without its override (``compose.override.yaml``), which is for development, where it stands alone so.
    """
    folder = Path(directory)
    base = next((name for name in DEFAULT_FILES if (folder / name).is_file()), "")
    for name in [base] if base else DEFAULT_FILES:
        stem, _dot, extension = name.rpartition(".")
        for over in (f"{stem}.{word}.{extension}" for word in _WORDS):
            if (folder / over).is_file():
                return [over] if not base or _stands_alone(_services(folder / over), _services(folder / base)) else [base, over]
    if named_files(directory):
        return []
    for path in override_beside(str(folder / base)) if base else []:
        if _stands_alone(_services(folder / base), _services(Path(path))):
            return [base]
    return []


def _services(path: Path) -> dict[str, Any]:
    """The services of a Compose file, as far as it can be read; Compose itself says what is wrong with it."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    services = found.get("services") if isinstance(found, dict) else None
    return services if isinstance(services, dict) else {}


def _stands_alone(services: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether services need nothing of the other file's: each is complete, there are all stores, and visitors find their way where they do there."""
    return (
        bool(services)
        and all(map(_is_complete, services.values()))
        and {name for name, each in others.items() if _stores(each)} <= set(services)
        and (_is_visited(services) or not _is_visited(others))
    )


def _is_complete(service: Any) -> bool:
    if not isinstance(service, dict):
        return False
    build = service.get("build")
    return bool(service.get("image")) or isinstance(build, str) or (isinstance(build, dict) and bool(build.get("context")))


def _is_visited(services: Mapping[str, Any]) -> bool:
    """Whether a service publishes a port, or says to a proxy where it is."""
    return any(isinstance(each, dict) and (each.get("ports") or each.get("labels") or each.get("expose")) for each in services.values())


def _stores(service: Any) -> bool:
    image = str(service.get("image") or "") if isinstance(service, dict) else ""
    # postgres:${POSTGRES_VERSION:-17}-alpine
    image = re.sub(r"\$\{[^}]*\}|\$\w+", "any", image)
    return bool(engine_of(image) or keeper({}, image))
