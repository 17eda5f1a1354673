# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The calls that keep a network. What it should be is in :mod:`network`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from . import network_found
from .network import PART_TAG, STACK_TAG, Group, Subnet, permission, rules_of
from .network_found import Found, Thing
from .problems import BerthError

_NAT_SECONDS = 300
_VPC_SECONDS = 60


class Builder:
    """Keeps one network. ``steps`` collects what was done, or in check mode would be; ``there``: whether there is a network."""

    def __init__(self, client: Any, name: str, tags: dict[str, str], check: bool) -> None:
        self.client, self.name, self.tags, self.check = client, name, tags, check
        self.steps: list[str] = []
        self.ids: dict[str, str] = {}
        self.cidr = ""
        self.there = False

    def _tagged(self, kind: str, part: str) -> list[Thing]:
        name = self.name if part == "vpc" else f"{self.name}-{part}"
        tags = {**self.tags, STACK_TAG: self.name, PART_TAG: part, "Name": name}
        return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}]

    def look(self) -> Found:
        """Everything that bears the network's tag."""
        found = network_found.look(self.client, self.name)
        if found.vpc:
            self.there, self.cidr = True, str(found.vpc["CidrBlock"])
            self.ids["vpc"] = found.vpc["VpcId"]
        self.ids |= {part: subnet["SubnetId"] for part, subnet in found.subnets.items()}
        self.ids |= {f"group {part}": group["GroupId"] for part, group in found.groups.items()}
        return found

    def _make(self, key: str, what: str, call: Callable[[], str], placeholder: str) -> str:
        """Make a thing, or in check mode only say so."""
        self.steps.append(f"make {what}")
        self.there = True
        self.ids[key] = placeholder if self.check else call()
        return self.ids[key]

    def _do(self, what: str, call: Callable[..., Any], **given: Any) -> None:
        """Call AWS, or in check mode only say so."""
        self.steps.append(what)
        if not self.check:
            call(aws_retry=True, **given)

    def keep(self, found: Found, subnets: Sequence[Subnet], cidr: str, nat: bool, groups: Sequence[Group]) -> None:
        """Bring what there is to what there should be. Raises :class:`BerthError` for what cannot be changed."""
        client = self.client
        if found.vpc and found.vpc["CidrBlock"] != cidr:
            raise BerthError(f"cidr: {self.name} has {found.vpc['CidrBlock']}, and a network's addresses cannot be changed to {cidr}")
        for each in subnets:
            there = found.subnets.get(each.part)
            if there and (there["CidrBlock"], there["AvailabilityZone"]) != (each.cidr, each.zone):
                raise BerthError(
                    f"zones: subnet {each.part} is {there['CidrBlock']} in {there['AvailabilityZone']}, and cannot become {each}"
                )
        self.cidr = cidr
        self._clear(found)
        if not found.vpc:
            self._make("vpc", f"VPC {cidr}", self._make_vpc(cidr), "vpc-00000000")
        elif not found.dns:
            self._do("let machines have names", self._name_machines, vpc=self.ids["vpc"])
        if found.default_group:
            self._do("close the VPC's default security group", partial(network_found.close, self.client), group=found.default_group)
        gateway = self._gateway(found)
        for each in subnets:
            if each.part not in found.subnets:
                self._make(each.part, f"subnet {each.part} {each.cidr} in {each.zone}", self._make_subnet(each), f"subnet-{each.part}")
        nat_id = self._nat(found, nat, subnets)
        tables = [
            self._table(found, "public", [each.part for each in subnets if each.public], {"GatewayId": gateway}),
            self._table(found, "private", [each.part for each in subnets if not each.public], {"NatGatewayId": nat_id} if nat_id else None),
        ]
        if not found.endpoint:
            region = subnets[0].zone.rstrip("abcdef")
            service = f"com.amazonaws.{region}.s3"
            tags = self._tagged("vpc-endpoint", "s3")
            given = {"VpcId": self.ids["vpc"], "ServiceName": service, "RouteTableIds": tables, "VpcEndpointType": "Gateway"}
            self._do("make a gateway endpoint for S3", client.create_vpc_endpoint, **given, TagSpecifications=tags)
        self._groups(found, groups)

    def _make_vpc(self, cidr: str) -> Callable[[], str]:
        def make() -> str:
            tags = self._tagged("vpc", "vpc")
            vpc = str(self.client.create_vpc(aws_retry=True, CidrBlock=cidr, TagSpecifications=tags)["Vpc"]["VpcId"])
            # Not by botocore's waiter, which gives up where a new VPC is not found yet.
            end = time.monotonic() + _VPC_SECONDS
            while self.client.describe_vpcs(aws_retry=True, VpcIds=[vpc])["Vpcs"][0]["State"] != "available" and time.monotonic() < end:
                time.sleep(1)
            self._name_machines(vpc)
            group = network_found.default_group(self.client, vpc)
            if group:
                network_found.close(self.client, group)
            return vpc

        return make

    def _name_machines(self, vpc: str, aws_retry: bool = True) -> None:
        # The second says that both are done.
        for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
            self.client.modify_vpc_attribute(aws_retry=aws_retry, VpcId=vpc, **{attribute: {"Value": True}})

    def _clear(self, found: Found) -> None:
        for kind, thing in found.surplus:
            self._do(f"remove a second {kind} that an interrupted run left", partial(network_found.remove, self.client, kind), thing=thing)

    def _make_subnet(self, subnet: Subnet) -> Callable[[], str]:
        def make() -> str:
            tags = self._tagged("subnet", subnet.part)
            answer = self.client.create_subnet(
                aws_retry=True, VpcId=self.ids["vpc"], CidrBlock=subnet.cidr, AvailabilityZone=subnet.zone, TagSpecifications=tags
            )
            return str(answer["Subnet"]["SubnetId"])

        return make

    def _gateway(self, found: Found) -> str:
        client = self.client
        if found.gateway:
            gateway = str(found.gateway["InternetGatewayId"])
        else:
            tags = self._tagged("internet-gateway", "internet")

            def make() -> str:
                return str(client.create_internet_gateway(aws_retry=True, TagSpecifications=tags)["InternetGateway"]["InternetGatewayId"])

            gateway = self._make("internet", "an internet gateway", make, "igw-00000000")
        if not (found.gateway or {}).get("Attachments"):
            self._do("attach the internet gateway", client.attach_internet_gateway, InternetGatewayId=gateway, VpcId=self.ids["vpc"])
        return gateway

    def _nat(self, found: Found, wanted: bool, subnets: Sequence[Subnet]) -> str | None:
        client = self.client
        if found.nat and not wanted:
            self._do("remove the NAT gateway", self._remove_nat, nat=found.nat)
            return None
        if found.nat or not wanted:
            if found.nat and found.nat["State"] == "pending" and not self.check:
                self._await_nat(str(found.nat["NatGatewayId"]))
            return str(found.nat["NatGatewayId"]) if found.nat else None

        def make() -> str:
            tags = self._tagged("elastic-ip", "nat")
            address = (
                found.addresses[0] if found.addresses else client.allocate_address(aws_retry=True, Domain="vpc", TagSpecifications=tags)
            )
            public = next(each.part for each in subnets if each.public)
            answer = client.create_nat_gateway(
                aws_retry=True,
                SubnetId=self.ids[public],
                AllocationId=address["AllocationId"],
                # Asked twice, it is made once.
                ClientToken=f"{self.name}-{address['AllocationId']}"[:64],
                TagSpecifications=self._tagged("natgateway", "nat"),
            )
            nat = str(answer["NatGateway"]["NatGatewayId"])
            self._await_nat(nat)
            return nat

        return self._make("nat", "a NAT gateway", make, "nat-00000000")

    def _await_nat(self, nat: str) -> None:
        self.client.get_waiter("nat_gateway_available").wait(NatGatewayIds=[nat], WaiterConfig={"Delay": 5, "MaxAttempts": 120})

    def _remove_nat(self, nat: Thing, aws_retry: bool = True) -> None:
        del aws_retry  # as the client's own methods take it
        self.client.delete_nat_gateway(aws_retry=True, NatGatewayId=nat["NatGatewayId"])
        end = time.monotonic() + _NAT_SECONDS
        while time.monotonic() < end:
            there = self.client.describe_nat_gateways(aws_retry=True, NatGatewayIds=[nat["NatGatewayId"]])["NatGateways"]
            if not there or there[0]["State"] == "deleted":
                break
            time.sleep(5)
        for address in self.client.describe_addresses(aws_retry=True, Filters=network_found.filters(self.name))["Addresses"]:
            self.client.release_address(aws_retry=True, AllocationId=address["AllocationId"])

    def _table(self, found: Found, part: str, subnets: Sequence[str], way_out: Thing | None) -> str:
        client, table = self.client, found.tables.get(f"routes-{part}")
        if table is None:
            given = {"VpcId": self.ids["vpc"], "TagSpecifications": self._tagged("route-table", f"routes-{part}")}

            def make() -> str:
                return str(client.create_route_table(aws_retry=True, **given)["RouteTable"]["RouteTableId"])

            identity = self._make(f"routes-{part}", f"the route table of the {part} subnets", make, "rtb-00000000")
        else:
            identity = str(table["RouteTableId"])
        routes = [each for each in (table or {}).get("Routes", []) if each.get("DestinationCidrBlock") == "0.0.0.0/0"]
        default = {"RouteTableId": identity, "DestinationCidrBlock": "0.0.0.0/0"}
        right = bool(routes and way_out and all(routes[0].get(key) == value for key, value in way_out.items()))
        if routes and not right:
            self._do(f"remove the {part} subnets' way out", client.delete_route, **default)
        if way_out and not right:
            self._do(f"route the {part} subnets out", client.create_route, **default, **way_out)
        joined = {each.get("SubnetId") for each in (table or {}).get("Associations", [])}
        for subnet in subnets:
            if self.ids[subnet] not in joined:
                self._do(f"let {subnet} use it", client.associate_route_table, RouteTableId=identity, SubnetId=self.ids[subnet])
        return identity

    def _groups(self, found: Found, groups: Sequence[Group]) -> None:
        client = self.client
        for group in groups:
            if group.part not in found.groups:
                self._make(f"group {group.part}", f"security group {group.part}", partial(self._make_group, group), f"sg-{group.part}")
        ids = {group.part: self.ids[f"group {group.part}"] for group in groups}
        parts = {identity: part for part, identity in ids.items()}
        for group in groups:
            has = rules_of(found.groups.get(group.part, {}), parts)
            wants = {(rule.port, rule.source): rule for rule in group.rules}
            for key in sorted(set(wants) - set(has)):
                rule = [permission(*key, ids, wants[key].why)]
                words = f"let {key[1]} reach port {key[0]} of {group.part}"
                self._do(words, client.authorize_security_group_ingress, GroupId=ids[group.part], IpPermissions=rule)
            for port, source in sorted(set(has) - set(wants)):
                if port == -1:
                    raise BerthError(f"security group {self.name}-{group.part} has a rule for {source} that Berth does not make; remove it")
                rule = [permission(port, source, ids, has[port, source])]
                words = f"let {source} no longer reach port {port} of {group.part}"
                self._do(words, client.revoke_security_group_ingress, GroupId=ids[group.part], IpPermissions=rule)

    def _make_group(self, group: Group) -> str:
        given = {"GroupName": f"{self.name}-{group.part}", "Description": group.description, "VpcId": self.ids["vpc"]}
        tags = self._tagged("security-group", group.part)
        return str(self.client.create_security_group(aws_retry=True, **given, TagSpecifications=tags)["GroupId"])

    def answer(self) -> Thing:
        """The network's ids."""
        return {
            "vpc_id": self.ids["vpc"],
            "cidr": self.cidr,
            "public_subnets": [self.ids[part] for part in sorted(self.ids) if part.startswith("public-")],
            "private_subnets": [self.ids[part] for part in sorted(self.ids) if part.startswith("private-")],
            "security_groups": {part.removeprefix("group "): value for part, value in self.ids.items() if part.startswith("group ")},
        }

    def remove(self) -> None:
        """Take everything away, in the order in which one lets go of the other."""
        found, client = self.look(), self.client
        self._clear(found)
        if found.nat:
            self._do("remove the NAT gateway", self._remove_nat, nat=found.nat)
        elif found.addresses:
            self._do("release the elastic IP", client.release_address, AllocationId=found.addresses[0]["AllocationId"])
        if found.endpoint:
            self._do("remove the endpoint for S3", client.delete_vpc_endpoints, VpcEndpointIds=[found.endpoint["VpcEndpointId"]])
        # Groups refer to one another: rules first.
        ids = {part: str(group["GroupId"]) for part, group in found.groups.items()}
        for part, group in found.groups.items():
            has = rules_of(group, {identity: part for part, identity in ids.items()})
            rules = [permission(port, source, ids, why) for (port, source), why in sorted(has.items()) if port >= 0]
            if rules:
                self._do(f"close {part}", client.revoke_security_group_ingress, GroupId=ids[part], IpPermissions=rules)
        for part, group in found.groups.items():
            self._do(f"remove security group {part}", client.delete_security_group, GroupId=group["GroupId"])
        for part, table in found.tables.items():
            for each in table.get("Associations", []):
                if each.get("SubnetId"):
                    self._do(f"part a subnet from {part}", client.disassociate_route_table, AssociationId=each["RouteTableAssociationId"])
        for part, subnet in found.subnets.items():
            self._do(f"remove subnet {part}", client.delete_subnet, SubnetId=subnet["SubnetId"])
        for part, table in found.tables.items():
            self._do(f"remove {part}", client.delete_route_table, RouteTableId=table["RouteTableId"])
        if found.gateway:
            gateway = found.gateway["InternetGatewayId"]
            for attachment in found.gateway.get("Attachments", []):
                given = {"InternetGatewayId": gateway, "VpcId": attachment["VpcId"]}
                self._do("detach the internet gateway", client.detach_internet_gateway, **given)
            self._do("remove the internet gateway", client.delete_internet_gateway, InternetGatewayId=gateway)
        if found.vpc:
            self._do("remove the VPC", client.delete_vpc, VpcId=found.vpc["VpcId"])
        self.there = False
