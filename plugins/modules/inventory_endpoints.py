#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_endpoints
short_description: Ask another inventory where its stores are
version_added: 0.1.0
description:
  - Runs a playbook with another inventory and the same extra variables as this run, and returns what it wrote into the file whose name it
    gets as C(endpoints_file). A run has one inventory, and a move has two.
  - Where this machine does not reach the stores, the playbook opens a way to them. Whoever asked closes it.
options:
  inventory:
    description: The other inventory.
    type: str
    required: true
  playbook:
    description: Playbook that asks, relative to the project.
    type: str
    required: true
  close:
    description: Whether the way to the stores is closed. Nothing is asked then.
    type: bool
    default: false
attributes:
  action:
    description: Runs on the machine that runs Ansible.
    support: full
  check_mode:
    description: Can run in check mode, and changes nothing in any mode.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Where is the data?
  inventory_endpoints:
    inventory: inventories/digitalocean
    playbook: playbooks/endpoints.yml
  register: there
"""

RETURN = r"""
endpoints:
  description: What the roles of its slots tell, by slot.
  type: dict
  returned: success
relay:
  description: Whether a way to them was opened, which has to be closed.
  type: bool
  returned: success
"""
