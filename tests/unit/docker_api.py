"""What a Docker's API answers, made of what tests say of its containers."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any


def listed(containers: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """As ``/containers/json`` lists them. ``containers``: name to state, status, release, project and service."""
    labels = {"release": "org.berth.release", "project": "com.docker.compose.project", "service": "com.docker.compose.service"}
    return [
        {
            "Names": [f"/{name}"],
            "State": each["state"],
            "Status": each["status"],
            "Labels": {label: each[key] for key, label in labels.items() if key in each},
        }
        for name, each in containers.items()
    ]


def container(path: str) -> str:
    """Which container a path of the API is of; empty where it is of none, or of all."""
    found = re.fullmatch(r"/containers/([^/]+)/json", path)
    return urllib.parse.unquote(found.group(1)) if found else ""


def labels(path: str) -> list[str]:
    """The labels by which a path of the API lists containers."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    found: list[str] = json.loads(query["filters"][0])["label"]
    return found
