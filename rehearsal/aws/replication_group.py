"""A replication group: what the API tells of it, and how it changes. Its nodes are in :mod:`cache_shard` and :mod:`cache_nodes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import containers
from . import cache_cluster, cache_nodes, clock
from .beanstalk.instances import now
from .cache_shard import Shard

_MOST_EVENTS = 500


class ReplicationGroup:
    """A primary and its replicas, or several of them, over which keys are spread. ``given`` are the words of CreateReplicationGroup."""

    def __init__(self, region: str, account: str, given: dict[str, Any], parameters: Callable[[str], dict[str, str]]) -> None:
        self.name = given["ReplicationGroupId"]
        self.region = region
        self.arn = f"arn:aws:elasticache:{region}:{account}:replicationgroup:{self.name}"
        self.account = account
        self.given = given
        self.parameters = parameters
        self.status = "creating"
        self.created = now()
        self.clustered = parameters(given["CacheParameterGroupName"]).get("cluster-enabled") == "yes"
        self.replicas = int(given.get("NumCacheClusters") or 1 + int(given.get("ReplicasPerNodeGroup") or 0)) - 1
        self.shards = [self._shard(number) for number in range(1, int(given.get("NumNodeGroups") or 1) + 1)]
        self.events: list[dict[str, Any]] = []
        self.token_changed = now() if given.get("AuthToken") else None

    def _shard(self, number: int) -> Shard:
        name = f"{self.name}-{number:04}" if self.clustered else self.name
        return Shard(number, name, self.replicas, lambda: self.server, self.event)

    @property
    def nodes(self) -> dict[str, str | None]:
        """All nodes, and where they answer."""
        return {node: address for shard in self.shards for node, address in shard.nodes.items()}

    @property
    def addresses(self) -> dict[str, str]:
        """The nodes that run."""
        return {node: address for shard in self.shards for node, address in shard.addresses.items()}

    @property
    def server(self) -> cache_nodes.Server:
        """What the nodes have in common."""
        given = self.given
        # A real server speaks TLS or plain text on one port: under `preferred`, where ElastiCache takes both, it is plain text here.
        tls = bool(given.get("TransitEncryptionEnabled")) and given.get("TransitEncryptionMode", "required") == "required"
        return cache_nodes.Server(
            self.name,
            given["Engine"],
            given["EngineVersion"],
            int(given.get("Port") or 6379),
            tls,
            given.get("AuthToken"),
            self.parameters(given["CacheParameterGroupName"]),
        )

    def event(self, message: str) -> None:
        """Note what happened."""
        self.events.append({"SourceIdentifier": self.name, "SourceType": "replication-group", "Message": message, "Date": now()})
        del self.events[:-_MOST_EVENTS]

    def change(self, status: str, work: Callable[[], None], *, after: str = "available") -> None:
        """Be in ``status`` while ``work`` is done, at least as long as changes last here."""
        self.status = status

        def run() -> None:
            watch = clock.Stopwatch()
            try:
                work()
            except Exception as error:
                self.status = "create-failed" if status == "creating" else after
                self.event(f"{status} failed: {error}")
                raise
            watch.wait(clock.seconds("elasticache"))
            self.status = after

        clock.later(run)

    def start(self, snapshot: str) -> None:
        """Start the primaries, with what a snapshot holds, and their replicas."""
        parts = cache_nodes.parts(snapshot) if snapshot else []
        if len(parts) > len(self.shards):
            raise containers.ContainerError(f"{snapshot} is of {len(parts)} shards; fewer of them are not rehearsed")
        for number, shard in enumerate(self.shards):
            shard.start(parts[number] if number < len(parts) else "")
        if self.clustered:
            cache_cluster.form(self.server, self.addresses)
            if parts:
                self._even_out([])
        self._start_replicas()
        self.event("Replication group created")

    def _even_out(self, gone: list[Shard]) -> None:
        first = next(each for each in self.shards if each not in gone).primary
        cache_cluster.even_out(self.server, first, self.addresses[first], [each.primary for each in gone])

    def _start_replicas(self) -> None:
        for shard in self.shards:
            shard.start_replicas(lambda: self.addresses)

    def resize(self, replicas: int) -> None:
        """Add or remove replicas, of each shard."""
        self.replicas = replicas
        for shard in self.shards:
            shard.resize(replicas, lambda: self.addresses)

    def reshard(self, count: int, gone: list[str]) -> None:
        """Spread the keys over so many shards, of which the ``gone`` are none any more, while they serve."""
        while len(self.shards) < count:
            number = next(each for each in range(1, count + 1) if f"{each:04}" not in {shard.id for shard in self.shards})
            fresh = self._shard(number)
            fresh.start("")
            self.shards.append(fresh)
            cache_cluster.join(self.server, self.addresses, [fresh.primary])
        stay, go = [each for each in self.shards if each.id not in gone], [each for each in self.shards if each.id in gone]
        self._even_out(go)
        self._start_replicas()
        if go:
            staying = [node for each in stay for node in each.addresses]
            cache_cluster.forget(self.server, staying, [node for each in go for node in each.addresses])
        self.shards = sorted(stay, key=lambda each: each.id)
        for each in go:
            each.delete()
        self.event(f"Resharding completed; the group has {len(stay)} shards")

    def reconfigure(self, given: dict[str, Any]) -> None:
        """Take over what ModifyReplicationGroup gave, and bring the nodes to it."""
        old = self.server
        token, strategy = given.pop("AuthToken", None), given.pop("AuthTokenUpdateStrategy", "ROTATE")
        self.given |= given
        if strategy == "DELETE":
            self.given.pop("AuthToken", None)
        elif token and strategy == "ROTATE" and old.token:
            cache_nodes.add_password(old, token)
            self.token_changed = now()
        elif token:
            self.given["AuthToken"] = token
            self.token_changed = now()
        cache_nodes.apply(self.server, old)

    def delete(self, snapshot: Callable[[], None] | None) -> None:
        """Take the nodes away, after a last snapshot where one is wanted."""
        if snapshot:
            snapshot()
        for shard in self.shards:
            shard.delete()

    def describe(self) -> dict[str, Any]:
        """As DescribeReplicationGroups tells it."""
        given = self.given
        tls = bool(given.get("TransitEncryptionEnabled"))
        answer: dict[str, Any] = {
            "ReplicationGroupId": self.name,
            "Description": given["ReplicationGroupDescription"],
            "Status": self.status,
            "PendingModifiedValues": {},
            "MemberClusters": list(self.nodes),
            "NodeGroups": [each.describe(self.status, self._port, clustered=self.clustered, zone=self._zone) for each in self.shards],
            "AutomaticFailover": "enabled" if given.get("AutomaticFailoverEnabled") else "disabled",
            "MultiAZ": "enabled" if given.get("MultiAZEnabled") else "disabled",
            "SnapshotRetentionLimit": int(given.get("SnapshotRetentionLimit") or 0),
            "SnapshotWindow": given.get("SnapshotWindow") or "05:00-06:00",
            "ClusterEnabled": self.clustered,
            "ClusterMode": "enabled" if self.clustered else "disabled",
            "CacheNodeType": given["CacheNodeType"],
            "AuthTokenEnabled": bool(given.get("AuthToken")),
            "TransitEncryptionEnabled": tls,
            "AtRestEncryptionEnabled": bool(given.get("AtRestEncryptionEnabled")),
            "ARN": self.arn,
            "UserGroupIds": given.get("UserGroupIds") or [],
            "LogDeliveryConfigurations": [
                {**each, "Status": "active"} for each in given.get("LogDeliveryConfigurations") or [] if each.get("Enabled", True)
            ],
            "ReplicationGroupCreateTime": self.created,
            "DataTiering": "disabled",
            "AutoMinorVersionUpgrade": bool(given.get("AutoMinorVersionUpgrade", True)),
            "NetworkType": "ipv4",
            "IpDiscovery": "ipv4",
            "Engine": given["Engine"],
        }
        if self.clustered and self.status not in ("creating", "create-failed"):
            # On AWS a name that leads to all of them.
            answer["ConfigurationEndpoint"] = {"Address": next(iter(self.addresses.values())), "Port": self._port}
        if int(given.get("SnapshotRetentionLimit") or 0):
            answer["SnapshottingClusterId"] = sorted(self.nodes)[-1]
        if tls:
            answer["TransitEncryptionMode"] = given.get("TransitEncryptionMode", "required")
        if given.get("KmsKeyId"):
            answer["KmsKeyId"] = given["KmsKeyId"]
        if self.token_changed:
            answer["AuthTokenLastModifiedDate"] = self.token_changed
        for each in answer["LogDeliveryConfigurations"]:
            each.pop("Enabled", None)
        return answer

    @property
    def _port(self) -> int:
        return int(self.given.get("Port") or 6379)

    def _zone(self, node: str) -> str:
        return f"{self.region}{'abc'[sorted(self.nodes).index(node) % 3]}"

    def clusters(self) -> list[dict[str, Any]]:
        """The nodes, as DescribeCacheClusters tells them."""
        described = self.describe()
        same = """CacheNodeType Engine SnapshotRetentionLimit SnapshotWindow AuthTokenEnabled TransitEncryptionEnabled
        AtRestEncryptionEnabled AutoMinorVersionUpgrade NetworkType IpDiscovery ReplicationGroupId""".split()
        return [
            {
                "CacheClusterId": node,
                **{word: described[word] for word in same},
                **({"TransitEncryptionMode": described["TransitEncryptionMode"]} if "TransitEncryptionMode" in described else {}),
                "EngineVersion": self.given["EngineVersion"] + ".0",
                "CacheClusterStatus": self.status,
                "NumCacheNodes": 1,
                "PreferredAvailabilityZone": self._zone(node),
                "CacheClusterCreateTime": self.created,
                "PreferredMaintenanceWindow": self.given.get("PreferredMaintenanceWindow") or "sun:23:00-mon:01:30",
                "PendingModifiedValues": {},
                "CacheSecurityGroups": [],
                "CacheParameterGroup": {
                    "CacheParameterGroupName": self.given["CacheParameterGroupName"],
                    "ParameterApplyStatus": "in-sync",
                    "CacheNodeIdsToReboot": [],
                },
                "CacheSubnetGroupName": self.given.get("CacheSubnetGroupName") or "default",
                "CacheNodes": [{"CacheNodeId": "0001", "CacheNodeStatus": self.status, "Endpoint": self._endpoint(address)}],
                "SecurityGroups": [{"SecurityGroupId": each, "Status": "active"} for each in self.given.get("SecurityGroupIds") or []],
                "ARN": f"arn:aws:elasticache:{self.region}:{self.account}:cluster:{node}",
                "NotificationConfiguration": {"TopicArn": self.given["NotificationTopicArn"], "TopicStatus": "active"}
                if self.given.get("NotificationTopicArn")
                else None,
            }
            for node, address in self.nodes.items()
        ]

    def _endpoint(self, address: str | None) -> dict[str, Any] | None:
        return {"Address": address, "Port": self._port} if address else None
