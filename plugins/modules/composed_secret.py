#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep texts with passwords in them in AWS Secrets Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: composed_secret
short_description: Keep texts with passwords in them in AWS Secrets Manager
version_added: 0.1.0
description:
  - Puts passwords that other secrets hold into texts, such as a .NET connection string, and keeps the texts under their keys in one secret, a JSON
    object. Neither is ever returned.
  - Texts under other keys stay, since earlier releases refer to them, as long as there is room.
options:
  name:
    description: Name of the secret.
    type: str
    required: true
  state:
    description: Whether it is there. A deleted secret can be restored within O(recovery_days).
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What it is for.
    type: str
    default: ""
  texts:
    description:
      - Key to C(text) and C(passwords), of which the latter is a mark in the text to the reference to what stands there,
        C(arn:aws:secretsmanager:…:key::). As M(dockerrun) returns them.
    type: dict
    default: {}
  recovery_days:
    description: How long a deleted secret can be restored. V(0) deletes it at once.
    type: int
    default: 7
  tags:
    description: Tags to set. Others stay.
    type: dict
    default: {}
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Names the keys that change, never their values.
    support: full
seealso:
  - module: dockerrun
  - module: generated_secret
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Keep the app's connection strings
  composed_secret:
    name: berth/shop/app
    texts: "{{ rendered.composed }}"
"""

RETURN = r"""
arn:
  description: ARN of the secret; empty in check mode where it does not exist.
  type: str
  returned: success
"""

from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, fail_aws, tag_difference
from ansible.module_utils.berth.aws_secret import apply, content, describe, field, remove
from ansible.module_utils.berth.composed import kept, with_passwords
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def passwords(module: Any, client: Any) -> dict[str, str]:
    """Each password that the texts refer to, by its reference."""
    found = {}
    for reference in {ref for entry in module.params["texts"].values() for ref in entry["passwords"].values()}:
        try:
            found[reference] = field(client, reference)
        except AWS_ERRORS as error:
            fail_aws(module, error, f"Reading {reference}")
        except (KeyError, ValueError):
            module.fail_json(msg=f"{reference} leads to nothing: the secret is no JSON object with such a key")
    module.no_log_values.update(found.values())
    return found


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str", "default": ""},
            "texts": {"type": "dict", "default": {}},
            "recovery_days": {"type": "int", "default": 7},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    client = module.client("secretsmanager", retry_decorator=AWSRetry.jittered_backoff())
    there = describe(module, client)
    if params["state"] == "absent":
        module.exit_json(changed=remove(module, client, there), arn=(there or {}).get("ARN", ""))
    deleted = bool(there and there.get("DeletedDate"))
    current = {} if deleted else content(module, client, there) or {}
    # What the stores' secrets are to hold is not there yet where all of it is only looked at.
    new = with_passwords(params["texts"], passwords(module, client)) if not module.check_mode else dict.fromkeys(params["texts"], "")
    module.no_log_values.update(filter(None, new.values()))
    keys = sorted(key for key, text in new.items() if key not in current or (text and current[key] != text))
    tags = tag_difference({each["Key"]: each["Value"] for each in (there or {}).get("Tags", [])}, params["tags"])
    changed = bool(keys or tags or deleted or there is None)
    if changed and not module.check_mode:
        there = apply(module, client, there, kept(current, new), changed=bool(keys or deleted), ordered=True)
    module.exit_json(
        changed=changed,
        arn=(there or {}).get("ARN", ""),
        diff={"before": {"keys": sorted(current)}, "after": {"keys": sorted({*current, *new}), "changed": keys, "tags": tags}},
    )


if __name__ == "__main__":
    main()
