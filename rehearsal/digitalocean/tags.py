"""The names of tags, which every resource may bear."""

from __future__ import annotations

import re
from typing import Any

from .routing import Cloud, refused

_TAG = re.compile(r"[A-Za-z0-9_:-]{1,255}")


def check(cloud: Cloud, names: Any) -> list[str]:
    """Tags of a new resource; those that were unknown are made, as the API does."""
    found = [str(each) for each in names or []]
    for name in found:
        if not _TAG.fullmatch(name):
            raise refused(f"Tag name {name!r} is invalid: letters, numbers, colons, dashes and underscores")
        cloud.all("tags").setdefault(name, {"name": name})
    return found
