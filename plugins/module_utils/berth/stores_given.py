# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stores to which there are connections, and which of an app's services they stand for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .connections import ENGINE_PORTS, Connection, read_connection
from .problems import listed, refuse
from .topology import backing_services, check_names


def connected(
    services: Mapping[str, Any], images: Mapping[str, str], told: Mapping[str, Any], *, keep: Collection[str], exclude: Collection[str]
) -> tuple[dict[str, Any], dict[str, str], dict[str, Connection]]:
    """The services with those stores that only connections are known of, the backing services that leave, with their engines, and the connections
    to where they went.

    ``images``: services' own, where they have another one than the Compose file's; ``told``: service, or slot, to connection; ``keep`` and ``exclude``:
    services that stay, and that are left out. Raises :class:`BerthError` for a connection that is none, or that nothing is known by.
    """
    given, services = dict(told), {**services, **_from_outside(services, images, told)}
    for name, entry in given.items():
        if not isinstance(entry, Mapping):
            refuse(f"connections.{name}: a connection is a dictionary with host, port and so on")
    found = backing_services(services, images, set(given) & set(services))
    for slot in [slot for slot in given if slot not in services]:
        # A slot's name stands for the one backing service of its engine.
        stay = {*keep, *exclude}
        kind = {"redis", "valkey"} if slot in ("redis", "valkey") else {slot}
        same = [name for name, engine in found.items() if engine and name not in stay and engine.name in kind]
        if len(same) > 1:
            refuse(f"connections: {listed(same)} are all of the kind {slot}; name the one that is meant, and keep or exclude the others")
        if not same and any(engine and engine.name in kind for engine in found.values()):
            # Who stays, or is left out, needs no way to where others of its kind went.
            del given[slot]
            continue
        if not same:
            check_names("connections", [slot], services)
        given[same[0]] = given.pop(slot)
    kept = [name for name in keep if name in given]
    if kept:
        refuse(f"keep: {kept[0]!r} has a connection too; it either stays a container or lives elsewhere")
    connections = {
        name: read_connection(name, entry, engine.name if (engine := found.get(name)) else None) for name, entry in given.items()
    }
    leave = {name: engine for name, engine in found.items() if name not in keep and name not in exclude}
    engines = {name: connections[name].engine if name in connections else engine.name if engine else "" for name, engine in leave.items()}
    return services, engines, connections


def _from_outside(services: Mapping[str, Any], images: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The stores that the Compose file has none of and there are connections to: an app may be told of them by its variables alone."""
    there = {engine.name for engine in backing_services(services, images, ()).values() if engine}
    there |= {"redis", "valkey"} if there & {"redis", "valkey"} else set()
    return {slot: {"image": slot} for slot in given if slot in ENGINE_PORTS and slot not in there and slot not in services}
