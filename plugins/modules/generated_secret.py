#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a generated password in AWS Secrets Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: generated_secret
short_description: Keep a generated password in AWS Secrets Manager
description:
  - Makes a secret with a random password where there is none, and keeps the fields beside it up to date. The password is made once, is
    never changed by a later run, and is never returned.
  - The secret's value is a JSON object, as RDS's own secrets are, so that one key of it can be referred to.
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
  fields:
    description: What is kept beside the password, such as C(username) and C(host). Empty values are left out.
    type: dict
    default: {}
  length:
    description: Length of the password. Letters and digits, which every store takes.
    type: int
    default: 32
  url:
    description: A connection URL with the password in it, kept as C(url).
    type: dict
    suboptions:
      scheme:
        description: Such as C(postgresql) or C(rediss).
        type: str
        required: true
      host:
        description: Host name.
        type: str
        required: true
      port:
        description: Port.
        type: int
        required: true
      database:
        description: Name of the database.
        type: str
      query:
        description: Query string, such as C(sslmode=require).
        type: str
      variants:
        description: The same URL in other forms - the name that each is kept as to a dictionary of what is another, C(scheme) or C(query).
        type: dict
        default: {}
  scram_verifier:
    description: Whether what PostgreSQL keeps instead of the password is kept too, as C(scram_verifier).
    type: bool
    default: false
  kms_key_id:
    description: Key that encrypts it. By default the account's own key of Secrets Manager.
    type: str
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
    description: Names the fields that change, never their values.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Keep the app's database user
  generated_secret:
    name: berth/shop/postgres
    description: The database user of shop
    fields:
      username: shop
      dbname: shop
    scram_verifier: true
"""

RETURN = r"""
arn:
  description: ARN of the secret; empty in check mode where it does not exist.
  type: str
  returned: success
version_id:
  description: The version that is current. It changes with every change of the content.
  type: str
  returned: success
tags:
  description: Tags of the secret.
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.berth import credentials
from ansible.module_utils.berth.aws import tag_difference
from ansible.module_utils.berth.aws_secret import apply, content, describe, remove
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

_CONFIDENTIAL = ("password", "url", "scram_verifier")


def current_version(there: dict[str, Any]) -> str:
    """The id of the version that is current."""
    stages = there.get("VersionIdsToStages") or {}
    return next((version for version, names in stages.items() if "AWSCURRENT" in names), "")


def main() -> None:
    """Run the module as Ansible calls it."""
    url = {"scheme": {"required": True}, "host": {"required": True}, "port": {"type": "int", "required": True}, "database": {}, "query": {}}
    url["variants"] = {"type": "dict", "default": {}}
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str", "default": ""},
            "fields": {"type": "dict", "default": {}},
            "length": {"type": "int", "default": 32},
            "url": {"type": "dict", "options": url},
            "scram_verifier": {"type": "bool", "default": False},
            "kms_key_id": {"type": "str", "no_log": False},
            "recovery_days": {"type": "int", "default": 7},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not 16 <= params["length"] <= 128:
        module.fail_json(msg=f"length: {params['length']} is not between 16 and 128, which ElastiCache and RDS both take")
    client = module.client("secretsmanager", retry_decorator=AWSRetry.jittered_backoff())
    there = describe(module, client)
    if params["state"] == "absent":
        module.exit_json(changed=remove(module, client, there), arn=(there or {}).get("ARN", ""), version_id="", tags={})
    deleted = bool(there and there.get("DeletedDate"))
    if deleted and not module.check_mode:
        client.restore_secret(aws_retry=True, SecretId=params["name"])
        there = describe(module, client)
    current = None if deleted and module.check_mode else content(module, client, there, _CONFIDENTIAL)
    wanted = credentials.desired(current, params["fields"], params["length"], params["url"], params["scram_verifier"])
    module.no_log_values.update(wanted[key] for key in (*_CONFIDENTIAL, *((params["url"] or {}).get("variants") or {})) if key in wanted)
    keys = credentials.changed_keys(current, wanted)
    tags = tag_difference({each["Key"]: each["Value"] for each in (there or {}).get("Tags", [])}, params["tags"])
    changed = bool(keys or tags or deleted or there is None)
    if changed and not module.check_mode:
        there = apply(module, client, there, wanted, changed=bool(keys))
    there = there or {}
    names = {"fields": sorted(current or {})}, {"fields": sorted(wanted), "changed": keys, "tags": tags}
    module.exit_json(
        changed=changed,
        arn=there.get("ARN", ""),
        version_id=current_version(there),
        tags={each["Key"]: each["Value"] for each in there.get("Tags", [])},
        diff={"before": names[0], "after": names[1] if changed else names[0]},
    )


if __name__ == "__main__":
    main()
