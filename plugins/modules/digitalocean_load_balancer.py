#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a load balancer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: digitalocean_load_balancer
short_description: Keep a load balancer in front of the droplets with a tag
description:
  - Makes a load balancer, brings its rules and its health check to what is wanted, and waits until it has an address.
  - The account is that of E(DIGITALOCEAN_TOKEN).
options:
  name:
    description: Name of the load balancer.
    type: str
    required: true
  state:
    description: V(found) only looks.
    type: str
    choices: [present, absent, found]
    default: present
  region:
    description: Region of its droplets.
    type: str
  vpc:
    description: ID of the VPC that it shares with them.
    type: str
  tag:
    description: The tag of the droplets that it serves.
    type: str
  certificate:
    description: ID of a certificate of the account. With one it answers HTTPS, and leads HTTP there.
    type: str
  domain:
    description:
      - Name under which visitors come. Without O(certificate) a certificate of the account for it is used, or one of Let's Encrypt's is made,
        for which DigitalOcean has to manage the domain's DNS. DigitalOcean renews it.
      - Where none can be had it answers plain HTTP, which is a warning and no failure.
    type: str
  domain_aliases:
    description: Further names that the certificate has to be for.
    type: list
    elements: str
    default: []
  health_path:
    description:
      - Path that a healthy droplet answers with success. By default the one that the load balancer has, and in the beginning C(/.berth/health), which
        the edge of each droplet leads to the app's own path.
    type: str
  wait_timeout:
    description: For how many seconds to wait for its address.
    type: int
    default: 600
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows the settings that differ.
    support: full
requirements:
  - pydo
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: One address for the app's droplets
  digitalocean_load_balancer:
    name: shop
    region: fra1
    vpc: 5a4981aa-9653-4bd1-bef5-d6bff52042e4
    tag: "berth:shop:app"
    health_path: /healthz
"""

RETURN = r"""
load_balancer:
  description: The load balancer as DigitalOcean describes it; empty where there is none.
  type: dict
  returned: success
url:
  description: Where it answers, or the empty string.
  type: str
  returned: success
"""

import hashlib
import json
import re
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import digitalocean, edge_files
from ansible.module_utils.berth.problems import BerthError

_CERTIFICATE_SECONDS = 180


def _begin(name: str, domain: str) -> str:
    """What a load balancer's certificate for a domain is called."""
    return f"{name}-{domain.replace('.', '-')}"


def certificate(module: Any, account: Any) -> tuple[str, bool]:
    """The ID of the domain's certificate, or the empty string; and whether one was made, or in check mode would be."""
    params, problem = module.params, ""
    domain, names = params["domain"], list(dict.fromkeys([params["domain"], *params["domain_aliases"]]))
    # Its name is there once, and its domains cannot be changed.
    mark = f"-{hashlib.sha256(' '.join(sorted(names)).encode()).hexdigest()[:8]}" if len(names) > 1 else ""
    name = f"{_begin(params['name'], domain)}{mark}"

    def look() -> dict[str, Any]:
        found = digitalocean.every("Listing certificates", account.certificates.list, "certificates")
        mine = [each for each in found if set(names) <= set(each.get("dns_names") or [])]
        return next((each for each in mine if each["state"] == "verified"), mine[0] if mine else {})

    there, made = look(), False
    if not there and module.check_mode:
        return "", True
    try:
        if not there:
            body = {"name": name, "type": "lets_encrypt", "dns_names": names}
            digitalocean.ask(f"Having a certificate for {' and '.join(names)} made", account.certificates.create, body=body)
            there, made = look(), True
        end = time.monotonic() + _CERTIFICATE_SECONDS
        while there.get("state") == "pending" and time.monotonic() < end:
            time.sleep(1)
            there = look()
        if there.get("state") != "verified":
            problem = f"it is {there.get('state') or 'not there'}"
    except BerthError as error:
        problem = str(error)
    if problem:
        module.warn(
            f"no certificate for {' and '.join(names)}: {problem}. DigitalOcean has to manage the DNS of the domain, or give the ID of a certificate of "
            "yours with platform_digitalocean_certificate. Visitors are served in plain HTTP until there is one"
        )
        return "", made
    return str(there["id"]), made


