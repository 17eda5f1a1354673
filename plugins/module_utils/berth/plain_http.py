# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A front door that would answer HTTPS by itself, behind who does that for it: FrankenPHP and Caddy, where a variable names whom they serve. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from .bindings import Bindings
from .dockerfiles import base_image
from .images import basename
from .notes import Notes

# https://frankenphp.dev/docs/config/#environment-variables
_VARIABLE = "SERVER_NAME"
_SERVERS = frozenset({"frankenphp", "caddy"})
_WEB = {80, 443}


def serve_plainly(door: str, service: Mapping[str, Any], image: str, bindings: Bindings, given: Collection[str], notes: Notes) -> None:
    """Let the front door serve all who come by plain HTTP, where it would lead them to HTTPS, and those who come by another name nowhere.

    ``given``: the variables that are set from outside, which are left as they are.
    """
    value = bindings.environment.get(_VARIABLE) or ""
    runs = {basename(each) for each in (image, base_image(service.get("build") or {}) or "") if each}
    both = {int(port["target"]) for port in service.get("ports") or [] if port.get("target")} >= _WEB
    plain = all(re.fullmatch(r"(?:http://\S*|:80)", each) for each in re.split(r"[,\s]+", value.strip()))
    if not value or plain or _VARIABLE in given or not both or not (runs & _SERVERS or re.search(r":80\b", value)):
        return
    bindings.environment[_VARIABLE] = ":80"
    notes.advise(
        f"{door}: {_VARIABLE} is :80 here, and not {value}, for which it would answer HTTPS by itself and lead all who come to that: HTTPS is answered "
        f"before it; {_VARIABLE} in app_env says otherwise"
    )
