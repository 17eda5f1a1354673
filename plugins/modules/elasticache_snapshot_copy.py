#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy a snapshot of an ElastiCache replication group into another region."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_snapshot_copy
short_description: Copy a snapshot of an ElastiCache replication group into another region
description:
  - ElastiCache copies no snapshot into another region. It exports one into a bucket of the snapshot's region; from there this module copies the
    files into a bucket of the other region, and removes the export. A new group can begin with them.
  - Both buckets have to let ElastiCache's service of their region in.
options:
  snapshot:
    description: Name of the snapshot.
    type: str
    required: true
  bucket:
    description: Bucket of the region that the module works in, for the export.
    type: str
    required: true
  target_bucket:
    description: Bucket of the other region.
    type: str
    required: true
  target_region:
    description: The other region.
    type: str
    required: true
  wait_timeout:
    description: For how many seconds the export is waited for.
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
seealso:
  - name: Exporting a backup
    description: How AWS does it.
    link: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/backups-exporting.html
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A region that is lost takes no backup along
  elasticache_snapshot_copy:
    snapshot: shop-20260131-120000
    bucket: shop-exports
    target_bucket: shop-copies
    target_region: eu-west-1
"""

RETURN = r"""
copies:
  description: The files of the copy, C(s3://BUCKET/OBJECT), one for each shard.
  type: list
  elements: str
  returned: success
"""

import time
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

# Seconds between two looks.
_STEP = 2


def there(module: Any, client: Any, bucket: str, key: str) -> bool:
    """Whether a bucket has an object. ElastiCache's export appears there when all of it is there."""
    looked = absent_as_none(
        module,
        ("404", "NoSuchKey", "NoSuchBucket"),
        lambda: client.head_object(Bucket=bucket, Key=key),
        f"Looking for {key} in bucket {bucket}",
    )
    return looked is not None


def export(module: Any, client: Any, store: Any, keys: list[str]) -> None:
    """Have the snapshot exported, and wait for all of it."""
    name, bucket = module.params["snapshot"], module.params["bucket"]
    if not any(there(module, store, bucket, key) for key in keys):
        client.copy_snapshot(SourceSnapshotName=name, TargetSnapshotName=name, TargetBucket=bucket)
    end = time.monotonic() + module.params["wait_timeout"]
    while not all(there(module, store, bucket, key) for key in keys):
        if time.monotonic() > end:
            module.fail_json(
                msg=f"Snapshot {name} is not exported to bucket {bucket} after {module.params['wait_timeout']} s. Nothing was copied"
            )
        time.sleep(_STEP)


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "snapshot": {"type": "str", "required": True},
            "bucket": {"type": "str", "required": True},
            "target_bucket": {"type": "str", "required": True},
            "target_region": {"type": "str", "required": True},
            "wait_timeout": {"type": "int", "default": 3600},
        },
        supports_check_mode=True,
    )
    params = module.params
    client = module.client("elasticache", retry_decorator=AWSRetry.jittered_backoff())
    here, other = module.client("s3"), module.client("s3", region=params["target_region"])
    found = absent_as_none(
        module,
        ("SnapshotNotFoundFault",),
        lambda: client.describe_snapshots(aws_retry=True, SnapshotName=params["snapshot"]),
        f"Looking up snapshot {params['snapshot']}",
    )
    if not (snapshots := (found or {}).get("Snapshots")):
        if module.check_mode:
            module.exit_json(changed=True, copies=[])
        module.fail_json(msg=f"There is no snapshot {params['snapshot']} in {client.meta.region_name}. Nothing was copied")
    # As ElastiCache names the file of each shard.
    keys = [f"{params['snapshot']}-{number:04d}.rdb" for number in range(1, (snapshots[0].get("NumNodeGroups") or 1) + 1)]
    copies = [f"s3://{params['target_bucket']}/{key}" for key in keys]
    lacking = [key for key in keys if not there(module, other, params["target_bucket"], key)]
    if lacking and not module.check_mode:
        try:
            export(module, client, here, keys)
            for key in lacking:
                other.copy({"Bucket": params["bucket"], "Key": key}, params["target_bucket"], key, SourceClient=here)
            here.delete_objects(Bucket=params["bucket"], Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        except AWS_ERRORS as error:
            fail_aws(module, error, f"Copying snapshot {params['snapshot']} into {params['target_region']}")
    module.exit_json(changed=bool(lacking), copies=copies)


if __name__ == "__main__":
    main()
