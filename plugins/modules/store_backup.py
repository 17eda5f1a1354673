#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run one command of the programs that keep a store's backups."""

from __future__ import annotations

DOCUMENTATION = r"""
module: store_backup
short_description: Run one command of the programs that keep a store's backups on this machine
description:
  - The role backup leaves C(berth-backup) on a machine, which timers run too. This module runs one of its commands and returns what that says.
options:
  store:
    description: The store.
    type: str
    required: true
  command:
    description: The command, with its words.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything. Only C(state) is run then.
    support: partial
  diff_mode:
    description: Shows nothing.
    support: none
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A backup is taken
  store_backup:
    store: postgres
    command: [backup]
"""

RETURN = r"""
answer:
  description: What the command says, which is its own affair; empty where it was not run.
  type: dict
  returned: always
"""

import json

from ansible.module_utils.basic import AnsibleModule

_PROGRAM = "/usr/local/sbin/berth-backup"


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={"store": {"type": "str", "required": True}, "command": {"type": "list", "elements": "str", "required": True}},
        supports_check_mode=True,
    )
    store, command = module.params["store"], module.params["command"]
    there = module.get_bin_path(_PROGRAM)
    if module.check_mode and (command[0] != "state" or not there):
        module.exit_json(changed=False, answer={})
    if not there:
        module.fail_json(msg=f"there are no backups of {store} on this machine; set backup_bucket and run playbooks/site.yml", answer={})
    _code, out, err = module.run_command([_PROGRAM, store, *command])
    try:
        answer = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        words = " ".join(command)
        module.fail_json(msg=f"berth-backup {store} {words} did not end: {err.strip()[-600:] or 'it said nothing'}", answer={})
        raise AssertionError("fail_json returned") from None
    if answer.get("failed"):
        module.fail_json(msg=answer["msg"], answer=answer)
    module.exit_json(changed=bool(answer.pop("changed", False)), answer=answer)


if __name__ == "__main__":
    main()
