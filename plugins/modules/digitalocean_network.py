#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a stack's VPC and firewalls."""

from __future__ import annotations

DOCUMENTATION = r"""
module: digitalocean_network
short_description: Keep the VPC and the firewalls of a stack
description:
  - Makes the VPC and the firewalls, and brings rules and tags of firewalls to what is wanted. A firewall counts for the droplets that
    have one of its tags.
  - The account is that of E(DIGITALOCEAN_TOKEN).
options:
  name:
    description: Name of the VPC, and first part of the firewalls' names.
    type: str
    required: true
  state:
    description: V(found) only looks. V(absent) takes firewalls and VPC away.
    type: str
    choices: [present, absent, found]
    default: present
  region:
    description: Region of the VPC.
    type: str
  ip_range:
    description: Network of the VPC, a private one of /28 to /16.
    type: str
  firewalls:
    description:
      - Name to C(tags) and C(inbound), a list of rules with C(port) (or a range, or V(all)), C(protocol) (V(tcp) by default), and
        C(addresses) or C(tags) from where. All go out freely.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows what is made and changed.
    support: full
requirements:
  - pydo
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A network in which only the app reaches the database
  digitalocean_network:
    name: shop
    region: fra1
    ip_range: 10.120.0.0/20
    firewalls:
      data:
        tags: ["berth:shop:postgres"]
        inbound:
          - port: 5432
            tags: ["berth:shop:app"]
"""

RETURN = r"""
vpc:
  description: The VPC as DigitalOcean describes it; empty where there is none.
  type: dict
  returned: success
"""

import ipaddress
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import digitalocean
from ansible.module_utils.berth.problems import BerthError

_EVERYWHERE = {"addresses": ["0.0.0.0/0", "::/0"]}
_OUTBOUND = [
    {"protocol": "tcp", "ports": "all", "destinations": _EVERYWHERE},
    {"protocol": "udp", "ports": "all", "destinations": _EVERYWHERE},
    {"protocol": "icmp", "destinations": _EVERYWHERE},
]


