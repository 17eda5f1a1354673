#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: compose_backup
short_description: Dump the backing services of a Compose project into files, and restore them
version_added: 0.1.0
description:
  - For a laptop, where PostgreSQL and Redis are containers of the project. All databases of a PostgreSQL are dumped with C(pg_dump), its roles
    with C(pg_dumpall); a Redis or Valkey gives a snapshot.
  - A backup is a folder for this user alone, complete or not there; a restore compares each file with what was written.
  - What is restored stands beside what is served (databases called C(…_restored), a container called C(…-restored)) until O(command=take).
    What was served then is kept until O(command=forget).
options:
  project_name:
    description:
      - Name of the Compose project. By default what Compose makes of the directory's name.
    type: str
  command:
    description:
      - C(list) lists the backups; C(backup) takes one; C(restore) brings one beside what is served; C(take) lets that take the place;
        C(discard) removes what was restored; C(forget) removes what was moved aside.
    type: str
    choices: [list, backup, restore, take, discard, forget]
    default: list
  backups:
    description:
      - Folder of this app's backups.
    type: path
    required: true
  keep:
    description:
      - How many backups are kept; older ones are removed. 0 keeps all.
    type: int
    default: 0
  store:
    description:
      - What is restored. The name of a service, or C(postgres) or C(redis) for the only one of its kind.
    type: str
    default: postgres
  wanted:
    description:
      - For O(command=restore), V(latest), the name of a backup, or a time, which means the newest backup before it.
    type: str
    default: latest
extends_documentation_fragment:
  - berth.project
attributes:
  check_mode:
    description: Can run in check mode, and changes nothing then.
    support: full
  diff_mode:
    description: Returns what changed.
    support: none
requirements:
  - docker compose, version 2.24 or later
  - PyYAML
seealso:
  - module: store_backup
  - name: pg_dump
    description: What the dumps are made with.
    link: https://www.postgresql.org/docs/current/app-pgdump.html
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A backup is taken
  compose_backup:
    project_src: /srv/shop
    backups: /srv/backups/shop
    command: backup
    keep: 7

- name: What was there yesterday evening is restored beside what is served
  compose_backup:
    project_src: /srv/shop
    backups: /srv/backups/shop
    command: restore
    wanted: 2026-01-31T18:00:00Z
"""

RETURN = r"""
lines:
  description: The backups, oldest first, a line each.
  type: list
  elements: str
  returned: success
backup:
  description: The backup that was taken or restored; an empty string where there was none.
  type: str
  returned: success
at:
  description: When it was taken.
  type: str
  returned: O(command=restore)
  sample: 2026-01-31 18:00:00Z
look:
  description: How to look at what was restored.
  type: str
  returned: O(command=restore)
aside:
  description: Where what was served before is kept; an empty string where there was nothing.
  type: str
  returned: O(command=take)
removed:
  description: What was removed.
  type: list
  elements: str
  returned: O(command=forget)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import compose, compose_backups
from ansible.module_utils.berth.problems import BerthError


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            **compose.ARGUMENTS,
            "project_name": {"type": "str"},
            "command": {"type": "str", "choices": list(compose_backups.COMMANDS), "default": "list"},
            "backups": {"type": "path", "required": True},
            "keep": {"type": "int", "default": 0},
            "store": {"type": "str", "default": "postgres"},
            "wanted": {"type": "str", "default": "latest"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        project = compose.project_of(module)
        app = compose_backups.App(project, params["project_name"] or project.model["name"], params["backups"])
        found = app.do(params["command"], params, check=module.check_mode)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    module.exit_json(**found)


if __name__ == "__main__":
    main()
