#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let a Postgres on this machine be a standby or the primary."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_member
short_description: Let a Postgres on this machine be a standby or the primary of several
description:
  - Looks at a server that runs in a container and at its data, and brings it from one standing to another.
  - Data is never removed. What is in the place of a copy is moved beside it.
options:
  data:
    description: Folder of the data.
    type: path
    required: true
  container:
    description: Name of the container.
    type: str
    required: true
  image:
    description: Image of the server.
    type: str
    required: true
  project:
    description: Its Compose file.
    type: path
    required: true
  state:
    description:
      - V(found) only looks. V(standby) has a copy of O(primary)'s data, ready to be started; a standby stays as it is.
      - V(stepped_down) is a primary that has stopped with all its log sent to O(follower). V(following) makes a standby of it then, and
        V(serving) starts it again as the primary.
      - V(primary) is a standby that has taken over. It waits for no standby of its own, whatever its configuration says, until it is
        V(waiting).
    type: str
    choices: [found, standby, stepped_down, following, serving, waiting, primary]
    default: found
  primary:
    description: The primary's C(host) and C(port).
    type: dict
  identifier:
    description: The primary's system identifier. A folder that holds another database is refused.
    type: str
  bytes:
    description: Size of the primary's data.
    type: int
    default: 0
  user:
    description: Who may replicate.
    type: str
    default: berth_replication
  password:
    description: The password.
    type: str
  authority:
    description: Certificate of the authority, in PEM, that the primary's certificate is checked against.
    type: path
  follower:
    description: Name of the standby, under which it follows, and of its replication slot.
    type: str
  location:
    description: Place in the write-ahead log up to which a standby has to have it before it takes over.
    type: str
  wait_timeout:
    description: For how many seconds to wait.
    type: int
    default: 60
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows nothing.
    support: none
requirements:
  - docker and docker compose
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: What is this server?
  postgres_member:
    data: /mnt/data/postgres
    container: berth-postgres
    image: postgres:17.7
    project: /etc/berth/postgres/compose.yaml
"""

RETURN = r"""
member:
  description:
    - C(standing) is empty, standby or primary; C(runs); C(identifier) and C(timeline) of the data. Of a running primary C(followers) and
      C(bytes), of a running standby C(received), and the same in bytes.
  type: dict
  returned: success
aside:
  description: Where the data is that was in the place of a copy, or the empty string.
  type: str
  returned: success
location:
  description: Up to where the log of a primary goes that has stepped down.
  type: str
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth.postgres_member import Member
from ansible.module_utils.berth.problems import BerthError


def change(module: Any, member: Member, there: dict[str, Any]) -> dict[str, Any]:
    """Bring the server to what is wanted, or in check mode say whether it is. Raises :class:`BerthError`."""
    params, standing, check = module.params, there["standing"], module.check_mode
    answer: dict[str, Any] = {"changed": False, "aside": "", "location": ""}
    if params["state"] == "standby":
        if there["identifier"] not in ("", params["identifier"]):
            raise BerthError(
                f"{params['data']} holds another database than the primary's, no copy of it (system identifier {there['identifier']}, not "
                f"{params['identifier']}). Move it away, or take this machine out of the group; nothing was touched"
            )
        answer["changed"] = standing != "standby"
        if answer["changed"] and not check:
            answer["aside"] = member.copy()
    elif params["state"] == "stepped_down":
        if standing != "primary" or not there["runs"]:
            raise BerthError("this server is no primary that runs, so it cannot step down")
        answer["changed"] = True
        if not check:
            answer["location"] = member.step_down()
    elif params["state"] == "following":
        answer["changed"] = standing == "primary"
        if answer["changed"] and not check:
            member.follow()
    elif params["state"] == "serving":
        answer["changed"] = not there["runs"]
        if answer["changed"] and not check:
            member.start()
    elif params["state"] == "waiting":
        answer["changed"] = standing == "primary" and there["runs"] and not member.waits()
        if answer["changed"] and not check:
            member.wait_again()
    elif params["state"] == "primary":
        if standing == "empty" or not there["runs"]:
            raise BerthError("there is no standby here that runs, so it cannot take over")
        answer["changed"] = standing == "standby"
        if answer["changed"] and not check:
            member.promote()
    return answer


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "container": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "project": {"type": "path", "required": True},
            "state": {
                "type": "str",
                "choices": ["found", "standby", "stepped_down", "following", "serving", "waiting", "primary"],
                "default": "found",
            },
            "primary": {"type": "dict"},
            "identifier": {"type": "str"},
            "bytes": {"type": "int", "default": 0},
            "user": {"type": "str", "default": "berth_replication"},
            "password": {"type": "str", "no_log": True},
            "authority": {"type": "path"},
            "follower": {"type": "str"},
            "location": {"type": "str"},
            "wait_timeout": {"type": "int", "default": 60},
        },
        required_if=[("state", "standby", ("primary", "identifier", "password", "authority", "follower"))],
        supports_check_mode=True,
    )
    member = Member(module.params, module.run_command)
    try:
        there = member.found()
        answer = change(module, member, there)
        if answer["changed"] and not module.check_mode:
            there = member.found()
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    module.exit_json(member=there, **answer)


if __name__ == "__main__":
    main()
