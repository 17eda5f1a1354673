"""What the ElastiCache modules make of a replication group and of a parameter group: create, modify, refuse."""

from __future__ import annotations

from typing import Any

import pytest
from berth import parameter_group, replication_group
from berth.replication_group import TOKEN_TAG

PARAMS: dict[str, Any] = {
    "name": "berth-Shop",
    "description": None,
    "engine": "valkey",
    "engine_version": "8.0",
    "node_type": "cache.t4g.small",
    "replicas": 1,
    "shards": 0,
    "automatic_failover": True,
    "multi_az": True,
    "subnet_group": "berth-shop",
    "security_group_ids": ["sg-2", "sg-1"],
    "parameter_group": "berth-shop-valkey8",
    "port": 6379,
    "transit_encryption": "required",
    "at_rest_encryption": True,
    "kms_key_id": None,
    "snapshot_retention": 7,
    "snapshot_window": "01:00-02:00",
    "maintenance_window": "sun:02:30-sun:03:30",
    "auto_minor_version_upgrade": True,
    "notification_topic_arn": None,
    "slow_log_group": "/berth/shop",
    "snapshot_name": None,
}
# As the API describes what these parameters make.
GROUP = {
    "ReplicationGroupId": "berth-shop",
    "Description": "berth-Shop",
    "Status": "available",
    "CacheNodeType": "cache.t4g.small",
    "MemberClusters": ["berth-shop-001", "berth-shop-002"],
    "AutomaticFailover": "enabled",
    "MultiAZ": "enabled",
    "NodeGroups": [{"PrimaryEndpoint": {"Address": "x", "Port": 6379}}],
    "TransitEncryptionEnabled": True,
    "TransitEncryptionMode": "required",
    "AtRestEncryptionEnabled": True,
    "SnapshotRetentionLimit": 7,
    "SnapshotWindow": "01:00-02:00",
    "AutoMinorVersionUpgrade": True,
    "Engine": "valkey",
    "LogDeliveryConfigurations": [
        {
            "LogType": "slow-log",
            "DestinationType": "cloudwatch-logs",
            "DestinationDetails": {"CloudWatchLogsDetails": {"LogGroup": "/berth/shop"}},
            "LogFormat": "json",
            "Status": "active",
        }
    ],
}
CLUSTER = {
    "Engine": "valkey",
    "EngineVersion": "8.0.1",
    "CacheSubnetGroupName": "berth-shop",
    "SecurityGroups": [{"SecurityGroupId": "sg-1", "Status": "active"}, {"SecurityGroupId": "sg-2", "Status": "active"}],
    "CacheParameterGroup": {"CacheParameterGroupName": "berth-shop-valkey8"},
    "PreferredMaintenanceWindow": "sun:02:30-sun:03:30",
}


def change(tags: dict[str, str] | None = None, own: dict[str, str] | None = None, token: bool = False, **other: Any):
    wanted = replication_group.desired_state({**PARAMS, **other})
    current = replication_group.current_state(GROUP, CLUSTER)
    return replication_group.difference(current, wanted, own or {}, tags or {}, token)


def test_what_was_made_is_what_was_asked_for():
    assert not change()


def test_a_new_group_is_created_whole():
    wanted = replication_group.desired_state(PARAMS)
    found = replication_group.difference(None, wanted, {}, {"a": "b"}, True)
    assert found.create is not None
    assert found.create["NumCacheClusters"] == 2
    assert found.create["ReplicationGroupId"] == "berth-shop"
    assert "replicas" not in found.create
    assert found.tags == {"a": "b"}


@pytest.mark.parametrize(
    ("other", "modify", "replicas"),
    [
        ({"node_type": "cache.m7g.large"}, {"CacheNodeType": "cache.m7g.large"}, None),
        ({"replicas": 3}, {}, 3),
        ({"snapshot_retention": 0}, {"SnapshotRetentionLimit": 0}, None),
        ({"transit_encryption": "preferred"}, {"TransitEncryptionMode": "preferred"}, None),
        ({"engine_version": "8.1"}, {"Engine": "valkey", "EngineVersion": "8.1"}, None),
        ({"security_group_ids": ["sg-1"]}, {"SecurityGroupIds": ["sg-1"]}, None),
    ],
)
def test_what_can_be_changed_in_place_is(other, modify, replicas):
    found = change(**other)
    assert (found.modify, found.replicas, found.refused) == (modify, replicas, "")


def test_a_password_is_not_taken_away():
    current = replication_group.current_state({**GROUP, "AuthTokenEnabled": True}, CLUSTER)
    wanted = replication_group.desired_state({**PARAMS, "transit_encryption": "preferred"})
    refused = replication_group.difference(current, wanted, {}, {}, False).refused
    assert refused.startswith("auth_token_secret: berth-shop asks for a password, and AWS takes none away")
    assert not replication_group.difference(current, wanted, {}, {}, True).refused


# The same with two shards.
SHARDED = {
    **GROUP,
    "ClusterEnabled": True,
    "MemberClusters": [f"berth-shop-{shard}-{node}" for shard in ("0001", "0002") for node in ("001", "002")],
    "ConfigurationEndpoint": {"Address": "x", "Port": 6379},
    "NodeGroups": [{"NodeGroupId": each, "NodeGroupMembers": [{}, {}]} for each in ("0001", "0002")],
}


