#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take a snapshot of an ElastiCache replication group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_snapshot
short_description: Take a snapshot of an ElastiCache replication group
description:
  - Takes a snapshot of a replication group, of a replica where there is one, and waits until it can be restored.
    community.aws.elasticache_snapshot asks for the node too, and does not wait.
options:
  name:
    description: Name of the snapshot. One that is there already is waited for.
    type: str
    required: true
  replication_group:
    description: Name of the group.
    type: str
    required: true
  tags:
    description: Tags of it.
    type: dict
    default: {}
  wait_timeout:
    description: For how many seconds it is waited for.
    type: int
    default: 1800
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
- name: Before the upgrade
  elasticache_snapshot:
    name: shop-before-the-upgrade
    replication_group: shop
"""

RETURN = r"""
snapshot:
  description: The snapshot as AWS describes it, in snake case; empty in check mode.
  type: dict
  returned: success
"""

import time
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws, tag_difference, tag_list
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "replication_group": {"type": "str", "required": True},
            "tags": {"type": "dict", "default": {}},
            "wait_timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    params = module.params
    client = module.client("elasticache", retry_decorator=AWSRetry.jittered_backoff())

    def find() -> dict[str, Any]:
        found = absent_as_none(
            module,
            ("SnapshotNotFoundFault",),
            lambda: client.describe_snapshots(aws_retry=True, SnapshotName=params["name"]),
            f"Looking up snapshot {params['name']}",
        )
        return dict((found or {}).get("Snapshots", [{}])[0]) if (found or {}).get("Snapshots") else {}

    there, tags = find(), {key: str(value) for key, value in params["tags"].items()}
    if module.check_mode:
        module.exit_json(changed=not there, snapshot=camel_dict_to_snake_dict(there))
    try:
        if there and there["SnapshotStatus"] == "available":
            kept = client.list_tags_for_resource(aws_retry=True, ResourceName=there["ARN"])["TagList"]
            if more := tag_difference({each["Key"]: each["Value"] for each in kept}, tags):
                client.add_tags_to_resource(aws_retry=True, ResourceName=there["ARN"], Tags=tag_list(more))
            module.exit_json(changed=bool(more), snapshot=camel_dict_to_snake_dict(there))
        if not there:
            client.create_snapshot(ReplicationGroupId=params["replication_group"], SnapshotName=params["name"], Tags=tag_list(tags))
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Taking snapshot {params['name']}")
    end = time.monotonic() + params["wait_timeout"]
    while (there := find()).get("SnapshotStatus") != "available":
        if there.get("SnapshotStatus") == "failed" or time.monotonic() > end:
            why = "failed" if there.get("SnapshotStatus") == "failed" else f"is not there after {params['wait_timeout']} s"
            module.fail_json(
                msg=f"Snapshot {params['name']} of {params['replication_group']} {why}; its events say why. Nothing else was touched"
            )
        time.sleep(2)
    module.exit_json(changed=True, snapshot=camel_dict_to_snake_dict(there))


if __name__ == "__main__":
    main()
