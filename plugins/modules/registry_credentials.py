#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials with which machines pull a release's images."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_credentials
short_description: Credentials that let a machine pull, for an hour
description:
  - Returns what Docker's client needs to pull from a registry; those of DigitalOcean's own end after an hour, and only read.
  - Use it with C(no_log).
options:
  registry:
    description: Registry, with what the images' names begin with. Empty means DigitalOcean's own.
    type: str
  username:
    description: User of O(registry). Empty means that it asks for none.
    type: str
  password:
    description: Password of O(registry).
    type: str
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Get what the machines pull with
  registry_credentials:
  register: pull
  no_log: true
"""

RETURN = r"""
auths:
  description: Registry to credentials, as in Docker's C(config.json).
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import digitalocean, registries
from ansible.module_utils.berth.problems import BerthError


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        # Not no_log: what it returns holds the password, and would be masked. The task is.
        argument_spec={"registry": {"type": "str"}, "username": {"type": "str"}, "password": {"type": "str", "no_log": False}},
        supports_check_mode=True,
    )
    params, entries = module.params, {}
    try:
        if params["registry"] and params["username"]:
            entries = registries.auths(params["registry"], params["username"], params["password"] or "")
        elif not params["registry"]:
            account = digitalocean.client()
            entries = digitalocean.ask(
                "Asking for the registry's credentials", account.registry.get_docker_credentials, expiry_seconds=3600
            )["auths"]
    except BerthError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False, auths=entries)


if __name__ == "__main__":
    main()
