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


def base_image(build: Mapping[str, Any]) -> str | None:
    """What a build's last stage is FROM, or None when no Dockerfile can be read."""
    text = build.get("dockerfile_inline")
    if text is None:
        path = os.path.join(str(build.get("context") or "."), str(build.get("dockerfile") or "Dockerfile"))
        text = read_text(path)
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
