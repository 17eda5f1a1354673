#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look up an ElastiCache replication group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_replication_group_info
short_description: Look up the ElastiCache replication group that serves
description:
  - Tells what AWS tells of a stack's replication group. AWS gives no group another name, so one that was restored from a snapshot and took
    the place of another is called C(NAME-r2), and its tags say that it serves.
options:
  name:
    description: Name of the stack's group, as it was made first.
    type: str
    required: true
  snapshots:
    description: Whether to look for its snapshots too.
    type: bool
    default: false
  restore_to:
    description: V(latest), the name of a snapshot, a file of one (C(s3://BUCKET/OBJECT)), or a time, for which the newest snapshot before it is chosen.
    type: str
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Where does the cache answer?
  elasticache_replication_group_info:
    name: shop
  register: cache
"""

RETURN = r"""
replication_group:
  description: The group that serves, as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
serving:
  description: Its name; empty where there is none.
  type: str
  returned: success
beside:
  description: Name of a group that was restored, and does not serve yet; empty where there is none.
  type: str
  returned: success
beside_group:
  description: That group as AWS describes it.
  type: dict
  returned: success
aside:
  description: Names of groups that served before.
  type: list
  elements: str
  returned: success
free:
  description: A name for one more.
  type: str
  returned: success
region:
  description: Region that was looked in.
  type: str
  returned: success
snapshots:
  description: Snapshots of any of them, oldest first, with C(name), C(at), C(source) and C(status).
  type: list
  elements: dict
  returned: O(snapshots=true) or O(restore_to) given
snapshot:
  description: Name of the snapshot, or the file, that O(restore_to) means.
  type: str
  returned: O(restore_to) given
snapshot_tags:
  description: Its tags.
  type: dict
  returned: O(restore_to) given
hours:
  description: Hours since the newest snapshot, or since the group was made where there is none; 0 where no group serves.
  type: float
  returned: O(snapshots=true) or O(restore_to) given
"""

from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.berth import cache_restores
from ansible.module_utils.berth.aws import AWS_ERRORS, fail_aws
from ansible.module_utils.berth.backup_choice import shown
from ansible.module_utils.berth.problems import BerthError
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def pages(client: Any, operation: str, key: str) -> list[dict[str, Any]]:
    """All that an operation describes."""
    return [each for page in client.get_paginator(operation).paginate() for each in page[key]]


def look(name: str, client: Any, *, snapshots: bool, restore_to: str | None) -> dict[str, Any]:
    """What the module returns."""
    there = {each["ReplicationGroupId"]: each for each in pages(client, "describe_replication_groups", "ReplicationGroups")}
    own = {each: there[each] for each in cache_restores.candidates(name, list(there))}
    tags: dict[str, dict[str, str]] = {each: {} for each in own}
    # Alone, the one that was made first serves, whatever its tags say.
    for each in own if set(own) != {name} else ():
        listed = client.list_tags_for_resource(aws_retry=True, ResourceName=own[each]["ARN"])["TagList"]
        tags[each] = {tag["Key"]: tag["Value"] for tag in listed}
    found = cache_restores.members(name, tags)
    result: dict[str, Any] = {
        **found._asdict(),
        "region": client.meta.region_name,
        "replication_group": camel_dict_to_snake_dict(there.get(found.serving, {})),
        "beside_group": camel_dict_to_snake_dict(there.get(found.beside, {})),
    }
    if snapshots or restore_to:
        listed = pages(client, "describe_snapshots", "Snapshots")
        kept = cache_restores.available(
            [each for each in listed if cache_restores.candidates(name, [each.get("ReplicationGroupId") or ""])]
        )
        result["snapshots"] = [{**each, "at": shown(each["at"])} for each in kept]
        begun = there.get(found.serving, {}).get("ReplicationGroupCreateTime")
        since = max((each["at"] for each in kept if each["status"] == "available"), default=begun)
        result["hours"] = round((datetime.now(UTC) - since).total_seconds() / 3600, 2) if begun and since else 0.0
        if (restore_to or "").startswith("s3://"):
            # A copy, of which no list of ElastiCache's tells.
            result |= {"snapshot": restore_to, "snapshot_tags": {}}
        elif restore_to:
            result["snapshot"] = cache_restores.snapshot_for(restore_to, kept)
            arn = next(each["ARN"] for each in listed if each["SnapshotName"] == result["snapshot"])
            told = client.list_tags_for_resource(aws_retry=True, ResourceName=arn)["TagList"]
            result["snapshot_tags"] = {tag["Key"]: tag["Value"] for tag in told}
    return result


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "snapshots": {"type": "bool", "default": False},
            "restore_to": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params, name = module.params, module.params["name"].lower()
    client = module.client("elasticache", retry_decorator=AWSRetry.jittered_backoff())
    try:
        found = look(name, client, snapshots=params["snapshots"], restore_to=params["restore_to"])
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Looking up replication group {name}")
        raise AssertionError("fail_aws returned") from None
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
