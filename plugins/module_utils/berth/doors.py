# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the services that stay containers visitors come to, and at which host ports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .hidden_door import hidden_door, opened
from .notes import Notes
from .problems import BerthError, listed, refuse
from .topology import front_door, published


def chosen_door(
    stays: dict[str, dict[str, Any]], images: Mapping[str, str], asked: str | None, notes: Notes, *, visited: bool
) -> str | None:
    """The service that visitors come to, open to them; None where there is none, or several stand side by side. Raises :class:`BerthError` for one that is
    named and cannot be it, and where two publish one host port. ``asked``: the one that is named; ``visited``: visitors come by a port that is known, so
    that one is looked for which publishes none to them.
    """
    door = (
        _asked_door(stays, asked)
        or front_door(stays, images)
        or (visited and (_own_door(stays, images) or _any_port_door(stays, images) or _behind_a_proxy(stays, images, notes)))
        or None
    )
    _one_per_port(stays, door, notes)
    return door


def _asked_door(stays: dict[str, dict[str, Any]], name: str | None) -> str | None:
    """The front door that is named, open to visitors also where it was open to the developers' own machine alone."""
    if not name:
        return None
    if name not in stays:
        refuse(f"front_door: {name!r} is no service that stays a container ({listed(stays)})")
    stays[name]["ports"] = _with_host_ports(stays[name])
    if not published(stays[name], loopback=True):
        refuse(f"front_door: {name} publishes no port; name the one at which visitors reach it in the Compose file (ports:)")
    for port in stays[name]["ports"]:
        port.pop("host_ip", None)
    return name


def _own_door(stays: dict[str, dict[str, Any]], images: Mapping[str, str]) -> str | None:
    """Where nothing is open to visitors: the one service that is open to the developers' own machine."""
    door = front_door(stays, images, loopback=True)
    for port in stays[door].get("ports") or [] if door else []:
        port.pop("host_ip", None)
    return door


def _any_port_door(stays: dict[str, dict[str, Any]], images: Mapping[str, str]) -> str | None:
    """Where no service names a host port: the one service that publishes its own at whichever is free (``ports: ["8080"]``)."""
    if any(published(each, loopback=True) for each in stays.values()):
        return None
    named = {name: {**each, "ports": _with_host_ports(each)} for name, each in stays.items()}
    door = front_door(named, images)
    if door:
        stays[door] = named[door]
    return door


def _with_host_ports(service: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A service's ports, those without a host port at the container's own."""
    return [{**port, "published": str(port.get("published") or port["target"])} for port in service.get("ports") or []]


def _behind_a_proxy(stays: dict[str, dict[str, Any]], images: Mapping[str, str], notes: Notes) -> str | None:
    """Where no service publishes a port: whom a proxy that is not in the Compose file leads visitors to."""
    door = hidden_door(stays, images)
    if not door:
        return None
    stays[door.name] = opened(stays[door.name], door.port)
    notes.advise(f"{door.name}: no service publishes a port, so visitors are led to it, at port {door.port}, as {door.why}")
    if door.others:
        notes.advise(
            f"{listed(door.others)}: what a proxy outside led there is led to {door.name}; let a proxy of the app's own (nginx, Caddy, Traefik) lead it on"
        )
    return door.name


def _one_per_port(stays: dict[str, dict[str, Any]], door: str | None, notes: Notes) -> None:
    """Two containers cannot publish one host port: the front door keeps it; between others it is refused."""
    owners: dict[tuple[str, int], list[str]] = {}
    for name, service in stays.items():
        open_ports = published(service)
        for port in service.get("ports") or []:
            if str(port.get("published") or "").isdigit() and int(port["published"]) in open_ports:
                users = owners.setdefault((port.get("protocol") or "tcp", int(port["published"])), [])
                if name not in users:
                    users.append(name)
    for (protocol, number), users in sorted(owners.items()):
        if len(users) < 2:
            continue
        if door not in users:
            raise BerthError(
                f"services {listed(users)} all publish host port {number}/{protocol}, and none of them is clearly the front door; "
                "publish it from one of them, or leave the others out with exclude"
            )
        for name in users:
            if name != door:
                ports = stays[name]["ports"]
                stays[name]["ports"] = [port for port in ports if str(port.get("published")) != str(number)]
                notes.lose(name, f"host port {number}", f"{door}, the front door, publishes it")
