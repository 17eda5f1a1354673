# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a release's containers come up on a machine, and what it says of those that do not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from . import standing
from .machine_docker import command, reason
from .release_model import EDGE_NETWORK

if TYPE_CHECKING:
    from .release_machine import Machine

_WAIT_SECONDS = 0.1
# Docker waits ever longer in between: a minute has passed by then, in which what a service waits for came, or will not.
_MOST_RESTARTS = 9
_ONCE = '; if it is to run once, say so with restart: "no" in the Compose file'
# By timeout, whose own and whose signal's code these are.
_KILLED = (124, 137)


class Obstacle(NamedTuple):
    """What keeps a release from coming up, and the services that it is of, where that is known."""

    said: str
    services: tuple[str, ...] = ()


def come_up(machine: Machine) -> Obstacle | None:
    """Start the wanted release's containers, and wait until they are up and its front door answers.

    Returns what stands in the way of that, or None.
    """
    release, seconds, door = machine.params["release"], machine.params["wait_timeout"], machine.params["front_door"]
    end = time.monotonic() + seconds
    # Compose's own --wait looks every half second, and the first time after one. A migration is waited for here.
    bound = ("timeout", "--kill-after", "10", str(seconds))
    code, out, err = machine.run([*bound, *command(*machine.compose(release, "up", "--detach", "--no-build"))])
    if code not in (0, *_KILLED):
        return Obstacle(reason(out, err))
    services = machine.services(release)
    while True:
        mine = machine.found().get(release, [])
        missing, failed = standing.look(services, mine, door, machine.params["settle"])
        failed = failed or _hopeless(machine, mine)
        if failed:
            return Obstacle(_told(failed), tuple(failed))
        if not missing and door:
            missing = _closed(machine, door, [each["name"] for each in mine if each["service"] == door])
        if not missing:
            return None
        if time.monotonic() > end:
            missing |= _unsteady(machine, missing, mine)
            return Obstacle(f"within {seconds} s (app_compose_timeout) it did not come up: {_told(missing)}", tuple(missing))
        time.sleep(_WAIT_SECONDS)


def _hopeless(machine: Machine, containers: list[dict[str, Any]]) -> dict[str, str]:
    """Which services have ended so often that they are not waited for any longer."""
    found, ended = {}, machine.docker.ended(containers, _MOST_RESTARTS)
    for each in containers:
        if each["name"] in ended:
            hint = _ONCE if "(0)" in each["status"] else ""
            found[each["service"]] = f"ended {ended[each['name']]} times ({each['status']}{hint})"
    return found


def _unsteady(machine: Machine, missing: Mapping[str, str], containers: list[dict[str, Any]]) -> dict[str, str]:
    """Which of the missing services run for a while, and end again."""
    ended = machine.docker.ended(containers, 1, ("restarting", "running"))
    mine = [each for each in containers if each["name"] in ended and each["service"] in missing]
    often = {name: "once" if times == 1 else f"{times} times" for name, times in ended.items()}
    return {each["service"]: f"{missing[each['service']]}, and has ended {often[each['name']]}" for each in mine}


def _closed(machine: Machine, door: str, containers: list[str]) -> dict[str, str]:
    """Why visitors cannot be led to the front door yet: asked itself, before they are. ``containers``: its own."""
    networks = [(machine.docker.container(each).get("NetworkSettings") or {}).get("Networks") or {} for each in containers]
    addresses = [str((each.get(EDGE_NETWORK) or {}).get("IPAddress") or "") for each in networks]
    # One that ends and is started again has none in between.
    if not addresses or not all(addresses):
        return {door: "ends again and again"}
    said = [each for each in (machine.edge.asked(address, machine.params["port"]) for address in addresses) if each]
    return {door: f"answers {machine.params['health_path']} with {said[0]}"} if said else {}


def _told(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {reason}" for name, reason in reasons.items())
