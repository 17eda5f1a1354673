#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy a snapshot of an RDS instance into another region."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_snapshot_copy
short_description: Copy a snapshot of an RDS instance into another region
description:
  - Copies a snapshot into another region, encrypted there with a key of that region, and waits until it can be restored.
    amazon.aws.rds_instance_snapshot names no key, without which RDS copies no encrypted snapshot.
options:
  snapshot:
    description: Name of the snapshot in the region that the module works in.
    type: str
    required: true
  name:
    description: Name of the copy. By default the same.
    type: str
  target_region:
    description: Region of the copy.
    type: str
    required: true
  kms_key_id:
    description: Key of that region that encrypts the copy. By default the one that RDS has there for each account.
    type: str
    default: alias/aws/rds
  wait_timeout:
    description: For how many seconds it is waited for.
    type: int
    default: 3600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A region that is lost takes no backup along
  rds_snapshot_copy:
    snapshot: shop-20260131-120000
    target_region: eu-west-1
"""

RETURN = r"""
snapshot:
  description: The copy as AWS describes it, in snake case; empty in check mode.
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

# Seconds between two looks.
_STEP = 2


def find(module: Any, client: Any, name: str) -> dict[str, Any]:
    """A snapshot, empty where there is none."""
    found = absent_as_none(
        module,
        ("DBSnapshotNotFound",),
        lambda: client.describe_db_snapshots(aws_retry=True, DBSnapshotIdentifier=name),
        f"Looking up snapshot {name}",
    )
    return dict(found["DBSnapshots"][0]) if found and found["DBSnapshots"] else {}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "snapshot": {"type": "str", "required": True},
            "name": {"type": "str"},
            "target_region": {"type": "str", "required": True},
            "kms_key_id": {"type": "str", "default": "alias/aws/rds", "no_log": False},
            "wait_timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    params = module.params
    name, target = params["name"] or params["snapshot"], params["target_region"]
    here = module.client("rds", retry_decorator=AWSRetry.jittered_backoff())
    there = module.client("rds", retry_decorator=AWSRetry.jittered_backoff(), region=target)
    source = find(module, here, params["snapshot"])
    if not source and not module.check_mode:
        module.fail_json(msg=f"There is no snapshot {params['snapshot']} in {here.meta.region_name}. Nothing was copied")
    copy = find(module, there, name)
    if module.check_mode or copy.get("Status") == "available":
        module.exit_json(changed=not copy, snapshot=camel_dict_to_snake_dict(copy))
    try:
        if not copy:
            key = {"KmsKeyId": params["kms_key_id"]} if source.get("Encrypted") else {}
            there.copy_db_snapshot(
                SourceDBSnapshotIdentifier=source["DBSnapshotArn"],
                TargetDBSnapshotIdentifier=name,
                SourceRegion=here.meta.region_name,
                CopyTags=True,
                **key,
            )
        attempts = {"Delay": _STEP, "MaxAttempts": max(1, params["wait_timeout"] // _STEP)}
        there.get_waiter("db_snapshot_available").wait(DBSnapshotIdentifier=name, WaiterConfig=attempts)
        copy = find(module, there, name)
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Copying snapshot {params['snapshot']} into {target}")
    module.exit_json(changed=True, snapshot=camel_dict_to_snake_dict(copy))


if __name__ == "__main__":
    main()
