# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the services that stay containers visitors come to, and at which host ports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .hidden_door import hidden_door, opened
from .notes import Notes
from .problems import BerthError, listed, refuse
from .topology import front_door, published


class Wanted(Protocol):
    """What of a rendering's options says who the front door is: its name, and the port at which visitors come in, where that is known."""

    @property
    def front_door(self) -> str | None:
        """The service that is named."""

    @property
    def front_port(self) -> int | None:
        """The port."""


def chosen_door(stays: dict[str, dict[str, Any]], images: Mapping[str, str], options: Wanted, notes: Notes) -> str | None:
    """The service that visitors come to, open to them; None where there is none, or several stand side by side. Raises :class:`BerthError` for one that is
    named and cannot be it, and where two publish one host port.
    """
    door = (
        _asked_door(stays, options.front_door)
        or front_door(stays, images)
        or _own_door(stays, images, options)
        or _any_port_door(stays, images, options)
        or _behind_a_proxy(stays, images, options, notes)
    )
    _one_per_port(stays, door, notes)
    return door


def _asked_door(stays: dict[str, dict[str, Any]], name: str | None) -> str | None:
    """The front door that is named, open to visitors also where it was open to the developers' own machine alone."""
    if not name:
        return None
    if name not in stays:
        refuse(f"front_door: {name!r} is no service that stays a container ({listed(stays)})")
    if not published(stays[name], loopback=True):
        refuse(f"front_door: {name} publishes no port; name the one at which visitors reach it in the Compose file (ports:)")
    for port in stays[name]["ports"]:
        port.pop("host_ip", None)
    return name


def _own_door(stays: dict[str, dict[str, Any]], images: Mapping[str, str], options: Wanted) -> str | None:
    """Where a front port is asked for, and nothing is open to visitors: the one service that is open to the developers' own machine."""
    door = front_door(stays, images, loopback=True) if options.front_port is not None else None
    for port in stays[door].get("ports") or [] if door else []:
        port.pop("host_ip", None)
    return door


def _any_port_door(stays: dict[str, dict[str, Any]], images: Mapping[str, str], options: Wanted) -> str | None:
    """Where a front port is asked for, and no service names a host port: the one service that publishes its own at whichever is free (``ports: ["8080"]``)."""
    loose = [
        name for name, each in stays.items() if any(port.get("target") and not port.get("published") for port in each.get("ports") or [])
    ]
    if options.front_port is None or any(published(each, loopback=True) for each in stays.values()) or not loose:
        return None
    named = {name: [{**port, "published": str(port.get("published") or port["target"])} for port in stays[name]["ports"]] for name in loose}
    door = front_door({name: {**each, "ports": named.get(name, [])} for name, each in stays.items()}, images)
    if door:
        stays[door]["ports"] = named[door]
    return door


def _behind_a_proxy(stays: dict[str, dict[str, Any]], images: Mapping[str, str], options: Wanted, notes: Notes) -> str | None:
    """Where a front port is asked for, and no service publishes one: whom a proxy that is not in the Compose file leads visitors to."""
    door = hidden_door(stays, images) if options.front_port is not None else None
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
