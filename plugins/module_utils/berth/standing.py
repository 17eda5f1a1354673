# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the services of a release stand: which of them run to an end, and what their containers come to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .serving import ends

_DONE = "Exited (0)"
_ONCE = frozenset(
    "migrate migration migrations migrator seed seeds seeder init initializer setup provision createbucket createbuckets".split()
)
# How long Docker says that a container has run without a break, where that is less than a minute.
_JUST_BEGUN = re.compile(r"Up (?:Less than a second|(\d+) seconds?)")


def restarts(service: Mapping[str, Any]) -> str | None:
    """When a service is started again, in Docker's words; None where its Compose file does not say.

    Source: https://github.com/compose-spec/compose-spec/blob/main/deploy.md#restart_policy
    """
    policy = (service.get("deploy") or {}).get("restart_policy") or {}
    most = policy.get("max_attempts")
    said = {"none": "no", "on-failure": f"on-failure:{most}" if most else "on-failure"}.get(str(policy.get("condition") or ""))
    given: str | None = service.get("restart") or said
    return given


def one_shots(services: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The services that run to an end, such as a migration: awaited as that, not to be started again where nobody speaks to them, or what says
    nothing of restarts and is called so, or copies files alone.

    ``services``: those of a Compose model, as ``docker compose config`` has them.
    """
    awaited = {
        other
        for service in services.values()
        for other, condition in (service.get("depends_on") or {}).items()
        if (condition or {}).get("condition") == "service_completed_successfully"
    }
    return {
        name
        for name, service in services.items()
        if name in awaited or (restarts(service) == "no" and not _is_asked(service)) or _is_known_to_end(name, service)
    }


def _is_asked(service: Mapping[str, Any]) -> bool:
    """Whether anybody speaks to a service, so that it runs on whatever it says of restarts: on a laptop nobody wants it started again."""
    check = service.get("healthcheck") or {}
    return bool(service.get("ports") or (check.get("test") and not check.get("disable")))


def _is_known_to_end(name: str, service: Mapping[str, Any]) -> bool:
    """Whether a service is called or does what runs once, and says nothing by which it would run on. Compose would not start it again either."""
    says = restarts(service) or service.get("ports") or service.get("healthcheck")
    return not says and (bool(_ONCE & set(re.split(r"[^a-z]+", name.lower()))) or ends(service))


def once_for_all(services: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Those of the one-shots that one of several machines runs for all, such as a migration: they change nothing on the machine itself.

    ``services``: those of a production model. What fills a volume or a folder for another service, writes into the machine's own folders, has
    its privileges or its network, or is more to another service than what it waits for, runs on each.
    """
    found = {name for name in one_shots(services) if not _changes_its_machine(name, services)}
    return found if len(found) < len(services) else set()


def _changes_its_machine(name: str, services: Mapping[str, Mapping[str, Any]]) -> bool:
    service = services[name]
    if service.get("privileged") or "host" in (service.get(each) for each in ("network_mode", "pid", "ipc")):
        return True
    others = [each for other, each in services.items() if other != name]
    if service.get("volumes_from") or any(_needs_beside(each, name) for each in others):
        return True
    seen = [volume["source"] for each in others for volume in each.get("volumes") or [] if volume.get("source")]
    written = [each for each in service.get("volumes") or [] if each.get("source") and not each.get("read_only")]
    return any(
        (each["type"] == "bind" and not each["source"].startswith("."))
        or any(each["source"] == other or _within(other, each["source"]) or _within(each["source"], other) for other in seen)
        for each in written
    )


def _needs_beside(service: Mapping[str, Any], name: str) -> bool:
    """Whether a service cannot begin on a machine that lacks another one's container."""
    shared = [service.get(each) for each in ("network_mode", "pid", "ipc")]
    named = [*(service.get("links") or []), *(service.get("volumes_from") or [])]
    return f"service:{name}" in shared or any(str(each).split(":")[0] == name for each in named)


def _within(path: str, folder: str) -> bool:
    """Whether a path of the project is in a folder of it: ``.`` is the project itself."""
    return path.startswith("./") and folder.startswith(".") and (folder == "." or path.startswith(f"{folder}/"))


def look(
    services: Mapping[str, Mapping[str, Any]], containers: Sequence[Mapping[str, str]], door: str | None = None, settle: int = 1
) -> tuple[dict[str, str], dict[str, str]]:
    """What is not there yet, and what will not be: service to reason, each.

    ``containers``: those of the release, as ``docker ps`` has them: service, state, status. ``door``: a service that is asked itself, and need
    not have run for a while. ``settle``: the seconds after which one that says nothing of its health is believed to be well.
    """
    waiting, failed, once = {}, {}, one_shots(services)
    for name, service in services.items():
        mine = [each for each in containers if each["service"] == name]
        if len(mine) < _wanted(service):
            waiting[name] = "has not been started"
        for each in mine:
            state, status = each["state"], each["status"]
            if "(unhealthy)" in status:
                failed[name] = "is unhealthy"
            elif name in once:
                if state == "exited" and not status.startswith(_DONE):
                    failed[name] = f"ended ({status})"
                elif state != "exited":
                    waiting[name] = f"has not ended ({status})"
            elif state == "exited" and status.startswith(_DONE) and (restarts(service) or "").startswith("on-failure"):
                # It says itself that it may end well.
                continue
            elif state in ("exited", "dead"):
                failed[name] = f"ended ({status})"
            elif state != "running" or "health: starting" in status or (name != door and _fresh(status, settle)):
                waiting[name] = status or state
    return waiting, failed


def _fresh(status: str, seconds: int) -> bool:
    found = _JUST_BEGUN.match(status)
    return found is not None and int(found[1] or 0) < seconds and "(healthy)" not in status


def _wanted(service: Mapping[str, Any]) -> int:
    given = (service.get("deploy") or {}).get("replicas", service.get("scale"))
    return 1 if given is None else int(given)
