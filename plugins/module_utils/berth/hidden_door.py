# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The front door of an app whose own file publishes no port, since a proxy that is not in it leads visitors there: by labels, variables or
``expose``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .label_router import labels_of
from .label_routes import FIRST_PORT, FIRST_ROUTER, PORT, ROUTER, read_routes
from .release_model import WEB_PORTS
from .topology import Services, front_door, published


class Door(NamedTuple):
    """``name``: the service; ``port``: in its container; ``why``: what says so; ``others``: services that the proxy led visitors to as well."""

    name: str
    port: int
    why: str
    others: list[str]


def hidden_door(services: Services, images: Mapping[str, str]) -> Door | None:
    """Whom a proxy outside would lead visitors to; None where a service publishes a port, or nothing tells.

    Those that a label of Traefik's or Caddy's, or ``VIRTUAL_HOST``, gives a host come before those that only ``expose`` a port, and one at which the web
    is usual, since what is exposed may speak anything. Whom the proxy guards in a way that is not carried is none.
    """
    if any(published(service, loopback=True) for service in services.values()):
        return None
    ruled = {name: rule for name, service in services.items() if (rule := _rule(service))}
    routes = read_routes(services, "")
    guarded = routes.guarded
    ruled |= {route.service: "" for route in routes.found if route.service not in ruled}
    whole = {name: port for name, rule in ruled.items() if "Path" not in rule and name not in guarded and (port := _port(services[name]))}
    for route in routes.found:
        if route.port and not route.match.paths and route.service not in guarded:
            whole.setdefault(route.service, route.port)
    exposed = {name: port for name, service in services.items() if (port := _port(service)) in WEB_PORTS and port}
    for candidates, why in ((whole, "its labels or variables for a proxy say"), ({} if ruled else exposed, "its expose says")):
        opened = {name: {**service, "ports": [_open(candidates[name])] if name in candidates else []} for name, service in services.items()}
        door = front_door(opened, images) if candidates else None
        if door:
            return Door(door, candidates[door], why, sorted(set(ruled) - {door}))
    return None


def opened(service: Mapping[str, Any], port: int) -> dict[str, Any]:
    """A service that publishes the port at which visitors reach it."""
    return {**service, "ports": [_open(port)]}


def _open(port: int) -> dict[str, Any]:
    return {"mode": "ingress", "target": port, "published": str(port), "protocol": "tcp"}


def _rule(service: Mapping[str, Any]) -> str:
    rules = [
        text for label, text in labels_of(service).items() if (ROUTER.fullmatch(label) or FIRST_ROUTER.fullmatch(label)) and "Host" in text
    ]
    # The most of a host is what has no path beside it.
    return min(rules, key=lambda rule: "Path" in rule, default=str((service.get("environment") or {}).get("VIRTUAL_HOST") or ""))


def _port(service: Mapping[str, Any]) -> int | None:
    told: list[Any] = [text for label, text in labels_of(service).items() if PORT.fullmatch(label) or FIRST_PORT.fullmatch(label)]
    told += [(service.get("environment") or {}).get("VIRTUAL_PORT"), *(service.get("expose") or [])]
    numbers = [str(each).removesuffix("/tcp") for each in told if each is not None]
    return next((int(each) for each in numbers if each.isdigit()), None)
