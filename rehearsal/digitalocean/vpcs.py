"""VPCs: networks that only droplets and load balancers of the VPC are in."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import docker.errors
from docker.types import IPAMConfig, IPAMPool

from .. import containers
from . import catalog
from .routing import Answer, ApiError, Call, Cloud, new_id, now, refused, route

_NAME = re.compile(r"[A-Za-z0-9.-]{1,255}")
# Told by the API where nobody asks for a range.
_DEFAULT = "10.110.0.0/20"


def network_name(uid: str) -> str:
    """The engine's network behind a VPC."""
    return containers.full_name(f"vpc-{uid[:8]}")


def _connect(uid: str, network: ipaddress.IPv4Network) -> None:
    settings = IPAMConfig(pool_configs=[IPAMPool(subnet=str(network))])
    labels = containers.labels("vpc")
    containers.client().networks.create(network_name(uid), driver="bridge", internal=True, ipam=settings, labels=labels)


def _taken(error: docker.errors.APIError) -> ApiError:
    return refused(
        f"This range/size overlaps with a network of this machine's Docker ({error.explanation}), such as another checkout's rehearsal. Take it "
        "away (there: make down), or give another digitalocean_ip_range"
    )


@route("GET", "/v2/vpcs")
def list_vpcs(call: Call) -> Answer:
    """VPCs."""
    return call.page("vpcs", call.cloud.all("vpcs").values())


@route("POST", "/v2/vpcs")
def create(call: Call) -> Answer:
    """Make a VPC."""
    name, region = call.need("name"), call.need("region")
    if not _NAME.fullmatch(name):
        raise refused("name can only contain alphanumeric characters, dashes, and periods")
    if catalog.region(region) is None:
        raise refused("region is invalid")
    if any(each["name"] == name for each in call.cloud.all("vpcs").values()):
        raise refused("name is already in use")
    given = call.body.get("ip_range") or _DEFAULT
    try:
        network = ipaddress.IPv4Network(given)
    except ValueError:
        raise refused(f"ip_range: {given} is not a valid network") from None
    if not network.is_private or not 16 <= network.prefixlen <= 28:
        raise refused("This range/size is not valid: it must be private, and between /28 and /16")
    for each in call.cloud.all("vpcs").values():
        if network.overlaps(ipaddress.IPv4Network(each["ip_range"])):
            raise refused("This range/size overlaps with another VPC network in your account")
    uid = new_id()
    try:
        _connect(uid, network)
    except docker.errors.APIError as error:
        # Ranges are an account's own at DigitalOcean; here, checkouts that are gone may have left theirs on the engine.
        if not containers.take_abandoned_networks():
            raise _taken(error) from None
        try:
            _connect(uid, network)
        except docker.errors.APIError as again:
            raise _taken(again) from None
    vpc = {
        "id": uid,
        "urn": f"do:vpc:{uid}",
        "name": name,
        "description": call.body.get("description") or "",
        "region": region,
        "ip_range": str(network),
        "default": not any(each["region"] == region for each in call.cloud.all("vpcs").values()),
        "created_at": now(),
    }
    call.cloud.all("vpcs")[uid] = vpc
    return 201, {"vpc": vpc}


@route("GET", "/v2/vpcs/<uid>")
def show(call: Call, uid: str) -> Answer:
    """A VPC."""
    return 200, {"vpc": call.cloud.get("vpcs", uid)}


@route("PUT", "/v2/vpcs/<uid>")
@route("PATCH", "/v2/vpcs/<uid>")
def update(call: Call, uid: str) -> Answer:
    """Rename or describe a VPC."""
    vpc = call.cloud.get("vpcs", uid)
    vpc.update({key: call.body[key] for key in ("name", "description") if key in call.body})
    return 200, {"vpc": vpc}


def members(cloud: Cloud, uid: str) -> list[str]:
    """The names of what is in a VPC, as URNs."""
    found = [f"do:droplet:{each['id']}" for each in cloud.all("droplets").values() if each["vpc_uuid"] == uid]
    return found + [f"do:loadbalancer:{each['id']}" for each in cloud.all("load_balancers").values() if each["vpc_uuid"] == uid]


@route("GET", "/v2/vpcs/<uid>/members")
def list_members(call: Call, uid: str) -> Answer:
    """What is in a VPC."""
    call.cloud.get("vpcs", uid)
    return call.page("members", [{"urn": urn, "name": urn, "created_at": now()} for urn in members(call.cloud, uid)])


@route("DELETE", "/v2/vpcs/<uid>")
def delete(call: Call, uid: str) -> Answer:
    """Take an empty VPC away."""
    call.cloud.get("vpcs", uid)
    if members(call.cloud, uid):
        raise ApiError(403, "forbidden", "Can not delete VPC with members")
    containers.client().networks.get(network_name(uid)).remove()
    del call.cloud.all("vpcs")[uid]
    return 204, None


def free_address(cloud: Cloud, vpc: dict[str, Any]) -> str:
    """An address of a VPC that nothing has."""
    used = {each["ip_address"] for droplet in cloud.all("droplets").values() for each in droplet["networks"]["v4"]}
    used |= {each.get("private_address") for each in cloud.all("balancer_machines").values()}
    hosts = ipaddress.IPv4Network(vpc["ip_range"]).hosts()
    next(hosts)  # the machine that the rehearsal runs on
    return next(str(each) for each in hosts if str(each) not in used)


def default_of(cloud: Cloud, region: str) -> dict[str, Any] | None:
    """A region's default VPC, or None where it has none yet."""
    return next((each for each in cloud.all("vpcs").values() if each["region"] == region and each["default"]), None)
