# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An ElastiCache replication group as it is and as it should be: what to create, what to modify in place, what to refuse.

Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_ModifyReplicationGroup.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

# The tag that tells the group's password from another, by its digest: the API never tells a password.
TOKEN_TAG = "berth:auth-token"
# What a change of each costs, as the service's manual says.
EFFECTS = {
    "CacheNodeType": "a new set of nodes takes over: connections are lost once, for seconds, with replicas",
    "EngineVersion": "node by node, with a failover: connections are lost once, for seconds, with replicas; it cannot go back",
    "Engine": "node by node, with a failover: connections are lost once, for seconds, with replicas; it cannot go back",
    "CacheParameterGroupName": "nothing is interrupted by parameters that apply at once",
    "replicas": "nothing is interrupted; connections to a removed replica are lost",
    "shards": "keys move from shard to shard while all serve, which costs processor and memory; clients are led to where a key is",
    "TransitEncryptionMode": "nothing is interrupted; clients without TLS are refused once it is required",
    "AuthToken": "nothing is interrupted; new connections take the new password",
}
# Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Replication.Redis-RedisCluster.html; an account begins with a quota of 90.
_MOST_NODES = 500


class Change(NamedTuple):
    """What leads from the current state to the desired one.

    ``create``: parameters of CreateReplicationGroup, or None. ``modify``: parameters of ModifyReplicationGroup. ``replicas``: the new
    number, or None; ``shards`` likewise. ``tags``: to set. ``refused``: why it cannot be done in place, or the empty string. ``before`` and ``after``: what
    differs.
    """

    create: dict[str, Any] | None
    modify: dict[str, Any]
    replicas: int | None
    shards: int | None
    tags: dict[str, str]
    refused: str
    before: dict[str, Any]
    after: dict[str, Any]

    def __bool__(self) -> bool:
        return bool(self.create or self.modify or self.replicas is not None or self.shards is not None or self.tags)


def desired_state(params: Mapping[str, Any]) -> dict[str, Any]:
    """The module's parameters in the words of CreateReplicationGroup, with ``replicas`` (of a shard) and ``shards`` (0: none, for clients that
    know of no cluster) beside them; without the password.
    """
    tls = params["transit_encryption"]
    result: dict[str, Any] = {
        "ReplicationGroupId": params["name"].lower(),
        "ReplicationGroupDescription": params["description"] or params["name"],
        "Engine": params["engine"],
        "EngineVersion": params["engine_version"],
        "CacheNodeType": params["node_type"],
        "replicas": params["replicas"],
        "shards": params["shards"],
        # Which a group with shards always has.
        "AutomaticFailoverEnabled": params["automatic_failover"] or params["shards"] > 0,
        "MultiAZEnabled": params["multi_az"],
        "CacheSubnetGroupName": params["subnet_group"],
        "SecurityGroupIds": sorted(params["security_group_ids"] or []) or None,
        "CacheParameterGroupName": params["parameter_group"],
        "Port": params["port"],
        "TransitEncryptionEnabled": tls != "disabled",
        "TransitEncryptionMode": tls if tls != "disabled" else None,
        "AtRestEncryptionEnabled": params["at_rest_encryption"],
        "KmsKeyId": params["kms_key_id"],
        "SnapshotRetentionLimit": params["snapshot_retention"],
        "SnapshotWindow": params["snapshot_window"],
        "PreferredMaintenanceWindow": params["maintenance_window"],
        "AutoMinorVersionUpgrade": params["auto_minor_version_upgrade"],
        "NotificationTopicArn": params["notification_topic_arn"],
        "LogDeliveryConfigurations": _logs(params["slow_log_group"]),
        **_seed(params["snapshot_name"] or ""),
    }
    return {key: value for key, value in result.items() if value is not None}


def _seed(snapshot: str) -> dict[str, Any]:
    """What a new group begins with: a snapshot, or a file of one, ``s3://bucket/object``."""
    if snapshot.startswith("s3://"):
        return {"SnapshotArns": [f"arn:aws:s3:::{snapshot.removeprefix('s3://')}"]}
    return {"SnapshotName": snapshot or None}


def _logs(group: str | None) -> list[dict[str, Any]] | None:
    if not group:
        return None
    details = {"CloudWatchLogsDetails": {"LogGroup": group}}
    return [{"LogType": "slow-log", "DestinationType": "cloudwatch-logs", "DestinationDetails": details, "LogFormat": "json"}]


