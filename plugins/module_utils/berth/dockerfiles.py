# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an image is built from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

# A larger file is no configuration.
_MOST_BYTES = 65536


def _text(build: Mapping[str, Any]) -> str | None:
    text = build.get("dockerfile_inline")
    if text is not None:
        return str(text)
    return read_text(os.path.join(str(build.get("context") or "."), str(build.get("dockerfile") or "Dockerfile")))


def working_folder(build: Mapping[str, Any]) -> str | None:
    """The absolute path where the image that is built has its program, as far as its Dockerfile says so, or None."""
    found: dict[str, str] = {}
    stage = ""
    for word, rest in re.findall(r"(?im)^\s*(FROM|WORKDIR)\s+(.*?)\s*$", _text(build) or ""):
        if word.upper() == "WORKDIR":
            found[stage] = os.path.normpath(os.path.join(found.get(stage, "/"), rest.strip("\"'")))
            continue
        names = re.match(r"(?i)(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", rest)
        stage, before = str(names and (names[2] or names[1])).lower(), str(names and names[1]).lower()
        if before in found:
            found[stage] = found[before]
    folder = found.get(str(build.get("target") or "").lower() or stage)
    return folder if folder and "$" not in folder else None


def base_image(build: Mapping[str, Any]) -> str | None:
    """What a build's last stage is FROM, or None when no Dockerfile can be read."""
    text = _text(build)
    stages: dict[str, str] = {}
    last = None
    for image, alias in re.findall(r"(?im)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", text or ""):
        last = stages.get(image.lower(), image)
        if alias:
            stages[alias.lower()] = last
    return stages.get(str(build.get("target") or "").lower(), last)


def read_text(path: str) -> str | None:
    """A small text file's content, or None when it cannot be read as such."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MOST_BYTES:
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None