def test_shards_are_more_or_fewer_in_place_and_their_group_always_fails_over():
    params = {**PARAMS, "shards": 2, "automatic_failover": False}
    wanted = replication_group.desired_state(params)
    assert not replication_group.problem(wanted, True)
    made = replication_group.difference(None, wanted, {}, {}, True).create
    assert made
    assert (made["NumNodeGroups"], made["ReplicasPerNodeGroup"], made["AutomaticFailoverEnabled"]) == (2, 1, True)
    assert not {"NumCacheClusters", "replicas", "shards"} & set(made)
    current = replication_group.current_state(SHARDED, CLUSTER)
    assert not replication_group.difference(current, wanted, {}, {}, True)
    found = replication_group.difference(current, {**wanted, "shards": 3}, {}, {}, True)
    assert (found.modify, found.replicas, found.shards, found.refused) == ({}, None, 3, "")
    assert "while all serve" in found.after["shards (effect)"]


@pytest.mark.parametrize(("there", "shards", "words"), [(GROUP, 2, "has no shards"), (SHARDED, 0, "has 2 shards")])
def test_from_and_to_no_shards_is_another_group(there, shards, words):
    wanted = replication_group.desired_state({**PARAMS, "shards": shards})
    found = replication_group.difference(replication_group.current_state(there, CLUSTER), wanted, {}, {}, True)
    assert words in found.refused
    assert "from a snapshot of this one" in found.refused


def test_the_difference_says_what_a_change_interrupts():
    found = change(node_type="cache.m7g.large")
    assert found.before == {"CacheNodeType": "cache.t4g.small"}
    assert "connections are lost" in found.after["CacheNodeType (effect)"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"subnet_group": "other"}, "subnet_group"),
        ({"at_rest_encryption": False}, "at_rest_encryption"),
        ({"port": 6380}, "port"),
        ({"transit_encryption": "disabled"}, "transit_encryption"),
        ({"engine_version": "7.2"}, "cannot go back"),
        ({"engine": "redis", "engine_version": "7.1"}, "cannot change that to redis in place"),
    ],
)
def test_what_would_replace_the_data_store_is_refused_by_name(other, words):
    found = change(**other)
    assert words in found.refused
    assert "berth-shop" in found.refused
    assert "snapshot" in found.refused


def test_what_is_not_known_yet_of_a_group_that_is_made_is_no_difference():
    wanted = replication_group.desired_state(PARAMS)
    current = replication_group.current_state({**GROUP, "NodeGroups": [], "ConfigurationEndpoint": None}, None)
    assert replication_group.difference(current, wanted, {}, {}, False).refused == ""


def test_a_new_password_is_set_by_its_digest_and_never_shown():
    found = change(tags={TOKEN_TAG: "new"}, own={TOKEN_TAG: "old"}, token=True)
    assert found.modify == {"AuthTokenUpdateStrategy": "SET"}
    assert found.tags == {TOKEN_TAG: "new"}
    assert "new" not in str(found.after).replace("new connections", "")
    assert not change(tags={TOKEN_TAG: "old"}, own={TOKEN_TAG: "old"}, token=True)


@pytest.mark.parametrize(
    ("other", "token", "words"),
    [
        ({"replicas": 0}, False, "at least one replica"),
        ({"automatic_failover": False}, False, "needs automatic_failover"),
        ({"replicas": 6}, False, "more than the 5"),
        ({"shards": 251}, False, "502 nodes; a group has 500 at most"),
        ({"shards": -1}, False, "-2 nodes"),
        ({"shards": 2, "replicas": 0}, False, "with a replica in another zone"),
        ({"shards": 2, "replicas": 0, "multi_az": False}, False, ""),
        ({"transit_encryption": "disabled"}, True, "needs transit_encryption"),
        ({}, True, ""),
    ],
)
def test_what_elasticache_would_refuse_is_said_first(other, token, words):
    found = replication_group.problem(replication_group.desired_state({**PARAMS, **other}), token)
    assert words in found
    assert bool(found) == bool(words)


KNOWN = [
    {"ParameterName": "maxmemory-policy", "ParameterValue": "volatile-lru", "AllowedValues": "volatile-lru,noeviction", "Source": "system"},
    {"ParameterName": "activedefrag", "ParameterValue": "yes", "AllowedValues": "yes,no", "Source": "user"},
    {"ParameterName": "timeout", "ParameterValue": "0", "Source": "system"},
    {"ParameterName": "cluster-enabled", "ParameterValue": "no", "IsModifiable": False, "Source": "system"},
    {"ParameterName": "databases", "ParameterValue": "16", "IsModifiable": False, "Source": "system"},
]


def test_parameters_are_set_and_set_back():
    assert parameter_group.difference(KNOWN, {"maxmemory-policy": "noeviction", "timeout": 0}) == (
        {"maxmemory-policy": "noeviction"},
        ["activedefrag"],
    )
    assert parameter_group.difference(KNOWN, {"activedefrag": True}) == ({}, [])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"maxmemory-polcy": "noeviction"}, "did you mean 'maxmemory-policy'"),
        ({"maxmemory-policy": "never"}, "'never' is not one of volatile-lru, noeviction"),
        ({"databases": 4}, "does not let it be changed"),
        ({"cluster-enabled": True}, ""),
        ({"timeout": 5}, ""),
    ],
)
def test_a_parameter_that_there_is_not_says_what_was_meant(wanted, words):
    assert words in parameter_group.problem(KNOWN, wanted)
