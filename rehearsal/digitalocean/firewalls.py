"""Firewalls: what reaches a droplet and what leaves it. Each droplet's packets are really filtered, outside of what it filters itself."""

from __future__ import annotations

import re
from typing import Any

from . import machines, tags
from .routing import Answer, ApiError, Call, Cloud, is_network, new_id, now, refused, route

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_PORTS = re.compile(r"\d{1,5}(-\d{1,5})?")
_applied: dict[int, str] = {}


def _check(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    """A firewall's rules and targets as they are kept. Raises :class:`ApiError` for what the API refuses."""
    if not _NAME.fullmatch(str(body.get("name") or "")):
        raise refused("name must contain alphanumeric characters, dashes and periods only")
    kept: dict[str, Any] = {"name": body["name"]}
    for direction, ends in (("inbound_rules", "sources"), ("outbound_rules", "destinations")):
        rules = []
        for rule in body.get(direction) or []:
            protocol, ports = rule.get("protocol"), str(rule.get("ports") or "")
            if protocol not in ("tcp", "udp", "icmp"):
                raise refused("protocol must be tcp, udp or icmp")
            if protocol != "icmp" and not (ports in ("0", "all") or _PORTS.fullmatch(ports)):
                raise refused(f"ports: {ports!r} is not valid")
            there = rule.get(ends) or {}
            if not any(there.get(key) for key in ("addresses", "droplet_ids", "tags", "load_balancer_uids", "kubernetes_ids")):
                raise refused(f"{ends} must name at least one of addresses, droplet_ids, tags, load_balancer_uids")
            for each in there.get("addresses") or []:
                if not is_network(each):
                    raise refused(f"{each} is not an address or a network")
            for tag in there.get("tags") or []:
                cloud.get("tags", tag)
            rules.append({"protocol": protocol, "ports": "0" if ports in ("0", "all") or protocol == "icmp" else ports, ends: there})
        kept[direction] = rules
    if not kept["inbound_rules"] and not kept["outbound_rules"]:
        raise refused("at least one rule is required")
    kept["droplet_ids"] = [int(each) for each in body.get("droplet_ids") or []]
    for number in kept["droplet_ids"]:
        cloud.get("droplets", number)
    kept["tags"] = [str(each) for each in body.get("tags") or []]
    for tag in kept["tags"]:
        cloud.get("tags", tag)
    return kept


@route("GET", "/v2/firewalls")
def list_firewalls(call: Call) -> Answer:
    """Firewalls."""
    return call.page("firewalls", call.cloud.all("firewalls").values())


@route("POST", "/v2/firewalls")
def create(call: Call) -> Answer:
    """Make a firewall."""
    kept, uid = _check(call.cloud, call.body), new_id()
    if any(each["name"] == kept["name"] for each in call.cloud.all("firewalls").values()):
        raise ApiError(409, "conflict", "duplicate name")
    call.cloud.all("firewalls")[uid] = {"id": uid, "status": "succeeded", "created_at": now(), "pending_changes": [], **kept}
    refresh(call.cloud)
    return 202, {"firewall": call.cloud.all("firewalls")[uid]}


@route("GET", "/v2/firewalls/<uid>")
def show(call: Call, uid: str) -> Answer:
    """A firewall."""
    return 200, {"firewall": call.cloud.get("firewalls", uid)}


@route("PUT", "/v2/firewalls/<uid>")
def update(call: Call, uid: str) -> Answer:
    """Replace a firewall's rules and targets."""
    firewall = call.cloud.get("firewalls", uid)
    firewall.update(_check(call.cloud, call.body))
    refresh(call.cloud)
    return 200, {"firewall": firewall}


@route("DELETE", "/v2/firewalls/<uid>")
def delete(call: Call, uid: str) -> Answer:
    """Take a firewall away."""
    call.cloud.get("firewalls", uid)
    del call.cloud.all("firewalls")[uid]
    refresh(call.cloud)
    return 204, None


@route("POST", "/v2/firewalls/<uid>/tags")
def add_tags(call: Call, uid: str) -> Answer:
    """Let a firewall count for droplets with further tags."""
    firewall = call.cloud.get("firewalls", uid)
    firewall["tags"] = sorted({*firewall["tags"], *tags.check(call.cloud, call.need("tags", list))})
    refresh(call.cloud)
    return 204, None


@route("POST", "/v2/firewalls/<uid>/droplets")
def add_droplets(call: Call, uid: str) -> Answer:
    """Let a firewall count for further droplets."""
    firewall = call.cloud.get("firewalls", uid)
    firewall["droplet_ids"] = sorted({*firewall["droplet_ids"], *(int(each) for each in call.need("droplet_ids", list))})
    refresh(call.cloud)
    return 204, None


def refresh(cloud: Cloud) -> None:
    """Filter every droplet's packets as its firewalls say now."""
    for droplet in cloud.all("droplets").values():
        if droplet["status"] != "active":
            continue
        mine = [
            each
            for each in cloud.all("firewalls").values()
            if droplet["id"] in each["droplet_ids"] or set(each["tags"]) & set(droplet["tags"])
        ]
        reserved = [each["ip"] for each in cloud.all("reserved").values() if each["droplet"] == droplet["id"]]
        text = ruleset([*_addresses(droplet), *reserved], mine, lambda ends: _networks(cloud, ends))
        if _applied.get(droplet["id"]) != text:
            machines.filter_with(int(droplet["id"]), text)
            _applied[droplet["id"]] = text


def _addresses(droplet: dict[str, Any]) -> list[str]:
    return [str(each["ip_address"]) for each in droplet["networks"]["v4"]]


def _networks(cloud: Cloud, ends: dict[str, Any]) -> list[str]:
    """The IPv4 networks that a rule's sources or destinations are."""
    found = [str(each) for each in ends.get("addresses") or [] if ":" not in str(each)]
    for droplet in cloud.all("droplets").values():
        if droplet["id"] in (ends.get("droplet_ids") or []) or set(ends.get("tags") or []) & set(droplet["tags"]):
            found += _addresses(droplet)
    for uid in ends.get("load_balancer_uids") or []:
        machine = cloud.all("balancer_machines").get(uid) or {}
        found += [machine[key] for key in ("address", "private_address") if key in machine]
    return list(dict.fromkeys(found))


def ruleset(addresses: list[str], firewalls: list[dict[str, Any]], networks: Any) -> str:
    """The rules of nftables for a machine with these addresses. Without a firewall nothing is filtered.

    ``networks``: from a rule's sources or destinations to IPv4 networks.
    """
    head = "table inet cloud\ndelete table inet cloud\n"
    if not firewalls:
        return head
    mine = ", ".join(sorted(addresses))
    lines = [head + "table inet cloud {", "  chain in {", "    type filter hook prerouting priority -160;"]
    # What a container of the droplet asks of the droplet itself never passes the cloud.
    lines += ['    iifname { "lo", "docker0" } accept', '    iifname "br-*" accept']
    lines += ["    ct state established,related accept", f"    ip daddr != {{ {mine} }} accept", f"    ip saddr {{ {mine} }} accept"]
    lines += [_rule(each, "saddr", networks(each["sources"])) for firewall in firewalls for each in firewall["inbound_rules"]]
    lines += ["    meta l4proto { tcp, udp, icmp } drop", "  }", "  chain out {", "    type filter hook postrouting priority -160;"]
    lines += ["    ct state established,related accept", '    oifname { "lo", "docker0" } accept', '    oifname "br-*" accept']
    lines += [_rule(each, "daddr", networks(each["destinations"])) for firewall in firewalls for each in firewall["outbound_rules"]]
    lines += ["    meta l4proto { tcp, udp, icmp } drop", "  }", "}", ""]
    return "\n".join(line for line in lines if line)


def _rule(rule: dict[str, Any], side: str, networks: list[str]) -> str:
    if not networks:
        return ""
    where = "" if "0.0.0.0/0" in networks else f"ip {side} {{ {', '.join(sorted(networks))} }} "
    what = f"meta l4proto {rule['protocol']}" if rule["ports"] == "0" else f"{rule['protocol']} dport {rule['ports']}"
    return f"    {where}{what} accept"
