#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: data_migration
short_description: Move the data of one home's stores to another home's
version_added: 0.1.0
description:
  - Moves the PostgreSQL databases of an app and the keys of a Redis or Valkey, in phases that can be interrupted. Until C(switch) the source serves and is
    untouched. At the switch writes pause, all is copied and compared on both sides, and the target takes over; on any failure the source
    takes writes again. At no time do both sides take the app's writes.
options:
  phase:
    description:
      - C(check) looks for what is in the way; C(copy) copies once, while the source serves; C(follow) copies once and brings the copy on by
        what is written meanwhile; C(switch) moves; C(verify) compares again; C(finish) ends the move; C(back) goes back, as long as the target
        holds nothing more than the source.
    type: str
    choices: [check, copy, follow, switch, verify, finish, back]
    required: true
  source:
    description: Stores of the home that data is moved from, as the roles of its slots tell of them, by slot.
    type: dict
    required: true
  source_name:
    description: Its name, for people.
    type: str
    required: true
  target:
    description: Stores of the home that data is moved to.
    type: dict
    required: true
  target_name:
    description: Its name, for people.
    type: str
    required: true
  note:
    description: File that says where the move is.
    type: path
    required: true
  database:
    description: Name of the app's own database in the source. By default the one that the role tells of, or the only one with tables.
    type: str
    default: ""
  replace:
    description: Whether a target that holds data is moved aside (PostgreSQL) or made to hold what the source holds (Redis).
    type: bool
    default: false
  lose:
    description:
      - With C(back), whether what was written in the target since the switch may be given up, or, where no move is under way, whether the
        source may take writes again although the target may take them too.
    type: bool
    default: false
attributes:
  check_mode:
    description: In check mode every phase does what C(check) does.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: The data moves
  data_migration:
    phase: switch
    source: "{{ old.endpoints }}"
    source_name: inventories/local
    target: "{{ new.endpoints }}"
    target_name: inventories/digitalocean
    note: /srv/moves/shop.json
"""

RETURN = r"""
lines:
  description: What was found or done, for people.
  type: list
  elements: str
  returned: success
serving:
  description: Name of the home that takes writes since this phase; empty where that is who took them before.
  type: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import migration, migration_stores
from ansible.module_utils.berth.problems import BerthError


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "phase": {"type": "str", "choices": list(migration.PHASES), "required": True},
            "source": {"type": "dict", "required": True},
            "source_name": {"type": "str", "required": True},
            "target": {"type": "dict", "required": True},
            "target_name": {"type": "str", "required": True},
            "note": {"type": "path", "required": True},
            "database": {"type": "str", "default": ""},
            "replace": {"type": "bool", "default": False},
            "lose": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    phase = "check" if module.check_mode else params["phase"]
    try:
        # Either home may know of databases that lie beside the app's own.
        beside = {name for home in (params["source"], params["target"]) for name in (home.get("postgres") or {}).get("databases") or ()}
        source = migration_stores.Stores(params["source_name"], params["source"], params["database"], fresh=False, known=beside)
        target = migration_stores.Stores(params["target_name"], params["target"], "", fresh=True, known=beside)
        move = migration.Migration(source, target, Path(params["note"]), beside)
        switched = move.state["phase"] == migration.SWITCHED
        more = {"back": {"lose": params["lose"]}, "verify": {}, "finish": {}}.get(phase, {"replace": params["replace"]})
        lines = getattr(move, phase)(**more)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    serving = {"switch": params["target_name"], "back": params["source_name"] if switched else ""}.get(phase, "")
    module.exit_json(changed=phase not in ("check", "verify"), lines=lines, serving=serving)


if __name__ == "__main__":
    main()
