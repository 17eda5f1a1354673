"""Droplets and their actions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .. import containers
from ..aws.clock import Stopwatch, later, seconds
from . import account, catalog, machines, tags, vpcs
from .routing import Answer, Call, Cloud, now, refused, route

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")


def action(cloud: Cloud, kind: str, resource: int | None, resource_type: str, region: str, work: Callable[[], None]) -> dict[str, Any]:
    """Begin an action that goes on in the background, and return it as the API tells it."""
    number = cloud.number()
    entry: dict[str, Any] = {
        "id": number,
        "status": "in-progress",
        "type": kind,
        "started_at": now(),
        "completed_at": None,
        "resource_id": resource,
        "resource_type": resource_type,
        "region": catalog.region(region),
        "region_slug": region,
    }
    cloud.all("actions")[number] = entry

    def run() -> None:
        watch = Stopwatch()
        work()
        watch.wait(seconds("digitalocean"))
        entry.update({"status": "completed", "completed_at": now()})

    later(run, failed=lambda _error: entry.update({"status": "errored", "completed_at": now()}))
    return entry


@route("GET", "/v2/droplets")
def list_droplets(call: Call) -> Answer:
    """Droplets, by tag or by name where asked so."""
    found = list(call.cloud.all("droplets").values())
    if call.query.get("tag_name"):
        found = [each for each in found if call.query["tag_name"] in each["tags"]]
    if call.query.get("name"):
        found = [each for each in found if each["name"] == call.query["name"]]
    return call.page("droplets", found)


@route("GET", "/v2/droplets/<int:number>")
def show(call: Call, number: int) -> Answer:
    """A droplet."""
    return 200, {"droplet": call.cloud.get("droplets", number)}


@route("POST", "/v2/droplets")
def create(call: Call) -> Answer:
    """Make one droplet, or several that differ by name."""
    several = call.body.get("names")
    names = several if several else [call.need("name")]
    cloud, size, image = call.cloud, catalog.size(call.need("size")), catalog.image(call.need("image", (str, int)))
    region = catalog.region(str(call.body.get("region") or "nyc3"))
    for name in names:
        if not _NAME.fullmatch(str(name)):
            raise refused("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
    if size is None:
        raise refused("You specified an invalid size for Droplet creation.")
    if image is None:
        raise refused("You specified an invalid image for Droplet creation.")
    if region is None:
        raise refused("You specified an invalid region for Droplet creation.")
    if not region["available"]:
        raise refused("The region is not available to this account.")
    if size["slug"] not in region["sizes"]:
        raise refused("Size is not available in this region.")
    if len(cloud.all("droplets")) + len(names) > 25:
        raise refused("creating this/these droplet(s) will exceed your droplet limit")
    vpc = _vpc(call, region["slug"])
    keys = []
    for wanted in call.body.get("ssh_keys") or []:
        key = account.key_of(cloud, wanted)
        if key is None:
            raise refused(f"{wanted} are invalid key identifiers for Droplet creation.")
        keys.append(key["public_key"])
    wanted_tags = tags.check(cloud, call.body.get("tags"))
    made, links = [], []
    for name in names:
        droplet = _document(cloud, str(name), size, image, region, vpc, wanted_tags)
        started = action(cloud, "create", droplet["id"], "droplet", region["slug"], _maker(cloud, droplet, keys, call.body))
        made.append(droplet)
        links.append({"id": started["id"], "rel": "create", "href": f"{call.url.rsplit('/', 1)[0]}/actions/{started['id']}"})
    return 202, {"droplets": made, "links": {"actions": links}} if several else {"droplet": made[0], "links": {"actions": links}}


def _vpc(call: Call, region: str) -> dict[str, Any]:
    wanted = call.body.get("vpc_uuid")
    if wanted:
        vpc = call.cloud.all("vpcs").get(wanted)
        if vpc is None or vpc["region"] != region:
            raise refused("vpc_uuid is not a VPC of this region")
        return vpc
    vpc = vpcs.default_of(call.cloud, region)
    if vpc is None:
        vpcs.create(Call(call.cloud, {}, {"name": f"default-{region}", "region": region}, call.url))
        vpc = vpcs.default_of(call.cloud, region)
    assert vpc is not None
    return vpc


def _document(
    cloud: Cloud, name: str, size: dict[str, Any], image: dict[str, Any], region: dict[str, Any], vpc: dict[str, Any], borne: list[str]
) -> dict[str, Any]:
    number = cloud.number()
    network = containers.network().attrs["IPAM"]["Config"][0]
    public = {"ip_address": containers.free_address(), "netmask": "255.255.0.0", "gateway": network.get("Gateway"), "type": "public"}
    private = {"ip_address": vpcs.free_address(cloud, vpc), "netmask": "255.255.240.0", "gateway": "", "type": "private"}
    droplet: dict[str, Any] = {
        "id": number,
        "name": name,
        **{key: size[key] for key in ("memory", "vcpus", "disk")},
        "disk_info": [{"type": "local", "size": {"amount": size["disk"], "unit": "gib"}}],
        "locked": True,
        "status": "new",
        "kernel": None,
        "created_at": now(),
        "features": ["private_networking"],
        "backup_ids": [],
        "next_backup_window": None,
        "snapshot_ids": [],
        "image": image,
        "volume_ids": [],
        "size": size,
        "size_slug": size["slug"],
        "networks": {"v4": [private, public], "v6": []},
        "region": region,
        "tags": borne,
        "vpc_uuid": vpc["id"],
    }
    cloud.all("droplets")[number] = droplet
    return droplet


def _maker(cloud: Cloud, droplet: dict[str, Any], keys: list[str], body: dict[str, Any]) -> Callable[[], None]:
    def make() -> None:
        machines.create(droplet, keys, str(body.get("user_data") or ""), vpcs.network_name(droplet["vpc_uuid"]))
        with cloud.lock:
            if droplet["id"] in cloud.all("droplets"):
                droplet.update({"status": "active", "locked": False})
                refresh(cloud)

    return make


def refresh(cloud: Cloud) -> None:
    """Let firewalls and load balancers see which droplets there are."""
    from . import balancers, firewalls

    firewalls.refresh(cloud)
    balancers.refresh(cloud)


def remove(cloud: Cloud, number: int) -> None:
    """Destroy a droplet. Its volumes stay."""
    for volume in cloud.all("volumes").values():
        if number in volume["droplet_ids"]:
            machines.detach(number, volume["_device"], volume["name"])
            volume["droplet_ids"] = []
    del cloud.all("droplets")[number]
    machines.remove(number)
    for kind in ("firewalls", "load_balancers"):
        for each in cloud.all(kind).values():
            each["droplet_ids"] = [other for other in each["droplet_ids"] if other != number]
    refresh(cloud)


@route("DELETE", "/v2/droplets/<int:number>")
def delete(call: Call, number: int) -> Answer:
    """Destroy a droplet."""
    call.cloud.get("droplets", number)
    remove(call.cloud, number)
    return 204, None


@route("DELETE", "/v2/droplets")
def delete_tagged(call: Call) -> Answer:
    """Destroy all droplets with a tag."""
    tag = call.query.get("tag_name")
    if not tag:
        raise refused("tag_name is required")
    for number in [each["id"] for each in call.cloud.all("droplets").values() if tag in each["tags"]]:
        remove(call.cloud, number)
    return 204, None


@route("GET", "/v2/droplets/<int:number>/neighbors")
def neighbors(call: Call, number: int) -> Answer:
    """Droplets on the same hardware: none."""
    call.cloud.get("droplets", number)
    return 200, {"droplets": []}


def _power(droplet: dict[str, Any], kind: str) -> Callable[[], None]:
    number = int(droplet["id"])

    def work() -> None:
        if kind in ("power_off", "shutdown", "power_cycle", "reboot"):
            machines.power(number, on=False, hard=kind in ("power_off", "power_cycle"))
            droplet["status"] = "off"
        if kind in ("power_on", "power_cycle", "reboot"):
            machines.power(number, on=True)
            machines.wait(next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == "public"))
            droplet["status"] = "active"

    return work


def _resize(call: Call, droplet: dict[str, Any]) -> Callable[[], None]:
    size = catalog.size(call.need("size"))
    if size is None or size["slug"] not in droplet["region"]["sizes"]:
        raise refused("Size is not available in this region.")
    if droplet["status"] != "off":
        raise refused("Droplet must be powered off in order to resize it.")
    if size["disk"] < droplet["disk"]:
        raise refused("This size is not available because it has a smaller disk.")

    def work() -> None:
        machines.resize(int(droplet["id"]), size["memory"])
        droplet.update({"size": size, "size_slug": size["slug"], "memory": size["memory"], "vcpus": size["vcpus"]})
        if call.body.get("disk"):
            droplet["disk"] = size["disk"]

    return work


@route("POST", "/v2/droplets/<int:number>/actions")
def act(call: Call, number: int) -> Answer:
    """Do something to a droplet."""
    droplet, kind = call.cloud.get("droplets", number), call.need("type")
    running = {each["resource_id"] for each in call.cloud.all("actions").values() if each["status"] == "in-progress"}
    if droplet["locked"] or number in running:
        raise refused("Droplet already has a pending event.")
    if kind == "rename":
        name = call.need("name")

        def work() -> None:
            droplet["name"] = name

    elif kind == "resize":
        work = _resize(call, droplet)
    elif kind in ("power_on", "power_off", "power_cycle", "reboot", "shutdown"):
        if kind == "power_on" and droplet["status"] == "active":
            raise refused("Droplet is already powered on.")
        if kind in ("power_off", "shutdown") and droplet["status"] == "off":
            raise refused("Droplet is already powered off.")
        work = _power(droplet, kind)
    else:
        raise refused(f"{kind} is not rehearsed")
    return 201, {"action": action(call.cloud, kind, number, "droplet", droplet["region"]["slug"], work)}


@route("GET", "/v2/droplets/<int:number>/actions")
def droplet_actions(call: Call, number: int) -> Answer:
    """A droplet's actions."""
    found = [each for each in call.cloud.all("actions").values() if (each["resource_type"], each["resource_id"]) == ("droplet", number)]
    return call.page("actions", reversed(found))


@route("GET", "/v2/droplets/<int:_number>/actions/<int:wanted>")
@route("GET", "/v2/actions/<int:wanted>")
def show_action(call: Call, wanted: int, _number: int = 0) -> Answer:
    """An action, and how far it is."""
    return 200, {"action": call.cloud.get("actions", wanted)}


@route("GET", "/v2/actions")
def list_actions(call: Call) -> Answer:
    """All actions, the newest first."""
    return call.page("actions", reversed(list(call.cloud.all("actions").values())))