def forget_certificates(account: Any, name: str) -> None:
    """Take away the certificates that were made for a load balancer."""
    for each in digitalocean.every("Listing certificates", account.certificates.list, "certificates"):
        begins = [_begin(name, host) for host in each.get("dns_names") or []]
        if each["type"] == "lets_encrypt" and {each["name"], re.sub(r"-[0-9a-f]{8}$", "", each["name"])} & set(begins):
            digitalocean.ask(f"Removing certificate {each['name']}", account.certificates.delete, each["id"])


def wanted(params: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """The load balancer as the API takes it. ``there``: as it is."""
    rules = [{"entry_protocol": "http", "entry_port": 80, "target_protocol": "http", "target_port": 80}]
    if params["certificate"]:
        more = {"certificate_id": params["certificate"], "tls_passthrough": False}
        rules.append({"entry_protocol": "https", "entry_port": 443, "target_protocol": "http", "target_port": 80, **more})
    return {
        "name": params["name"],
        "region": params["region"],
        "vpc_uuid": params["vpc"],
        "tag": params["tag"],
        "forwarding_rules": rules,
        "redirect_http_to_https": bool(params["certificate"]),
        "health_check": {
            "protocol": "http",
            "port": 80,
            "path": params["health_path"] or (there.get("health_check") or {}).get("path") or edge_files.HEALTH,
            "check_interval_seconds": 5,
            "response_timeout_seconds": 3,
            "healthy_threshold": 2,
            "unhealthy_threshold": 2,
        },
    }


def difference(there: dict[str, Any], want: dict[str, Any]) -> dict[str, Any]:
    """The settings that are other than wanted; what is not named stays."""
    found: dict[str, Any] = {}
    for key, value in want.items():
        current = there.get(key)
        if key == "region":
            current = (current or {}).get("slug")
        if key == "forwarding_rules":
            current = [{name: rule.get(name) for name in each} for each, rule in zip(value, current or [], strict=False)]
            current = current if len(there.get(key) or []) == len(value) else there.get(key)
        if key == "health_check":
            current = {name: (current or {}).get(name) for name in value}
        if current != value:
            found[key] = value
    return found


def converge(module: Any) -> dict[str, Any]:
    """Bring the load balancer to what is wanted, or in check mode say how far it is."""
    params, account = module.params, digitalocean.client()

    def look() -> dict[str, Any]:
        found = digitalocean.every("Listing load balancers", account.load_balancers.list, "load_balancers")
        return next((each for each in found if each["name"] == params["name"]), {})

    there, changed, diff = look(), False, {}
    if params["state"] == "absent":
        changed = bool(there)
        if there and not module.check_mode:
            digitalocean.ask(f"Removing load balancer {params['name']}", account.load_balancers.delete, there["id"])
            forget_certificates(account, params["name"])
        return {"changed": changed, "load_balancer": {}, "url": ""}
    if params["state"] == "present":
        made = False
        if params["domain"] and not params["certificate"]:
            params["certificate"], made = certificate(module, account)
        want = wanted(params, there)
        diff = difference(there, want)
        changed = bool(diff) or made
        if diff and not module.check_mode:
            what = f"Keeping load balancer {params['name']}"
            if there:
                digitalocean.ask(what, account.load_balancers.update, there["id"], body=want)
            else:
                digitalocean.ask(what, account.load_balancers.create, body=want)
        if not module.check_mode:

            def ready() -> dict[str, Any]:
                found = look()
                if found and found["status"] == "errored":
                    raise BerthError(f"load balancer {params['name']}: DigitalOcean could not make it; remove it in the control panel")
                return found if found and found["status"] == "active" and found.get("ip") else {}

            there = digitalocean.wait_for(f"Waiting for load balancer {params['name']}", ready, params["wait_timeout"])
    scheme = "https" if any(each["entry_protocol"] == "https" for each in there.get("forwarding_rules") or []) else "http"
    host = params["domain"] if scheme == "https" and params["domain"] else there.get("ip")
    url = f"{scheme}://{host}" if host else ""
    after = json.dumps(diff, indent=2, sort_keys=True) + "\n" if diff else ""
    return {"changed": changed, "load_balancer": there, "url": url, "diff": {"before": "", "after": after}}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "found"], "default": "present"},
            "region": {"type": "str"},
            "vpc": {"type": "str"},
            "tag": {"type": "str"},
            "certificate": {"type": "str"},
            "domain": {"type": "str"},
            "domain_aliases": {"type": "list", "elements": "str", "default": []},
            "health_path": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        answer = converge(module)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
