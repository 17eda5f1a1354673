# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of a stack as it should be: subnets over zones, gateways, and security groups that let only the app reach the data."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .problems import BerthError

# Tags by which everything is found again: whose it is, and which part.
STACK_TAG, PART_TAG = "berth:network", "berth:part"
_LETTERS = "abcdef"


class Subnet(NamedTuple):
    """A subnet: ``part`` names it (public-a), ``public`` says whether it routes to the internet gateway."""

    part: str
    cidr: str
    zone: str
    public: bool


class Rule(NamedTuple):
    """What a security group lets in: a TCP port, from a CIDR or from another group of the stack (by its part)."""

    port: int
    source: str
    why: str


class Group(NamedTuple):
    """A security group and what it lets in. All go out freely."""

    part: str
    description: str
    rules: tuple[Rule, ...]


def subnets(cidr: str, zones: Sequence[str]) -> list[Subnet]:
    """A public and a private subnet for each zone, a sixteenth of the network each.

    Raises :class:`BerthError` for a network that is none, is public, or is too small.
    """
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise BerthError(f"cidr: {cidr!r} is no network: {error}") from None
    if not network.is_private:
        raise BerthError(f"cidr: {cidr} is public; choose one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    if not 16 <= network.prefixlen <= 22:
        raise BerthError(f"cidr: {cidr} has a prefix of {network.prefixlen}; AWS and sixteen subnets need /16 to /22")
    if not 2 <= len(zones) <= 3:
        raise BerthError(f"zones: {len(zones)}; a load balancer and a database need 2, and 3 are the most")
    cut = list(network.subnets(prefixlen_diff=4))
    public = [Subnet(f"public-{_LETTERS[index]}", str(cut[index]), zone, True) for index, zone in enumerate(zones)]
    return public + [Subnet(f"private-{_LETTERS[index]}", str(cut[8 + index]), zone, False) for index, zone in enumerate(zones)]


def groups(visitors: Sequence[str], ports: Mapping[str, int]) -> list[Group]:
    """The security groups, those that others refer to first.

    Raises :class:`BerthError` for a visitor that is no CIDR.
    """
    for visitor in visitors:
        try:
            ipaddress.ip_network(visitor)
        except ValueError as error:
            raise BerthError(f"visitors: {visitor!r} is no CIDR: {error}") from None
    web = tuple(Rule(port, visitor, "visitors") for visitor in visitors for port in (80, 443))
    app = (Rule(80, "load-balancer", "the load balancer"),)
    stores = [Group(name, f"{name}, reached by the app alone", (Rule(port, "app", "the app"),)) for name, port in sorted(ports.items())]
    return [Group("load-balancer", "the load balancer", web), Group("app", "the app's instances", app), *stores]


def rules_of(group: Mapping[str, Any], parts: Mapping[str, str]) -> dict[tuple[int, str], str]:
    """What DescribeSecurityGroups tells of a group: (port, source) to description; ``parts``: group id to part.

    A rule that Berth does not make (another protocol, a range of ports) has the port -1.
    """
    found: dict[tuple[int, str], str] = {}
    for entry in group.get("IpPermissions", []):
        single = entry.get("IpProtocol") == "tcp" and entry.get("FromPort") == entry.get("ToPort")
        port = int(entry["FromPort"]) if single else -1
        sources = [(each["CidrIp"], each) for each in entry.get("IpRanges", [])]
        sources += [(each["CidrIpv6"], each) for each in entry.get("Ipv6Ranges", [])]
        sources += [(parts.get(each["GroupId"], each["GroupId"]), each) for each in entry.get("UserIdGroupPairs", [])]
        found.update({(port, source): str(each.get("Description") or "") for source, each in sources})
    return found


def permission(port: int, source: str, ids: Mapping[str, str], why: str = "") -> dict[str, Any]:
    """A rule as the API takes it; ``ids``: part to group id."""
    said = {"Description": why} if why else {}
    base: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    if source in ids:
        return base | {"UserIdGroupPairs": [{"GroupId": ids[source], **said}]}
    if ":" in source:
        return base | {"Ipv6Ranges": [{"CidrIpv6": source, **said}]}
    return base | {"IpRanges": [{"CidrIp": source, **said}]}
