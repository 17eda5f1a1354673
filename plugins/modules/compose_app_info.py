#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: compose_app_info
short_description: Say who is who in a Compose project, and how its containers are
version_added: 0.1.0
description:
  - Reads a Compose project as C(docker compose config) resolves it. Tells the app's services from the backing ones (PostgreSQL, Redis,
    Valkey), and which one is the front door.
  - With O(running=true), also reports the containers of the project on this engine.
options:
  project_name:
    description:
      - Name of the Compose project. By default what Compose makes of the directory's name.
    type: str
  running:
    description:
      - Whether to ask the Docker engine for the project's containers.
    type: bool
    default: false
extends_documentation_fragment:
  - berth.project
attributes:
  check_mode:
    description: Can run in check mode, and changes nothing in any mode.
    support: full
  diff_mode:
    description: Returns what changed.
    support: none
requirements:
  - docker compose, version 2.24 or later
  - PyYAML
seealso:
  - module: dockerrun
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Look at the app
  compose_app_info:
    project_src: /srv/shop
    running: true
  register: shop

- name: Show where it answers
  ansible.builtin.debug:
    msg: "{{ shop.url }}"
"""

RETURN = r"""
services:
  description: The services of the project, in alphabetical order.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the service.
      type: str
    built:
      description: Whether its image is built from the project.
      type: bool
    backing:
      description: The engine (postgres, redis, valkey) of a backing service, or null for one of the app's own.
      type: str
    version:
      description: The engine's version as the image's tag says it, or null.
      type: str
    image:
      description: The image that runs or would, or null where it is built and has no name.
      type: str
    ports:
      description: Published ports, C(host:container).
      type: list
      elements: str
    state:
      description: State of its container (running, exited, ...), C(absent) where there is none, or null without O(running).
      type: str
    health:
      description: What its healthcheck says (healthy, unhealthy, starting), or an empty string where it has none.
      type: str
databases:
  description:
    - Names of databases beside the app's own that services ask for in the same PostgreSQL server. The app's own is what the store's image is told to make,
      or what most services ask for.
  type: list
  elements: str
  returned: success
front_door:
  description: Name of the service that visitors reach, or null where there is none or more than one.
  type: str
  returned: success
url:
  description: The front door's address on this machine, or null.
  type: str
  returned: success
  sample: http://127.0.0.1:8080
health_path:
  description: The path that the front door's own health check asks for, or an empty string.
  type: str
  returned: success
table:
  description: The services as lines of a table with the columns service, state, health, image, port and URL.
  type: list
  elements: str
  returned: success
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import compose, overview
from ansible.module_utils.berth.problems import BerthError


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            **compose.ARGUMENTS,
            "project_name": {"type": "str"},
            "running": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        project = compose.project_of(module)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    containers: list[dict[str, Any]] | None = None
    if params["running"]:
        name = params["project_name"] or project.model["name"]
        code, out, err = module.run_command(["docker", "compose", "--project-name", name, "ps", "--all", "--format", "json"])
        if code != 0:
            module.fail_json(msg=f"docker compose ps: {err.strip()}")
        # One JSON object a line; a single list in releases before 2.21.
        parsed = [json.loads(line) for line in out.splitlines() if line.strip()]
        containers = parsed[0] if parsed and isinstance(parsed[0], list) else parsed
    for warning in project.warnings:
        module.warn(warning)
    module.exit_json(changed=False, **overview.overview(project, containers))


if __name__ == "__main__":
    main()
