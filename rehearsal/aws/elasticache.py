"""ElastiCache's API: moto's, with replication groups behind it that are servers, and with what moto lacks."""

from __future__ import annotations

import re
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.elasticache.models import ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse

from . import cache_catalog, cache_nodes
from .beanstalk.instances import now
from .replication_group import ReplicationGroup
from .unrehearsed import SaysWhatIsMissing

_ID = re.compile(r"[a-z](?:-?[a-z0-9])*")
_TOKEN = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
_NODE_TYPE = re.compile(r"cache\.[a-z0-9]+\.[0-9]*[a-z]+")


class CacheError(ServiceException):
    """An error of the API: ``code`` as the service names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Region:
    """What moto's backend has no place for, by account and region."""

    def __init__(self) -> None:
        self.groups: dict[str, ReplicationGroup] = {}
        self.parameter_groups: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.past_events: list[dict[str, Any]] = []


_REGIONS: dict[tuple[str, str], _Region] = {}


def regions() -> list[_Region]:
    """What each account has in each region."""
    return list(_REGIONS.values())


def install() -> None:
    """Let moto's backend tag what it does not know."""
    original = ElastiCacheBackend.__init__

    def with_more_kinds(self: Any, region_name: str, account_id: str) -> None:
        original(self, region_name, account_id)
        self.arn_regex = re.compile(
            r"^arn:aws:elasticache:.*:[0-9]*:(cluster|snapshot|subnetgroup|replicationgroup|user|parametergroup|usergroup):.*$"
        )

    ElastiCacheBackend.__init__ = with_more_kinds  # type: ignore[method-assign]


