# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would answer HTTPS by itself, behind who does that for it: FrankenPHP and Caddy, where a variable names whom they serve, and ASP.NET. Pure."""

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
# https://learn.microsoft.com/aspnet/core/fundamentals/servers/kestrel/endpoints
_KESTREL_PORTS, _KESTREL_URLS = "ASPNETCORE_HTTPS_PORTS", "ASPNETCORE_URLS"
_CERTIFICATE = re.compile(r"Kestrel__(?:Certificates|Endpoints)__", re.IGNORECASE)


def serve_plainly(door: str, service: Mapping[str, Any], image: str, bindings: Bindings, given: Collection[str], notes: Notes) -> None:
    """Let the front door serve all who come by plain HTTP, where it would lead them to HTTPS, and those who come by another name nowhere.

    ``given``: the variables that are set from outside, which are left as they are.
    """
    value = bindings.environment.get(_VARIABLE) or ""
    runs = {basename(each) for each in (image, base_image(service.get("build") or {}) or "") if each}
    both = {int(port["target"]) for port in service.get("ports") or [] if port.get("target")} >= _WEB
    plain = all(re.fullmatch(r"(?:http://\S*|:80)", each) for each in re.split(r"[,\s]+", value.strip()))
    if not value or plain or _VARIABLE in given or not both or not (runs & _SERVERS or re.search(r",\s*\S+:80\b", value)):
        return
    bindings.environment[_VARIABLE] = ":80"
    notes.advise(
        f"{door}: {_VARIABLE} is :80 here, and not {value}, for which it would answer HTTPS by itself and lead all who come to that: HTTPS is answered "
        f"before it; {_VARIABLE} in app_env says otherwise"
    )


def without_certificate(bindings: Mapping[str, Bindings], given: Collection[str], notes: Notes) -> None:
    """Let ASP.NET listen for plain HTTP alone where no variable says which certificate it has: on a developer's machine it finds one, and ends elsewhere.

    ``given``: the variables that are set from outside, which are left as they are.
    """
    changed = []
    for name, each in bindings.items():
        environment = each.environment
        urls = [url for url in re.split(r"\s*;\s*", environment.get(_KESTREL_URLS) or "") if url]
        plain = [url for url in urls if not url.lower().startswith("https:")]
        fewer = bool(plain) and plain != urls
        if any(_CERTIFICATE.search(variable) for variable in environment) or {_KESTREL_PORTS, _KESTREL_URLS} & set(given):
            continue
        if environment.get(_KESTREL_PORTS) or fewer:
            environment.pop(_KESTREL_PORTS, None)
            changed.append(name)
            if fewer:
                environment[_KESTREL_URLS] = ";".join(plain)
    if changed:
        notes.advise(
            f"{', '.join(changed)}: HTTPS is not listened for ({_KESTREL_PORTS}, {_KESTREL_URLS}), for which there is a certificate on a developer's machine "
            "alone: HTTPS is answered before it"
        )
