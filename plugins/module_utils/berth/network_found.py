# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What there is of a network, and what is there twice: a request whose answer got lost is asked again, and EC2 then makes a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .aws import side_by_side
from .network import PART_TAG, STACK_TAG
from .problems import BerthError

Thing = dict[str, Any]
_KINDS = (
    ("describe_subnets", "Subnets"),
    ("describe_vpcs", "Vpcs"),
    ("describe_internet_gateways", "InternetGateways"),
    ("describe_route_tables", "RouteTables"),
    ("describe_nat_gateways", "NatGateways"),
    ("describe_addresses", "Addresses"),
    ("describe_vpc_endpoints", "VpcEndpoints"),
    ("describe_security_groups", "SecurityGroups"),
)


class Found(NamedTuple):
    """What there is, by part. ``dns``: whether the VPC has its DNS names; ``addresses``: elastic IPs; ``surplus``: what is there twice.

    ``default_group``: the security group that every VPC comes with, which lets its members reach one another and everything.
    """

    vpc: Thing | None
    dns: bool
    subnets: dict[str, Thing]
    gateway: Thing | None
    nat: Thing | None
    addresses: list[Thing]
    tables: dict[str, Thing]
    groups: dict[str, Thing]
    endpoint: Thing | None
    surplus: list[tuple[str, Thing]]
    default_group: Thing | None


def part_of(thing: Thing) -> str:
    """Which part of the network a thing is, by its tag."""
    return next((str(tag["Value"]) for tag in thing.get("Tags", []) if tag["Key"] == PART_TAG), "")


def filters(name: str) -> list[Thing]:
    """By which everything of a network is found."""
    return [{"Name": f"tag:{STACK_TAG}", "Values": [name]}]


def look(client: Any, name: str) -> Found:
    """Everything that bears the network's tag. Raises :class:`BerthError` where two networks do."""

    def all_of(kind: tuple[str, str]) -> list[Thing]:
        operation, key = kind
        found: list[Thing] = getattr(client, operation)(aws_retry=True, Filters=filters(name))[key]
        # Looked at again, since what is not this network's may be removed on no account.
        return [each for each in found if {"Key": STACK_TAG, "Value": name} in each.get("Tags", [])]

    there = dict(zip((key for _operation, key in _KINDS), side_by_side(all_of, _KINDS), strict=True))
    surplus: list[tuple[str, Thing]] = []

    def one(kind: str, things: list[Thing], rank: Callable[[Thing], Any], identity: str) -> Thing | None:
        """The thing that is most in use; what is beside it, and in no use, is surplus."""
        ordered = sorted(things, key=lambda each: (rank(each), str(each[identity])), reverse=True)
        surplus.extend((kind, each) for each in ordered[1:] if not rank(each))
        return ordered[0] if ordered else None

    subnets = there["Subnets"]
    vpcs = there["Vpcs"]
    used = {each["VpcId"] for each in subnets}
    if len([each for each in vpcs if each["VpcId"] in used]) > 1:
        raise BerthError(f"name: {len(vpcs)} VPCs bear the tag {STACK_TAG}={name}; take it from all but the right one")
    gateway = one("internet gateway", there["InternetGateways"], lambda each: len(each["Attachments"]), "InternetGatewayId")
    vpc = one("VPC", vpcs, lambda each: each["VpcId"] in used or each["VpcId"] in _attached(gateway), "VpcId")
    tables: dict[str, Thing] = {}
    for part in sorted({part_of(each) for each in there["RouteTables"]}):
        same = [each for each in there["RouteTables"] if part_of(each) == part]
        best = one("route table", same, lambda each: len(each["Associations"]) + max(0, len(each["Routes"]) - 1), "RouteTableId")
        if best:
            tables[part] = best
    nats = [each for each in there["NatGateways"] if each["State"] in ("pending", "available")]
    nat = nats[0] if nats else None
    addresses = there["Addresses"]
    held = {each.get("AllocationId") for each in (nat or {}).get("NatGatewayAddresses", [])}
    spare = [each for each in addresses if each["AllocationId"] not in held]
    # Without a NAT gateway one is kept for it.
    surplus.extend(("elastic IP", each) for each in (spare if nat else spare[1:]))
    endpoints = [each for each in there["VpcEndpoints"] if str(each.get("State", "")).lower() != "deleted"]
    return Found(
        vpc,
        _has_dns(client, vpc["VpcId"]) if vpc else False,
        {part_of(each): each for each in subnets},
        gateway,
        nat,
        addresses,
        tables,
        {part_of(each): each for each in there["SecurityGroups"]},
        endpoints[0] if endpoints else None,
        surplus,
        default_group(client, vpc["VpcId"]) if vpc else None,
    )


def default_group(client: Any, vpc: str) -> Thing | None:
    """The group that a VPC came with, while it lets anything through."""
    asked = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    found = client.describe_security_groups(aws_retry=True, Filters=asked)["SecurityGroups"]
    return next((each for each in found if each["IpPermissions"] or each["IpPermissionsEgress"]), None)


def close(client: Any, group: Thing, aws_retry: bool = True) -> None:
    """Take a group's rules away."""
    for rules, revoke in (
        ("IpPermissions", client.revoke_security_group_ingress),
        ("IpPermissionsEgress", client.revoke_security_group_egress),
    ):
        if group[rules]:
            revoke(aws_retry=aws_retry, GroupId=group["GroupId"], IpPermissions=group[rules])


def _attached(gateway: Thing | None) -> Iterable[str]:
    return [each.get("VpcId", "") for each in (gateway or {}).get("Attachments", [])]


def _has_dns(client: Any, vpc: str) -> bool:
    asked = client.describe_vpc_attribute(aws_retry=True, VpcId=vpc, Attribute="enableDnsHostnames")
    return bool(asked["EnableDnsHostnames"]["Value"])


def remove(client: Any, kind: str, thing: Thing, aws_retry: bool = True) -> None:
    """Take away what is there twice. AWS refuses where it is in use after all."""
    del aws_retry  # as the client's own methods take it
    if kind == "VPC":
        client.delete_vpc(aws_retry=True, VpcId=thing["VpcId"])
    elif kind == "internet gateway":
        client.delete_internet_gateway(aws_retry=True, InternetGatewayId=thing["InternetGatewayId"])
    elif kind == "route table":
        client.delete_route_table(aws_retry=True, RouteTableId=thing["RouteTableId"])
    else:
        client.release_address(aws_retry=True, AllocationId=thing["AllocationId"])