class RehearsedElastiCache(SaysWhatIsMissing, ElastiCacheResponse):
    """Dispatches a request to the method of its operation."""

    @property
    def given(self) -> dict[str, Any]:
        """The request's parameters."""
        return dict(self.params)

    @property
    def here(self) -> _Region:
        """What the request's account has in its region."""
        return _REGIONS.setdefault((self.current_account, self.region), _Region())

    # Replication groups

    def _find(self, *, ready: bool = False) -> ReplicationGroup:
        name = self.given["ReplicationGroupId"].lower()
        if name not in self.here.groups:
            raise CacheError("ReplicationGroupNotFoundFault", f"ReplicationGroup {name} not found.")
        group = self.here.groups[name]
        if ready and group.status != "available":
            raise CacheError("InvalidReplicationGroupState", f"Replication group {name} has status {group.status}, which is not valid.")
        return group

    def _check(self, given: dict[str, Any], engine: str) -> None:
        """Refuse what ElastiCache refuses, before anything is made."""
        if not _NODE_TYPE.fullmatch(given.get("CacheNodeType") or "cache.t4g.micro"):
            raise CacheError("InvalidParameterValue", f"Invalid cache node type: {given['CacheNodeType']}")
        token = given.get("AuthToken")
        if token and not _TOKEN.fullmatch(token):
            raise CacheError(
                "InvalidParameterValue",
                "Invalid AuthToken provided. Constraints: 16 to 128 printable characters; of the special ones only ! & # $ ^ < > -",
            )
        if given.get("EngineVersion") and not cache_catalog.family(engine, given["EngineVersion"]):
            raise CacheError("InvalidParameterCombination", f"Cannot find version {given['EngineVersion']} for {engine}")
        group = given.get("CacheParameterGroupName")
        if group and not group.startswith("default.") and group not in self.here.parameter_groups:
            raise CacheError("CacheParameterGroupNotFound", f"CacheParameterGroup {group} not found.")
        subnets = given.get("CacheSubnetGroupName")
        if subnets and subnets not in self.elasticache_backend.cache_subnet_groups:
            raise CacheError("CacheSubnetGroupNotFoundFault", f"CacheSubnetGroup {subnets} not found.")

    def create_replication_group(self) -> ActionResult:
        given, here = self.given, self.here
        name = given["ReplicationGroupId"] = given["ReplicationGroupId"].lower()
        if not _ID.fullmatch(name) or len(name) > 40:
            raise CacheError(
                "InvalidParameterValue",
                f"The parameter ReplicationGroupIdentifier {name} is not a valid identifier: 1 to 40 letters, digits and single hyphens, "
                "beginning with a letter and not ending with a hyphen.",
            )
        if name in here.groups:
            raise CacheError("ReplicationGroupAlreadyExists", f"Replication group {name} already exists.")
        given.setdefault("Engine", "redis")
        given.setdefault("EngineVersion", list(cache_catalog.VERSIONS.get(given["Engine"], {"": ""}))[-1])
        given.setdefault("CacheNodeType", "cache.t4g.micro")
        self._check(given, given["Engine"])
        family = cache_catalog.family(given["Engine"], given["EngineVersion"])
        if not family:
            raise CacheError("InvalidParameterCombination", f"Cannot find version {given['EngineVersion']} for {given['Engine']}")
        given.setdefault("CacheParameterGroupName", f"default.{family}")
        own = here.parameter_groups.get(given["CacheParameterGroupName"])
        if own and own["CacheParameterGroupFamily"] != family:
            raise CacheError(
                "InvalidParameterCombination", f"The parameter group is of family {own['CacheParameterGroupFamily']}, not {family}"
            )
        self._check_shards(given)
        if given.get("AuthToken") and not given.get("TransitEncryptionEnabled"):
            raise CacheError("InvalidParameterCombination", "AuthToken requires transit encryption.")
        snapshot = self._seed(given)
        group = ReplicationGroup(self.region, self.current_account, given, self._parameters)
        here.groups[name] = group
        if given.get("Tags"):
            self.elasticache_backend.add_tags_to_resource(group.arn, given["Tags"])
        group.change("creating", lambda: group.start(snapshot))
        return ActionResult({"ReplicationGroup": group.describe()})

    def _check_shards(self, given: dict[str, Any]) -> None:
        """Refuse what does not go together."""
        count = int(given.get("NumCacheClusters") or 1 + int(given.get("ReplicasPerNodeGroup") or 0))
        clustered = self._parameters(given["CacheParameterGroupName"]).get("cluster-enabled") == "yes"
        if clustered != (given.get("ClusterMode") == "enabled" or int(given.get("NumNodeGroups") or 1) > 1):
            raise CacheError("InvalidParameterCombination", "Cluster mode and the parameter group's cluster-enabled do not match.")
        if clustered and (given.get("NumCacheClusters") or not given.get("AutomaticFailoverEnabled")):
            raise CacheError("InvalidParameterCombination", "Cluster mode enabled needs node groups, and automatic failover.")
        if not clustered and given.get("AutomaticFailoverEnabled") and count < 2:
            raise CacheError("InvalidParameterCombination", "Replication group must have at least one replica for automatic failover.")
        if given.get("MultiAZEnabled") and (not given.get("AutomaticFailoverEnabled") or count < 2):
            raise CacheError("InvalidParameterCombination", "MultiAZ requires automatic failover, and a replica.")

    def _seed(self, given: dict[str, Any]) -> str:
        """The name of the data that a new group begins with; empty where it begins with none."""
        name = str(given.get("SnapshotName") or "")
        if name and name not in self.here.snapshots:
            raise CacheError("SnapshotNotFoundFault", f"Snapshot {name} not found.")
        return name

    def _parameters(self, name: str) -> dict[str, str]:
        group = self.here.parameter_groups.get(name)
        return dict(group["Parameters"]) if group else {}

    def describe_replication_groups(self) -> ActionResult:
        wanted = self.given.get("ReplicationGroupId")
        groups = [self._find()] if wanted else list(self.here.groups.values())
        return ActionResult({"ReplicationGroups": [group.describe() for group in groups]})

    def modify_replication_group(self) -> ActionResult:
        group, given = self._find(ready=True), self.given
        self._check(given, given.get("Engine") or group.given["Engine"])
        failover = given.get("AutomaticFailoverEnabled", group.given.get("AutomaticFailoverEnabled"))
        if failover and not group.clustered and not group.replicas:
            raise CacheError("InvalidParameterCombination", "Replication group must have at least one replica for automatic failover.")
        if given.get("TransitEncryptionMode") == "required" and not group.given.get("TransitEncryptionEnabled"):
            raise CacheError("InvalidParameterCombination", "Transit encryption goes through the mode preferred first.")
        for word in ("ReplicationGroupId", "ApplyImmediately"):
            given.pop(word, None)
        group.change("modifying", lambda: group.reconfigure(given))
        return ActionResult({"ReplicationGroup": group.describe()})

    def _resize(self, sign: int) -> ActionResult:
        group, wanted = self._find(ready=True), int(self.given.get("NewReplicaCount") or 0)
        if (wanted - group.replicas) * sign <= 0:
            raise CacheError("InvalidParameterValue", f"The group has {group.replicas} replicas; {wanted} is no change in this direction.")
        if group.given.get("AutomaticFailoverEnabled") and wanted < 1 and not group.clustered:
            raise CacheError("InvalidParameterCombination", "Automatic failover needs at least one replica.")
        group.change("modifying", lambda: group.resize(wanted))
        return ActionResult({"ReplicationGroup": group.describe()})

    def increase_replica_count(self) -> ActionResult:
        return self._resize(1)

    def decrease_replica_count(self) -> ActionResult:
        return self._resize(-1)

    def modify_replication_group_shard_configuration(self) -> ActionResult:
        group, given = self._find(ready=True), self.given
        count, there = int(given["NodeGroupCount"]), [each.id for each in group.shards]
        gone = [str(each) for each in given.get("NodeGroupsToRemove") or []]
        if kept := [str(each) for each in given.get("NodeGroupsToRetain") or []]:
            gone = [each for each in there if each not in kept]
        if not group.clustered:
            raise CacheError("InvalidReplicationGroupState", f"Replication group {group.name} has cluster mode disabled.")
        if count < 1 or count == len(there) or len(there) - len(gone) != min(count, len(there)) or not set(gone) <= set(there):
            raise CacheError(
                "InvalidParameterValue",
                f"The group has shards {', '.join(there)}; {count} without {', '.join(gone) or 'none'} is no change.",
            )
        group.change("modifying", lambda: group.reshard(count, gone))
        return ActionResult({"ReplicationGroup": group.describe()})

    def test_failover(self) -> ActionResult:
        group = self._find(ready=True)
        shard = next((each for each in group.shards if each.id == self.given["NodeGroupId"]), None)
        if shard is None:
            raise CacheError("NodeGroupNotFoundFault", f"Node group {self.given['NodeGroupId']} not found.")
        if not group.given.get("AutomaticFailoverEnabled"):
            raise CacheError("InvalidParameterCombination", "Test failover needs automatic failover.")
        if len(shard.nodes) < 2:
            raise CacheError("InvalidParameterCombination", f"Node group {shard.id} has no replica.")
        group.change("modifying", lambda: shard.fail_over("Test Failover API called"))
        return ActionResult({"ReplicationGroup": group.describe()})

    def delete_replication_group(self) -> ActionResult:
        group, here = self._find(), self.here
        if group.status not in ("available", "create-failed"):
            raise CacheError(
                "InvalidReplicationGroupState", f"Replication group {group.name} has status {group.status}, which is not valid."
            )
        final = self.given.get("FinalSnapshotIdentifier")
        if final and final in here.snapshots:
            raise CacheError("SnapshotAlreadyExistsFault", f"Snapshot {final} already exists.")
        keep = self._snapshot(group, final) if final else None

        def work() -> None:
            group.delete(keep)
            here.past_events += group.events
            del here.groups[group.name]

        group.change("deleting", work)
        return ActionResult({"ReplicationGroup": group.describe()})

    def describe_cache_clusters(self) -> ActionResult:
        wanted = self.given.get("CacheClusterId")
        found = [each for group in self.here.groups.values() for each in group.clusters()]
        if self.given.get("ShowCacheClustersNotInReplicationGroups"):
            found = []
        if wanted:
            found = [each for each in found if each["CacheClusterId"] == wanted]
        return ActionResult({"CacheClusters": found}) if found or not wanted else super().describe_cache_clusters()

    # Snapshots

    def _snapshot(self, group: ReplicationGroup, name: str) -> Any:
        described = group.describe()
        same = ("ReplicationGroupId", "CacheNodeType", "Engine", "SnapshotRetentionLimit", "SnapshotWindow", "AutoMinorVersionUpgrade")
        entry = {
            "SnapshotName": name,
            **{word: described[word] for word in same},
            "ReplicationGroupDescription": described["Description"],
            "SnapshotStatus": "creating",
            "SnapshotSource": "manual",
            "EngineVersion": group.given["EngineVersion"],
            "CacheParameterGroupName": group.given["CacheParameterGroupName"],
            "NumNodeGroups": len(group.shards),
            "NodeSnapshots": [
                {"CacheClusterId": each.primary, "CacheNodeId": "0001", "SnapshotCreateTime": now(), "CacheSize": "1 MB"}
                for each in group.shards
            ],
            "ARN": f"arn:aws:elasticache:{self.region}:{self.current_account}:snapshot:{name}",
        }
        self.here.snapshots[name] = entry

        def keep() -> None:
            for each in group.shards:
                cache_nodes.keep(group.server, each.primary, f"{name}-{each.id}" if group.clustered else name)
            entry["SnapshotStatus"] = "available"

        return keep

    def describe_events(self) -> ActionResult:
        events = [*self.here.past_events, *(event for group in self.here.groups.values() for event in group.events)]
        wanted = self.given.get("SourceIdentifier")
        return ActionResult({"Events": [each for each in events if wanted in (None, each["SourceIdentifier"])]})
