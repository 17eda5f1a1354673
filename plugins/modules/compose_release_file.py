#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Render a release of a Compose project for machines that Berth keeps."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_release_file
short_description: Render a release of a Compose project, with its data led to where it lives
description:
  - Reads a Compose project as C(docker compose config) resolves it, leaves out its backing services, leads the environment to their
    connections, and writes a Compose file in JSON that runs beside another release of the same app.
  - What containers mount of the project, and the secrets and configs of the Compose file, are in it, under C(x-berth-files). A secret that holds
    what leads to a backing service is led to its connection, as a variable is.
  - A folder of the project that containers can write to, and that holds nothing or nothing that git keeps, becomes a named volume.
  - The file is a temporary one. Passwords are in it, so only its owner may read it, and whoever asked for it removes it.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  release:
    description: Name of the release.
    type: str
    required: true
  images:
    description: Service to image, for those that are built.
    type: dict
    default: {}
  connections:
    description: Backing service or slot to connection, as for M(dockerrun).
    type: dict
  trust:
    description:
      - The certificates, in PEM, of the authorities that sign what the stores show from now on. With one, containers are given the machine's
        C(/etc/berth/authorities.pem), which also has those that signed before, and are told of it. Another one makes another release,
        since programs read it when they start.
    type: list
    elements: str
    default: []
  on_machine:
    description: Host names of stores that each machine leads to itself. Containers are told that these are the machine that they run on.
    type: list
    elements: str
    default: []
  accessories:
    description:
      - Services that keep data of which there is once, and stay while releases come and go; added to those whose image is known to, such as
        MySQL, MongoDB, RabbitMQ or Elasticsearch. They are in the file under C(x-berth-accessories).
    type: list
    elements: str
    default: []
  accessories_address:
    description: Where other machines find the accessories, an address of the machine that keeps them. Empty where one machine has it all.
    type: str
    default: ""
  machines:
    description: How many machines run the release, each with volumes of its own.
    type: int
    default: 1
extends_documentation_fragment:
  - berth.project
  - berth.selection
attributes:
  check_mode:
    description: Writes the file in any mode, since it is temporary.
    support: full
requirements:
  - docker compose
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Render the release
  compose_release_file:
    project_src: /srv/shop
    app: shop
    release: 3f9c2e1
    images:
      api: registry.example.com/shop/api@sha256:0c1d…
    connections:
      postgres:
        engine: postgres
        host: 10.120.0.2
  no_log: true
"""

RETURN = r"""
dest:
  description: The file.
  type: str
  returned: success
release:
  description: The release's name with a digest of all that it runs with.
  type: str
  returned: success
front_door:
  description: The service that visitors are led to, or null.
  type: str
  returned: success
port:
  description: Its port, or null.
  type: int
  returned: success
health_path:
  description: The path of its health check, or C(/).
  type: str
  returned: success
bound_summary:
  description: What was re-bound, by service.
  type: str
  returned: success
unbound:
  description: What could not be.
  type: list
  elements: dict
  returned: success
once:
  description: Services that one machine runs for all, such as a migration.
  type: list
  elements: str
  returned: success
volumes:
  description: Volumes of the Compose file, and folders of the machine, into which containers of each machine write, without those of accessories.
  type: list
  elements: str
  returned: success
accessories:
  description: Services that keep data, and stay while releases come and go.
  type: list
  elements: str
  returned: success
images:
  description: The images that are run.
  type: list
  elements: str
  returned: success
"""

import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import compose, selection
from ansible.module_utils.berth.leftovers import sweep
from ansible.module_utils.berth.problems import BerthError
from ansible.module_utils.berth.release_rendering import render

_PREFIX = "berth-release-"


def written(module: AnsibleModule, text: str) -> str:
    """A temporary file that this user alone may read. Ends the module where there is no room for it, and leaves none then."""
    sweep(_PREFIX)
    handle, path = tempfile.mkstemp(prefix=_PREFIX, suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        os.unlink(path)
        module.fail_json(
            msg=f"{path} cannot be written: {error.strerror}. Make room, or name another folder with TMPDIR. Nothing was deployed."
        )
    return path


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            **compose.ARGUMENTS,
            **selection.ARGUMENTS,
            "app": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "images": {"type": "dict", "default": {}},
            "connections": {"type": "dict", "no_log": False},
            "trust": {"type": "list", "elements": "str", "default": []},
            "on_machine": {"type": "list", "elements": "str", "default": []},
            "accessories": {"type": "list", "elements": "str", "default": []},
            "accessories_address": {"type": "str", "default": ""},
            "machines": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    params = module.params
    given = (params["connections"] or {}).values()
    module.no_log_values.update(str(each["password"]) for each in given if isinstance(each, dict) and each.get("password"))
    try:
        project = compose.project_of(module)
        document, told = render(params, project, module.run_command)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    dest = written(module, json.dumps(document))
    for warning in told.pop("warnings"):
        module.warn(warning)
    module.exit_json(changed=False, dest=dest, **told)


if __name__ == "__main__":
    main()
