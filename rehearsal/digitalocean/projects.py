"""Projects and reserved IPs."""

from __future__ import annotations

from typing import Any

from .. import containers
from . import catalog, firewalls, machines
from .droplets import action
from .routing import Answer, ApiError, Call, Cloud, new_id, now, refused, route


@route("GET", "/v2/projects")
def list_projects(call: Call) -> Answer:
    """Projects."""
    return call.page("projects", call.cloud.all("projects").values())


@route("POST", "/v2/projects")
def create_project(call: Call) -> Answer:
    """Make a project."""
    name, purpose, uid = call.need("name"), call.need("purpose"), new_id()
    if any(each["name"] == name for each in call.cloud.all("projects").values()):
        raise ApiError(409, "conflict", "name is already in use")
    default = next(iter(call.cloud.all("projects").values()))
    more = {key: call.body.get(key, "") for key in ("description", "environment")}
    project = {
        **default,
        "id": uid,
        "name": name,
        "purpose": purpose,
        **more,
        "is_default": False,
        "created_at": now(),
        "updated_at": now(),
    }
    call.cloud.all("projects")[uid] = project
    return 201, {"project": project}


@route("GET", "/v2/projects/<uid>")
def show_project(call: Call, uid: str) -> Answer:
    """A project; ``default`` is the account's first."""
    if uid == "default":
        return 200, {"project": next(each for each in call.cloud.all("projects").values() if each["is_default"])}
    return 200, {"project": call.cloud.get("projects", uid)}


@route("DELETE", "/v2/projects/<uid>")
def delete_project(call: Call, uid: str) -> Answer:
    """Take an empty project away."""
    call.cloud.get("projects", uid)
    if uid in [str(each) for each in call.cloud.all("assignments").values()]:
        raise ApiError(412, "precondition_failed", "cannot delete a project with resources. Move or remove all resources first.")
    del call.cloud.all("projects")[uid]
    return 204, None


@route("GET", "/v2/projects/<uid>/resources")
def project_resources(call: Call, uid: str) -> Answer:
    """What is in a project."""
    call.cloud.get("projects", uid)
    held = [urn for urn, project in call.cloud.all("assignments").items() if str(project) == uid]
    return call.page("resources", [{"urn": urn, "assigned_at": now(), "status": "ok"} for urn in held])


@route("POST", "/v2/projects/<uid>/resources")
def assign_resources(call: Call, uid: str) -> Answer:
    """Move things into a project."""
    call.cloud.get("projects", uid)
    assignments: dict[Any, Any] = call.cloud.all("assignments")
    given = call.need("resources", list)
    assignments.update({str(urn): uid for urn in given})
    return 200, {"resources": [{"urn": urn, "assigned_at": now(), "status": "assigned"} for urn in given]}


@route("GET", "/v2/reserved_ips")
def list_reserved(call: Call) -> Answer:
    """Reserved IPs."""
    return call.page("reserved_ips", [_reserved(call.cloud, each) for each in call.cloud.all("reserved").values()])


def _reserved(cloud: Cloud, entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "droplet": cloud.all("droplets").get(entry["droplet"])}


@route("POST", "/v2/reserved_ips")
def reserve(call: Call) -> Answer:
    """Reserve an address, and lead it to a droplet where one is named."""
    region = call.body.get("region")
    droplet = call.body.get("droplet_id")
    if droplet:
        region = call.cloud.get("droplets", int(droplet))["region"]["slug"]
    if not region or catalog.region(region) is None:
        raise refused("You must specify a droplet_id or a region")
    if len(call.cloud.all("reserved")) >= 3:
        raise refused("You have reached your reserved IP limit")
    address = containers.free_address()
    entry = {"ip": address, "region": catalog.region(region), "droplet": None, "locked": False, "project_id": new_id()}
    call.cloud.all("reserved")[address] = entry
    if droplet:
        _lead(call.cloud, entry, int(droplet))
    return 202, {"reserved_ip": _reserved(call.cloud, entry), "links": {}}


def _lead(cloud: Cloud, entry: dict[str, Any], droplet: int | None) -> None:
    """Let a reserved address be a droplet's, and no other one's."""
    if entry["droplet"] in cloud.all("droplets"):
        machines.answer_to(entry["droplet"], entry["ip"], yes=False)
    entry["droplet"] = droplet
    if droplet is not None:
        machines.answer_to(droplet, entry["ip"], yes=True)
    firewalls.refresh(cloud)


@route("POST", "/v2/reserved_ips/<address>/actions")
def act(call: Call, address: str) -> Answer:
    """Lead a reserved address to a droplet, or to none."""
    entry, kind = call.cloud.get("reserved", address), call.need("type")
    if kind not in ("assign", "unassign"):
        raise refused(f"{kind} is no action of a reserved IP")
    droplet = call.cloud.get("droplets", int(call.need("droplet_id", int))) if kind == "assign" else None
    if droplet is not None and droplet["region"]["slug"] != entry["region"]["slug"]:
        raise refused("The droplet and the reserved IP are in different regions.")
    number = None if droplet is None else int(droplet["id"])
    work = action(call.cloud, kind, None, "reserved_ip", entry["region"]["slug"], lambda: _lead(call.cloud, entry, number))
    return 201, {"action": work}


@route("DELETE", "/v2/reserved_ips/<address>")
def release(call: Call, address: str) -> Answer:
    """Give a reserved address back."""
    _lead(call.cloud, call.cloud.get("reserved", address), None)
    del call.cloud.all("reserved")[address]
    return 204, None
