#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: inventory_endpoints
short_description: Ask other inventories where their stores are
version_added: 0.1.0
description:
  - Runs a playbook with each of other inventories, all at once, and the same extra variables as this run, and returns what it wrote into the
    file whose name it gets as C(endpoints_file). A run has one inventory, and a move has two.
  - Where this machine does not reach the stores, the playbook opens a way to them. Whoever asked closes it, also when this failed for another
    inventory.
options:
  inventories:
    description: The other inventories. One with C(@) and a stage after it is asked as that stage, C(inventories/aws@next).
    type: list
    elements: str
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
    inventories: [inventories/digitalocean, inventories/aws]
    playbook: playbooks/endpoints.yml
  register: there
"""

RETURN = r"""
told:
  description:
    - Of each inventory that answered, in their order, C(inventory), and what its playbook wrote. For stores that is C(endpoints), what the
      roles of its slots tell, by slot, and C(relay), whether a way to them was opened, which has to be closed.
  type: list
  elements: dict
  returned: always
"""
