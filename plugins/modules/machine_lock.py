#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: machine_lock
short_description: Have a machine to itself until the run ends
version_added: 0.1.0
description:
  - Takes a lock on the machine, which the run has until it ends, in whatever way, or is killed. Another run that wants it meanwhile is refused, and told
    whose it is.
  - The lock is kept by an SSH session of a process that ends with the run. Of a run whose machine went away, or whose network was cut, it ends after a
    minute.
  - A second task of the same run has nothing to do, also where it is for another host that is the same machine. Where the connection is not by SSH the
    module is skipped, since then there is no machine but the one that runs Ansible; and so it is where the machine does not answer, which nobody changes then.
options:
  wait:
    description: Seconds to wait for a run that just ends.
    type: int
    default: 5
attributes:
  action:
    description: Runs on the machine that runs Ansible.
    support: full
  check_mode:
    description: Is skipped in check mode, which changes nothing that another run could meet.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Nobody else changes it meanwhile
  machine_lock:
"""

RETURN = r"""
skipped:
  description: Whether there was nothing to do, since the connection is not by SSH, nothing is changed, or the machine does not answer.
  type: bool
  returned: when skipped
"""
