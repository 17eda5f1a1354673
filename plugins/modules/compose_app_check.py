#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""See whether a Compose project can be deployed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_app_check
short_description: See whether a Compose project can be deployed, before there is anything for it
version_added: 0.1.0
description:
  - Renders a Compose project as a deployment does, as if its images were built and its stores were there, and throws away what comes of that.
    What would end the deployment in the end - a service that is not there, two that publish one port, variables that cannot be led to the stores -
    is known before servers are made that take minutes and cost money.
  - Fails with what is wrong. What deserves no more than a look is left to the deployment.
options:
  home:
    description: What runs the app's containers - V(machines) that Berth keeps, or V(beanstalk), Elastic Beanstalk.
    type: str
    choices: [machines, beanstalk]
    required: true
  slots:
    description: Slots of the data tier that the inventory has.
    type: list
    elements: str
    choices: [postgres, redis]
    default: []
  stores:
    description: Stores that are kept (postgres, redis, valkey). By default those that the Compose file has.
    type: list
    elements: str
    default: []
  databases:
    description: Databases beside the app's own in the same PostgreSQL server. By default those that the services' variables name.
    type: list
    elements: str
    default: []
  images:
    description: Service to image, for those that are not built.
    type: dict
    default: {}
  accessories:
    description: Services that keep data of which there is once, as for M(compose_release_file).
    type: list
    elements: str
    default: []
  machines:
    description: How many machines run the app.
    type: int
    default: 1
extends_documentation_fragment:
  - berth.project
  - berth.selection
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
requirements:
  - docker compose
seealso:
  - module: compose_release_file
  - module: dockerrun
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: The app can be deployed
  compose_app_check:
    project_src: /srv/shop
    home: beanstalk
    slots: [postgres, redis]
"""

RETURN = r"""
unbound:
  description: Variables that name a backing service and cannot be led there, as for M(dockerrun).
  type: list
  elements: dict
  returned: success
accessories:
  description: Services that keep data, and stay while releases come and go.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import compose, selection
from ansible.module_utils.berth.foreseen import foreseen
from ansible.module_utils.berth.problems import BerthError


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            **compose.ARGUMENTS,
            **selection.ARGUMENTS,
            "home": {"type": "str", "choices": ["machines", "beanstalk"], "required": True},
            "slots": {"type": "list", "elements": "str", "choices": ["postgres", "redis"], "default": []},
            "stores": {"type": "list", "elements": "str", "default": []},
            "databases": {"type": "list", "elements": "str", "default": []},
            "images": {"type": "dict", "default": {}},
            "accessories": {"type": "list", "elements": "str", "default": []},
            "machines": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    try:
        found = foreseen(module.params, compose.project_of(module), module.run_command)
    except BerthError as problem:
        module.fail_json(msg=f"The app cannot be deployed so. {problem}. Nothing was changed.")
        raise AssertionError("fail_json returned") from None
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
