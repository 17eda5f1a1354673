# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Compose project at a glance: who is who, where it answers, and how its containers are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .compose import Project
from .databases import beside
from .topology import backing_of, backing_services, front_door, health_path, published

_COLUMNS = ("service", "state", "health", "image", "port", "url")


def overview(project: Project, containers: Iterable[Mapping[str, Any]] | None) -> dict[str, Any]:
    """What the module ``compose_app_info`` returns, and documents.

    ``containers``: what ``docker compose ps --format json`` lists, or None when nobody asked.
    """
    backing = backing_services(project.services, {}, ())
    app = {name: service for name, service in project.services.items() if name not in backing}
    door = front_door(app, {}, loopback=True)
    found = {str(each.get("Service")): each for each in containers or ()}
    services = []
    for name, service in sorted(project.services.items()):
        engine, container = backing.get(name), found.get(name, {})
        ports = [f"{port['published']}:{port['target']}" for port in service.get("ports") or [] if port.get("published")]
        services.append(
            {
                "name": name,
                "backing": engine.name if engine else None,
                "version": engine.version if engine else None,
                "built": bool(service.get("build")),
                "image": container.get("Image") or service.get("image"),
                "ports": ports,
                "state": None if containers is None else str(container.get("State") or "absent"),
                "health": str(container.get("Health") or ""),
            }
        )
    stores = backing_of(project.services, {name: engine.name if engine else "" for name, engine in backing.items()})
    url = _url(app[door]) if door else None
    path = health_path(app[door]) if door else ""
    return {
        "services": services,
        "databases": sorted({name for names in beside(project.services, app, stores).values() for name in names}),
        "front_door": door,
        "url": url,
        "health_path": path,
        "table": table(services, door, url),
    }


def _url(service: Mapping[str, Any]) -> str | None:
    """Where a service answers on its own machine; a port for the web is preferred."""
    ports = published(service, loopback=True)
    targets = {int(port["published"]): port for port in service.get("ports") or [] if str(port.get("published") or "").isdigit()}
    tcp = [port for port in ports if (targets[port].get("protocol") or "tcp") == "tcp"]
    if not tcp:
        return None
    chosen = next((port for port in tcp if targets[port]["target"] in (80, 8080, 3000)), tcp[0])
    scheme = "https" if targets[chosen]["target"] in (443, 8443) else "http"
    address = str(targets[chosen].get("host_ip") or "127.0.0.1")
    host = "127.0.0.1" if address in ("0.0.0.0", "::") else address
    return f"{scheme}://{host}" + ("" if (scheme, chosen) in (("http", 80), ("https", 443)) else f":{chosen}")


def table(services: Iterable[Mapping[str, Any]], door: str | None, url: str | None) -> list[str]:
    """The services as aligned lines, a heading first."""
    rows = [_COLUMNS]
    for each in services:
        rows.append(
            (
                each["name"],
                each["state"] or "",
                each["health"],
                each["image"] or "(built)",
                " ".join(each["ports"]),
                (url or "") if each["name"] == door else "",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
