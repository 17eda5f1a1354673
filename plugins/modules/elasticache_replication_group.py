#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep an ElastiCache replication group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_replication_group
short_description: Keep an ElastiCache replication group of Valkey or Redis
description:
  - Makes a replication group without shards, and changes in place what AWS changes in place. What would need another data store is
    refused, with the way to get there.
options:
  name:
    description: Name of the group. 1 to 40 letters, digits and single hyphens, beginning with a letter.
    type: str
    required: true
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What it is for. By default its name.
    type: str
  engine:
    description: The engine. Redis can become Valkey in place, and never the other way.
    type: str
    choices: [valkey, redis]
    default: valkey
  engine_version:
    description: Major and minor version. AWS can go up, and never back.
    type: str
    default: "8.0"
  node_type:
    description: Class of the nodes.
    type: str
    default: cache.t4g.small
  replicas:
    description: How many replicas the primary has, or that of each shard, 0 to 5.
    type: int
    default: 1
  shards:
    description:
      - Over how many primaries keys are spread (cluster mode). Changed in place, while all serve. Clients have to be cluster clients, also with 1.
      - With 0, one primary has all keys, for any client. Cannot be changed in place from or to 0.
    type: int
    default: 0
  automatic_failover:
    description: Whether a replica takes over when the primary fails.
    type: bool
    default: true
  multi_az:
    description: Whether primary and replicas are kept in different zones.
    type: bool
    default: true
  subnet_group:
    description: Name of the subnet group. Cannot be changed in place.
    type: str
  security_group_ids:
    description: Security groups.
    type: list
    elements: str
  parameter_group:
    description: Name of the parameter group.
    type: str
  port:
    description: Port. Cannot be changed in place.
    type: int
    default: 6379
  transit_encryption:
    description: Whether clients speak TLS - V(required), V(preferred) (both are taken), or V(disabled).
    type: str
    choices: [required, preferred, disabled]
    default: required
  at_rest_encryption:
    description: Whether data is encrypted on disk. Cannot be changed in place.
    type: bool
    default: true
  kms_key_id:
    description: Key of the encryption at rest. By default the service's own. Cannot be changed in place.
    type: str
  auth_token_secret:
    description:
      - Name or ARN of a Secrets Manager secret whose key C(password) is the password. The module reads it by itself, so that it stands
        in no playbook, and sets it again when the secret has another.
    type: str
  snapshot_retention:
    description: For how many days daily snapshots are kept. V(0) takes none.
    type: int
    default: 7
  snapshot_window:
    description: When they are taken, such as V(03:00-04:00), in UTC.
    type: str
  maintenance_window:
    description: When the service may patch, such as V(sun:04:00-sun:05:00), in UTC.
    type: str
  auto_minor_version_upgrade:
    description: Whether minor versions are upgraded in that window.
    type: bool
    default: true
  slow_log_group:
    description: CloudWatch log group that gets the slow log.
    type: str
  notification_topic_arn:
    description: SNS topic that is told of failovers and the like.
    type: str
  snapshot_name:
    description: Snapshot to start from, when the group is made, or a file of one, C(s3://BUCKET/OBJECT).
    type: str
  final_snapshot:
    description: Name of a last snapshot, with O(state=absent). Without it, the data is gone.
    type: str
  tags:
    description: Tags to set. Others stay.
    type: dict
    default: {}
  wait:
    description: Whether to wait until the group is available, or gone.
    type: bool
    default: true
  wait_timeout:
    description: For how many seconds.
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
  diff_mode:
    description: Shows what differs, and what a change interrupts.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A cache of one primary and one replica, in two zones
  elasticache_replication_group:
    name: shop
    node_type: cache.t4g.small
    subnet_group: shop
    security_group_ids: [sg-0123456789abcdef0]
    auth_token_secret: berth/shop/redis

- name: Take it away, and keep what it holds
  elasticache_replication_group:
    name: shop
    state: absent
    final_snapshot: shop-final
"""

RETURN = r"""
replication_group:
  description: The group as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
"""

import hashlib
import json
import time
from typing import Any

from ansible.module_utils.berth import replication_group
from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws, made, tag_list
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

_STEADY = ("available", "create-failed")


def describe(module: Any, client: Any) -> dict[str, Any] | None:
    """The group, or None."""
    name = module.params["name"].lower()
    found = absent_as_none(
        module,
        ("ReplicationGroupNotFoundFault",),
        lambda: client.describe_replication_groups(aws_retry=True, ReplicationGroupId=name),
        f"Looking up replication group {name}",
    )
    return found["ReplicationGroups"][0] if found else None


def wait(module: Any, client: Any, group: dict[str, Any] | None, *, gone: bool = False) -> dict[str, Any] | None:
    """Wait until the group is steady, or gone."""
    end = time.monotonic() + module.params["wait_timeout"]
    while group is not None and (gone or group["Status"] not in _STEADY):
        if time.monotonic() > end:
            module.fail_json(
                msg=f"Replication group {group['ReplicationGroupId']} is still {group['Status']} after {module.params['wait_timeout']} s; "
                "AWS goes on with it. Run again, or give it longer with wait_timeout"
            )
        time.sleep(2)
        group = describe(module, client)
    if group and group["Status"] == "create-failed":
        module.fail_json(
            msg=f"Replication group {group['ReplicationGroupId']} could not be made; its events say why. Delete it and run again"
        )
    return group


def token_of(module: Any) -> tuple[str | None, str]:
    """The password in the secret, and what tells it from another: half of its digest, of 190 bits or more that nobody can guess."""
    secret = module.params["auth_token_secret"]
    if not secret:
        return None, ""
    client = module.client("secretsmanager", retry_decorator=AWSRetry.jittered_backoff())
    found = absent_as_none(
        module,
        ("ResourceNotFoundException",),
        lambda: client.get_secret_value(aws_retry=True, SecretId=secret),
        f"Reading the password in secret {secret}",
    )
    if found is None:
        if module.check_mode:
            return None, ""
        module.fail_json(msg=f"auth_token_secret: there is no secret {secret}; make it first, with generated_secret")
    try:
        password = str(json.loads(found["SecretString"])["password"])
    except (ValueError, KeyError, TypeError):
        module.fail_json(msg=f"auth_token_secret: {secret} is no JSON object with a password")
        raise AssertionError("fail_json returned") from None
    module.no_log_values.add(password)
    return password, hashlib.sha256(f"{module.params['name']}:{password}".encode()).hexdigest()[:32]


def apply(module: Any, client: Any, change: replication_group.Change, group: dict[str, Any] | None, token: str | None) -> dict[str, Any]:
    """Make the change. Returns the group then."""
    name = module.params["name"].lower()
    try:
        if change.create is not None:
            secret = {"AuthToken": token} if token else {}
            made(client.create_replication_group, **change.create, **secret, Tags=tag_list(change.tags))
            return wait(module, client, describe(module, client)) if module.params["wait"] else describe(module, client) or {}  # type: ignore[return-value]
        group = wait(module, client, group)
        assert group is not None
        before = replication_group.current_state(group, None)
        steps = [("shards", change.shards), ("replicas", change.replicas), ("modify", change.modify)]
        # Failover needs a replica: add before it is switched on, remove after it is switched off.
        for what, value in steps if (change.replicas or 0) > before["replicas"] else reversed(steps):
            if value is None or value == {}:
                continue
            if what == "shards":
                # The last ones go.
                gone = sorted(each["NodeGroupId"] for each in group["NodeGroups"])[value:]
                client.modify_replication_group_shard_configuration(
                    ReplicationGroupId=name, NodeGroupCount=value, ApplyImmediately=True, **({"NodeGroupsToRemove": gone} if gone else {})
                )
            elif what == "replicas":
                resize = client.increase_replica_count if value > before["replicas"] else client.decrease_replica_count
                resize(ReplicationGroupId=name, NewReplicaCount=value, ApplyImmediately=True)
            else:
                secret = {"AuthToken": token} if "AuthTokenUpdateStrategy" in value else {}
                client.modify_replication_group(ReplicationGroupId=name, ApplyImmediately=True, **value, **secret)
            group = wait(module, client, describe(module, client)) if module.params["wait"] else describe(module, client)
            assert group is not None
        if change.tags:
            client.add_tags_to_resource(aws_retry=True, ResourceName=(group or {})["ARN"], Tags=tag_list(change.tags))
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Changing replication group {name}")
    return group or {}


def remove(module: Any, client: Any, group: dict[str, Any] | None) -> None:
    """Delete the group, and end."""
    name, final = module.params["name"].lower(), module.params["final_snapshot"]
    there = group is not None and group["Status"] != "deleting"
    if group is not None and not module.check_mode:
        try:
            if there:
                wait(module, client, group)
                client.delete_replication_group(ReplicationGroupId=name, **({"FinalSnapshotIdentifier": final} if final else {}))
        except AWS_ERRORS as error:
            fail_aws(module, error, f"Deleting replication group {name}")
        if module.params["wait"]:
            wait(module, client, describe(module, client), gone=True)
    diff = {"before": {"name": name, "status": (group or {}).get("Status")}, "after": {"final_snapshot": final}} if there else {}
    module.exit_json(changed=there, replication_group={}, diff=diff)


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str"},
            "engine": {"type": "str", "choices": ["valkey", "redis"], "default": "valkey"},
            "engine_version": {"type": "str", "default": "8.0"},
            "node_type": {"type": "str", "default": "cache.t4g.small"},
            "replicas": {"type": "int", "default": 1},
            "shards": {"type": "int", "default": 0},
            "automatic_failover": {"type": "bool", "default": True},
            "multi_az": {"type": "bool", "default": True},
            "subnet_group": {"type": "str"},
            "security_group_ids": {"type": "list", "elements": "str"},
            "parameter_group": {"type": "str"},
            "port": {"type": "int", "default": 6379},
            "transit_encryption": {"type": "str", "choices": ["required", "preferred", "disabled"], "default": "required"},
            "at_rest_encryption": {"type": "bool", "default": True},
            "kms_key_id": {"type": "str", "no_log": False},
            "auth_token_secret": {"type": "str", "no_log": False},
            "snapshot_retention": {"type": "int", "default": 7},
            "snapshot_window": {"type": "str"},
            "maintenance_window": {"type": "str"},
            "auto_minor_version_upgrade": {"type": "bool", "default": True},
            "slow_log_group": {"type": "str"},
            "notification_topic_arn": {"type": "str"},
            "snapshot_name": {"type": "str"},
            "final_snapshot": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 1800},
        },
        supports_check_mode=True,
    )
    client = module.client("elasticache", retry_decorator=AWSRetry.jittered_backoff())
    group = describe(module, client)
    if module.params["state"] == "absent":
        remove(module, client, group)
    wanted = replication_group.desired_state(module.params)
    problem = replication_group.problem(wanted, bool(module.params["auth_token_secret"]))
    if problem:
        module.fail_json(msg=problem)
    if group and group["Status"] == "deleting":
        group = None if module.check_mode else wait(module, client, group, gone=True)
    if group and group["Status"] == "creating" and not module.check_mode:
        # As a run leaves it that was killed: its port and more are not known yet.
        group = wait(module, client, group)
    token, digest = token_of(module)
    tags = {key: str(value) for key, value in module.params["tags"].items()} | ({replication_group.TOKEN_TAG: digest} if digest else {})
    try:
        current = cluster = None
        own: dict[str, str] = {}
        if group:
            members = group["MemberClusters"]
            cluster = client.describe_cache_clusters(aws_retry=True, CacheClusterId=members[0])["CacheClusters"][0] if members else None
            current = replication_group.current_state(group, cluster)
            own = {
                each["Key"]: each["Value"] for each in client.list_tags_for_resource(aws_retry=True, ResourceName=group["ARN"])["TagList"]
            }
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Looking at replication group {module.params['name']}")
    change = replication_group.difference(current, wanted, own, tags, bool(module.params["auth_token_secret"]))
    if change.refused:
        module.fail_json(msg=change.refused)
    if change and not module.check_mode:
        group = apply(module, client, change, group, token)
    elif group and module.params["wait"] and not module.check_mode:
        group = wait(module, client, group)
    module.exit_json(
        changed=bool(change),
        replication_group=camel_dict_to_snake_dict(group or {}),
        diff={"before": change.before, "after": change.after},
    )


if __name__ == "__main__":
    main()