def firewall(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """A firewall as the API takes it."""
    inbound = []
    for rule in given.get("inbound") or []:
        sources = {key: list(rule[key]) for key in ("addresses", "tags") if rule.get(key)}
        if not sources:
            raise BerthError(f"firewalls.{name}: a rule for port {rule.get('port')} says from where with addresses or tags")
        protocol = str(rule.get("protocol") or "tcp")
        inbound.append({"protocol": protocol, **({} if protocol == "icmp" else {"ports": str(rule["port"])}), "sources": sources})
    return {"name": name, "tags": list(given.get("tags") or []), "inbound_rules": inbound, "outbound_rules": _OUTBOUND}


def same(there: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a firewall is as it should be; the API tells ports that are all as 0."""

    def plain(rules: list[dict[str, Any]], ends: str) -> list[Any]:
        found = []
        for rule in rules:
            ports = str(rule.get("ports") or "0")
            where = {key: sorted(map(str, values)) for key, values in rule[ends].items() if values}
            found.append((rule["protocol"], "0" if ports == "all" else ports, sorted(where.items())))
        return sorted(found)

    return (
        sorted(there["tags"] or []) == sorted(wanted["tags"])
        and plain(there["inbound_rules"], "sources") == plain(wanted["inbound_rules"], "sources")
        and plain(there["outbound_rules"], "destinations") == plain(wanted["outbound_rules"], "destinations")
    )


def range_problem(given: str) -> str | None:
    """What is wrong with a VPC's network, or None."""
    try:
        network = ipaddress.IPv4Network(given)
    except ValueError as error:
        return f"ip_range: {given!r} is no network: {error}"
    if not network.is_private or not 16 <= network.prefixlen <= 28:
        return f"ip_range: {given} has to be private, and /16 to /28"
    return None


class Keeper:
    """The calls, for one network."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params, self.account = params, digitalocean.client()

    def vpc(self) -> dict[str, Any]:
        """The VPC, or nothing."""
        found = digitalocean.every("Listing VPCs", self.account.vpcs.list, "vpcs")
        return next((each for each in found if each["name"] == self.params["name"]), {})

    def firewalls(self) -> dict[str, dict[str, Any]]:
        """The stack's firewalls, by name."""
        found = digitalocean.every("Listing firewalls", self.account.firewalls.list, "firewalls")
        return {each["name"]: each for each in found if each["name"].startswith(f"{self.params['name']}-")}

    def create_vpc(self) -> dict[str, Any]:
        """Make the VPC."""
        body = {key: self.params[key] for key in ("name", "region", "ip_range")}
        made: dict[str, Any] = digitalocean.ask(f"Making VPC {body['name']}", self.account.vpcs.create, body=body)["vpc"]
        return made

    def keep(self, wanted: dict[str, Any], there: dict[str, Any] | None) -> None:
        """Make or change a firewall; the tags that it names have to be there before."""
        named = {tag for rule in wanted["inbound_rules"] for tag in rule["sources"].get("tags", [])} | set(wanted["tags"])
        for tag in sorted(named):
            digitalocean.ask(f"Making tag {tag}", self.account.tags.create, body={"name": tag})
        what = f"Keeping firewall {wanted['name']}"
        if there is None:
            digitalocean.ask(what, self.account.firewalls.create, body=wanted)
        else:
            digitalocean.ask(what, self.account.firewalls.update, there["id"], body={**wanted, "droplet_ids": there["droplet_ids"] or []})

    def remove(self, vpc: dict[str, Any], firewalls: dict[str, dict[str, Any]]) -> None:
        """Take firewalls and VPC away. What was in the VPC takes a while to leave it."""
        for each in firewalls.values():
            digitalocean.ask(f"Removing firewall {each['name']}", self.account.firewalls.delete, each["id"])
        if vpc:

            def left() -> bool:
                return not digitalocean.every("Looking into the VPC", self.account.vpcs.list_members, "members", vpc_id=vpc["id"])

            digitalocean.wait_for("Waiting for the VPC to be empty", left, 120)
            digitalocean.ask(f"Removing VPC {vpc['name']}", self.account.vpcs.delete, vpc["id"])


def converge(module: Any, keeper: Keeper) -> dict[str, Any]:
    """Bring the network to what is wanted, or in check mode say how far it is."""
    params = module.params
    vpc = keeper.vpc()
    if params["state"] == "found":
        return {"changed": False, "vpc": vpc}
    firewalls = keeper.firewalls()
    if params["state"] == "absent":
        if not module.check_mode:
            keeper.remove(vpc, firewalls)
        return {"changed": bool(vpc or firewalls), "vpc": {}, "diff": {"before": "".join(f"{name}\n" for name in firewalls), "after": ""}}
    problem = range_problem(params["ip_range"])
    if problem:
        raise BerthError(problem)
    steps = []
    for key, word in (("region", "region"), ("ip_range", "network")):
        if vpc and vpc[key] != params[key]:
            raise BerthError(f"VPC {vpc['name']} has the {word} {vpc[key]}, not {params[key]}; a VPC keeps it. Choose another stack")
    if not vpc:
        steps.append(f"make VPC {params['name']}, {params['ip_range']}, {params['region']}")
    wanted = {f"{params['name']}-{name}": firewall(f"{params['name']}-{name}", given) for name, given in params["firewalls"].items()}
    changes = [each for name, each in wanted.items() if name not in firewalls or not same(firewalls[name], each)]
    steps += [f"{'change' if each['name'] in firewalls else 'make'} firewall {each['name']}" for each in changes]
    if not module.check_mode:
        vpc = vpc or keeper.create_vpc()
        for each in changes:
            keeper.keep(each, firewalls.get(each["name"]))
    return {"changed": bool(steps), "vpc": vpc, "diff": {"before": "", "after": "".join(f"{step}\n" for step in steps)}}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "found"], "default": "present"},
            "region": {"type": "str"},
            "ip_range": {"type": "str"},
            "firewalls": {"type": "dict", "default": {}},
        },
        required_if=[("state", "present", ("region", "ip_range"))],
        supports_check_mode=True,
    )
    try:
        answer = converge(module, Keeper(module.params))
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
