#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: dockerrun_info
short_description: Check a Dockerrun.aws.json
version_added: 0.1.0
description:
  - Reads a C(Dockerrun.aws.json) of version 1, 2 or 3, and reports what Elastic Beanstalk would make of it - its containers, their
    ports, and every mistake with its line and what was probably meant.
  - One mistake does not hide another. After an error in the JSON the rest of the file is still read.
options:
  path:
    description:
      - The file.
    type: path
    required: true
attributes:
  check_mode:
    description: Can run in check mode, and changes nothing in any mode.
    support: full
  diff_mode:
    description: Returns what changed.
    support: none
requirements:
  - botocore
notes:
  - A file that cannot be read, or is no JSON, makes the task fail; its mistakes are in the result all the same. Mistakes in a file
    that is JSON do not, so that a play can report them together.
seealso:
  - module: dockerrun
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Read the file the team has
  dockerrun_info:
    path: Dockerrun.aws.json
  register: dockerrun

- name: Refuse to go on with a file that Beanstalk would refuse
  ansible.builtin.assert:
    that: dockerrun.errors | length == 0
    fail_msg: "{{ dockerrun.errors | join('\n') }}"
"""

RETURN = r"""
version:
  description: The file's version, or null where it cannot be made out.
  type: int
  returned: always
  sample: 2
containers:
  description: The containers that Beanstalk would run. A file of version 1 has one, without a name.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: Name of the container.
      type: str
    image:
      description: Its image, or null where a Dockerfile beside the file is built.
      type: str
    essential:
      description: Whether its end ends the others.
      type: bool
    memory:
      description: Memory limit, or else reservation, in MiB.
      type: int
    ports:
      description: Its port mappings, C(host) (null for any), C(container) and C(protocol).
      type: list
      elements: dict
  sample:
    - {name: web, image: "nginx:1.27", essential: true, memory: 128, ports: [{host: 80, container: 80, protocol: tcp}]}
errors:
  description: What Beanstalk or ECS refuses, or what cannot work. Each with file and line.
  type: list
  elements: str
  returned: always
  sample: ["Dockerrun.aws.json:3: unknown key 'containerDefintions'; did you mean 'containerDefinitions'?"]
warnings:
  description: What works and deserves a look, such as an image without a tag. Each with file and line. Ansible shows them too.
  type: list
  elements: str
  returned: when there is anything to warn of
  sample: ["Dockerrun.aws.json:8: containerDefinitions[0] (web).image is 'nginx', without a tag: each deployment runs whatever is latest"]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import beanstalk
from ansible.module_utils.berth.problems import BerthError


def read(path: str) -> str:
    """The text of the file. Raises :class:`BerthError` where there is none to be had."""
    if os.path.isdir(path):
        raise BerthError(f"{path}: is a directory; name the Dockerrun.aws.json in it")
    try:
        size = os.stat(path).st_size
        if not os.path.isfile(path):
            raise BerthError(f"{path}: is no regular file")
        if size > beanstalk.MOST_BYTES:
            raise BerthError(
                f"{path}: has {size} bytes; a Dockerrun.aws.json has a few thousand, and more than {beanstalk.MOST_BYTES} is not read"
            )
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise BerthError(f"{path}: does not exist") from None
    except UnicodeDecodeError:
        raise BerthError(f"{path}: is no text in UTF-8") from None
    except OSError as error:
        raise BerthError(f"{path}: cannot be read: {error.strerror}") from None


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(argument_spec={"path": {"type": "path", "required": True}}, supports_check_mode=True)
    path = module.params["path"]
    result: dict[str, Any] = {"version": None, "containers": []}
    try:
        found = beanstalk.inspect(read(path))
    except BerthError as problem:
        module.fail_json(msg=str(problem), errors=[str(problem)], **result)
        raise AssertionError("fail_json returned") from None
    result = {
        "version": found.version,
        "containers": found.containers,
        "errors": [f"{path}:{each.line}: {each.message}" for each in found.errors],
    }
    for each in found.warnings:
        module.warn(f"{path}:{each.line}: {each.message}")
    if found.syntax:
        more = f" (and {len(result['errors']) - 1} more)" if len(result["errors"]) > 1 else ""
        module.fail_json(msg=result["errors"][0] + more, **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