def problem(wanted: Mapping[str, Any], has_token: bool) -> str:
    """What ElastiCache would refuse for reasons that show before it is asked; empty when nothing does."""
    replicas, shards = wanted["replicas"], wanted["shards"]
    if wanted.get("AutomaticFailoverEnabled") and replicas < 1 and not shards:
        return "automatic_failover: needs at least one replica; set replicas to 1 or more"
    if wanted.get("MultiAZEnabled") and (not wanted.get("AutomaticFailoverEnabled") or replicas < 1):
        return "multi_az: needs automatic_failover, with a replica in another zone"
    if has_token and not wanted["TransitEncryptionEnabled"]:
        return "auth_token_secret: needs transit_encryption; a password in plain text could be read on the way"
    if replicas > 5:
        return f"replicas: {replicas} is more than the 5 that a primary can have"
    if not 0 <= shards * (replicas + 1) <= _MOST_NODES:
        return f"shards: {shards} with {replicas} replicas each are {shards * (replicas + 1)} nodes; a group has {_MOST_NODES} at most"
    return ""


def current_state(group: Mapping[str, Any], cluster: Mapping[str, Any] | None) -> dict[str, Any]:
    """DescribeReplicationGroups' answer, and DescribeCacheClusters' for one member, in the words of :func:`desired_state`."""
    member = cluster or {}
    shards = group.get("NodeGroups", [])
    clustered = bool(group.get("ClusterEnabled") and shards)
    endpoints = [group.get("ConfigurationEndpoint") or {}, *(each.get("PrimaryEndpoint") or {} for each in shards)]
    port = next((each["Port"] for each in endpoints if each.get("Port")), None)
    version = str(member.get("EngineVersion") or "")
    return {
        "ReplicationGroupId": group["ReplicationGroupId"],
        "ReplicationGroupDescription": group.get("Description"),
        "Engine": group.get("Engine") or member.get("Engine"),
        "EngineVersion": ".".join(version.split(".")[:2]),
        "CacheNodeType": group.get("CacheNodeType"),
        # With shards, of the one that has fewest, where a change was cut off.
        "replicas": (min(len(each["NodeGroupMembers"]) for each in shards) if clustered else len(group.get("MemberClusters", []))) - 1,
        "shards": len(shards) if clustered else 0,
        "AutomaticFailoverEnabled": group.get("AutomaticFailover") in ("enabled", "enabling"),
        "MultiAZEnabled": group.get("MultiAZ") == "enabled",
        "CacheSubnetGroupName": member.get("CacheSubnetGroupName"),
        "SecurityGroupIds": sorted(each["SecurityGroupId"] for each in member.get("SecurityGroups", [])),
        "CacheParameterGroupName": (member.get("CacheParameterGroup") or {}).get("CacheParameterGroupName"),
        "Port": port,
        "TransitEncryptionEnabled": bool(group.get("TransitEncryptionEnabled")),
        "TransitEncryptionMode": group.get("TransitEncryptionMode"),
        "AuthTokenEnabled": bool(group.get("AuthTokenEnabled")),
        "AtRestEncryptionEnabled": bool(group.get("AtRestEncryptionEnabled")),
        "KmsKeyId": group.get("KmsKeyId"),
        "SnapshotRetentionLimit": group.get("SnapshotRetentionLimit"),
        "SnapshotWindow": group.get("SnapshotWindow"),
        "PreferredMaintenanceWindow": member.get("PreferredMaintenanceWindow"),
        "AutoMinorVersionUpgrade": group.get("AutoMinorVersionUpgrade"),
        "NotificationTopicArn": (member.get("NotificationConfiguration") or {}).get("TopicArn"),
        "LogDeliveryConfigurations": [
            {key: each[key] for key in ("LogType", "DestinationType", "DestinationDetails", "LogFormat")}
            for each in group.get("LogDeliveryConfigurations", [])
            if each.get("LogType") == "slow-log"
        ],
    }


# What the API does not change in place, and what to do instead.
_FIXED = {
    "CacheSubnetGroupName": "subnet_group",
    "AtRestEncryptionEnabled": "at_rest_encryption",
    "KmsKeyId": "kms_key_id",
    "Port": "port",
    "TransitEncryptionEnabled": "transit_encryption",
}


