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
  configuration:
    description:
      - File that the store's own tool reads, which holds what opens the repository. Another content is first tried by the command, beside what
        is in force, which stays where the command fails.
    type: dict
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: What is in it.
        type: str
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
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

_PROGRAM = "/usr/local/sbin/berth-backup"


def run(module: AnsibleModule, *more: str) -> dict[str, Any]:
    """What the command says. Ends the module where it fails."""
    store, command = module.params["store"], [*module.params["command"], *more]
    _code, out, err = module.run_command([_PROGRAM, store, *command])
    try:
        answer: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    except (ValueError, IndexError):
        answer = {"failed": True, "msg": f"berth-backup {store} {' '.join(command)} did not end: {err.strip()[-600:] or 'it said nothing'}"}
    if answer.get("failed"):
        module.fail_json(msg=answer["msg"], answer=answer)
    return answer


def tried(module: AnsibleModule) -> dict[str, Any]:
    """Run the command with another configuration, and bring that into force where it succeeds."""
    path = Path(module.params["configuration"]["path"])
    candidate = path.with_name(f"{path.name}.new")
    try:
        candidate.unlink(missing_ok=True)
        candidate.touch(mode=0o600)
        candidate.write_text(module.params["configuration"]["content"], encoding="utf-8")
        answer = run(module, "--candidate", str(candidate))
        candidate.replace(path)
    finally:
        candidate.unlink(missing_ok=True)
    return {**answer, "changed": True}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "store": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "required": True},
            "configuration": {
                "type": "dict",
                "options": {"path": {"type": "path", "required": True}, "content": {"type": "str", "required": True, "no_log": True}},
            },
        },
        supports_check_mode=True,
    )
    wanted, there = module.params["configuration"], os.access(_PROGRAM, os.X_OK)
    other = False
    if wanted:
        path = Path(wanted["path"])
        other = not path.is_file() or path.read_text(encoding="utf-8") != wanted["content"]
    if module.check_mode and (module.params["command"][0] != "state" or not there):
        module.exit_json(changed=other, answer={})
    if not there:
        store = module.params["store"]
        module.fail_json(msg=f"there are no backups of {store} on this machine; set backup_bucket and run playbooks/site.yml", answer={})
    answer = tried(module) if other else run(module)
    module.exit_json(changed=bool(answer.pop("changed", False)), answer=answer)


if __name__ == "__main__":
    main()
