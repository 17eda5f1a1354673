#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the one record that leads a name to an app."""

from __future__ import annotations

DOCUMENTATION = r"""
module: digitalocean_record
short_description: Keep the DNS record that leads a name to an app
description:
  - A name has one record of the types V(A), V(AAAA) and V(CNAME) afterwards. One that is there is changed, also in its type, in one request, so
    that at no moment nothing answers for the name; further ones are removed.
  - The account is that of E(DIGITALOCEAN_TOKEN).
options:
  name:
    description: The whole name, such as V(shop.example.com).
    type: str
    required: true
  zone:
    description: The domain of the account that holds it.
    type: str
    required: true
  type:
    description: Type of the record.
    type: str
    choices: [A, CNAME]
    required: true
  data:
    description: Where it leads, an address or a name.
    type: str
    required: true
  ttl:
    description: Seconds for which whoever asked may believe the answer.
    type: int
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows what the name led to, and leads to.
    support: full
requirements:
  - pydo
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Visitors come to the load balancer
  digitalocean_record:
    name: shop.example.com
    zone: example.com
    type: A
    data: 192.0.2.10
"""

RETURN = r"""
record:
  description: The record as DigitalOcean describes it; in check mode as it would be.
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import digitalocean
from ansible.module_utils.berth.problems import BerthError

_LEADING = ("A", "AAAA", "CNAME")


def label(name: str, zone: str) -> str:
    """A name within its zone, as DigitalOcean has it. Raises :class:`BerthError` where the zone does not hold it."""
    name, zone = name.lower().rstrip("."), zone.lower().rstrip(".")
    if name == zone:
        return "@"
    if not zone or not name.endswith(f".{zone}"):
        raise BerthError(f"name: {name} is not in the zone {zone or '(none)'}; give the zone that holds it with zone")
    return name[: -len(zone) - 1]


def plain(record: dict[str, Any]) -> tuple[str, str, int]:
    """What counts of a record."""
    return str(record["type"]), str(record["data"]).lower().rstrip("."), int(record["ttl"])


def line(name: str, record: dict[str, Any]) -> str:
    """A record in one line."""
    return "{} {} {} {}\n".format(name, *(plain(record)[each] for each in (2, 0, 1)))


def converge(params: dict[str, Any], account: Any, *, check: bool) -> dict[str, Any]:
    """Bring the record to what is wanted, or in check mode say how far it is. Raises :class:`BerthError`."""
    name, zone = params["name"], params["zone"].lower().rstrip(".")
    own = label(name, zone)
    if own == "@" and params["type"] == "CNAME":
        raise BerthError(f"{name} is the zone's own name, which can have no CNAME; choose a name in it, such as www.{zone}")
    known = digitalocean.every("Listing domains", account.domains.list, "domains")
    if zone not in [each["name"] for each in known]:
        raise BerthError(
            f"zone: the account keeps no domain {zone}; it keeps {', '.join(sorted(each['name'] for each in known)) or 'none'}"
        )
    # The filter wants the whole name.
    every = digitalocean.every(
        f"Listing records of {zone}", account.domains.list_records, "domain_records", domain_name=zone, name=name.lower().rstrip(".")
    )
    there = [each for each in every if each["type"] in _LEADING]
    # A name that it leads to ends in a dot.
    data = params["data"].rstrip(".") + ("." if params["type"] == "CNAME" else "")
    wanted = {"type": params["type"], "name": own, "data": data, "ttl": params["ttl"]}
    same = [each for each in there if plain(each) == plain(wanted)]
    kept = (same or [each for each in there if each["type"] == params["type"]] or there or [None])[0]
    others = [each for each in there if each is not kept]
    changed = not same or bool(others)
    record: dict[str, Any] = {**(kept or {}), **wanted}
    if not check:
        # First, since a CNAME stands alone; the one that is kept answers meanwhile.
        for each in others:
            digitalocean.ask(f"Removing a record of {name}", account.domains.delete_record, zone, each["id"])
        if kept is None:
            record = digitalocean.ask(f"Making the record of {name}", account.domains.create_record, zone, body=wanted)["domain_record"]
        elif not same:
            record = digitalocean.ask(f"Changing the record of {name}", account.domains.update_record, zone, kept["id"], body=wanted)[
                "domain_record"
            ]
    before = "".join(line(name, each) for each in there)
    return {"changed": changed, "record": record, "diff": {"before": before, "after": line(name, wanted)}}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "zone": {"type": "str", "required": True},
            "type": {"type": "str", "choices": ["A", "CNAME"], "required": True},
            "data": {"type": "str", "required": True},
            "ttl": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        result = converge(module.params, digitalocean.client(), check=module.check_mode)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    module.exit_json(**result)


if __name__ == "__main__":
    main()