def difference(
    current: Mapping[str, Any] | None, wanted: Mapping[str, Any], tags: Mapping[str, str], wanted_tags: Mapping[str, str], token: bool
) -> Change:
    """Compare. ``tags`` are the group's; ``token``: whether the group is to have a password from a secret, whose digest is in the tags."""
    if current is None:
        create = {key: value for key, value in wanted.items() if key not in ("replicas", "shards")}
        if wanted["shards"]:
            create |= {"ClusterMode": "enabled", "NumNodeGroups": wanted["shards"], "ReplicasPerNodeGroup": wanted["replicas"]}
        else:
            create["NumCacheClusters"] = wanted["replicas"] + 1
        return Change(create, {}, None, None, dict(wanted_tags), "", {}, dict(wanted))
    # What cannot be changed is not asked for where it is not known yet, while the group is made.
    left = {
        "SnapshotName",
        "SnapshotArns",
        "ReplicationGroupId",
        *(key for key in ("Port", "CacheSubnetGroupName") if current.get(key) is None),
    }
    differing = [key for key in wanted if key not in left and current.get(key) != wanted[key]]
    before, after = {key: current.get(key) for key in differing}, {key: wanted[key] for key in differing}
    for key in [key for key in differing if key in EFFECTS]:
        after[f"{key} (effect)"] = EFFECTS[key]
    refused = _refused(current, wanted, differing, token)
    modify = {key: wanted[key] for key in differing if key not in ("replicas", "shards", *_FIXED)}
    new_tags = {key: value for key, value in sorted(wanted_tags.items()) if tags.get(key) != value}
    if token and TOKEN_TAG in new_tags:
        modify["AuthTokenUpdateStrategy"] = "SET"
        before["AuthToken"], after["AuthToken"] = "as the secret was", "as in the secret"
    if "EngineVersion" in modify or "Engine" in modify:
        # The service wants both together when the engine changes.
        modify |= {"Engine": wanted["Engine"], "EngineVersion": wanted["EngineVersion"]}
    replicas, shards = (wanted[key] if key in differing else None for key in ("replicas", "shards"))
    for key, value in new_tags.items():
        if key != TOKEN_TAG:
            before[f"tag {key}"], after[f"tag {key}"] = tags.get(key), value
    return Change(None, modify, replicas, shards, new_tags, refused, before, after)


def _refused(current: Mapping[str, Any], wanted: Mapping[str, Any], differing: list[str], token: bool) -> str:
    name = wanted["ReplicationGroupId"]
    instead = "make a group of another name from a snapshot of this one, point the app to it, and delete this one"
    if current.get("AuthTokenEnabled") and not token:
        # DELETE, of AuthTokenUpdateStrategy, is for what goes on to RBAC.
        return f"auth_token_secret: {name} asks for a password, and AWS takes none away from a data store; {instead} (docs/aws.md)"
    for key in [key for key in differing if key in _FIXED]:
        if key == "TransitEncryptionEnabled" and wanted[key]:
            return f"transit_encryption: {name} has none, and gets it in two steps; set preferred by hand first, then required"
        return (
            f"{_FIXED[key]}: {name} has {current.get(key)!r}, and AWS cannot change that to {wanted[key]!r} without replacing the data "
            f"store; {instead}"
        )
    if "shards" in differing and not (current.get("shards") and wanted["shards"]):
        had = f"{current['shards']} shards" if current.get("shards") else "no shards"
        return (
            f"shards: {name} has {had}, and clients would have to speak to it in another way with {wanted['shards'] or 'none'}; {instead}"
        )
    if "Engine" in differing and (current.get("Engine"), wanted["Engine"]) != ("redis", "valkey"):
        return f"engine: {name} runs {current.get('Engine')}, and AWS cannot change that to {wanted['Engine']} in place; {instead}"
    if (
        "EngineVersion" in differing
        and "Engine" not in differing
        and _version(wanted["EngineVersion"]) < _version(current["EngineVersion"])
    ):
        return f"engine_version: {name} runs {current['EngineVersion']}, and AWS cannot go back to {wanted['EngineVersion']}; {instead}"
    return ""


def _version(text: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in str(text).split(".") if part.isdigit())
