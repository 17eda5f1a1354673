"""A replication group: what the API tells of it, and how it changes. Its nodes are in :mod:`cache_nodes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import containers
from . import cache_nodes, clock
from .beanstalk.instances import now

_MOST_EVENTS = 500


class ReplicationGroup:
    """One group without shards: a primary and its replicas. ``given`` are the words of CreateReplicationGroup."""

    def __init__(self, region: str, account: str, given: dict[str, Any], parameters: Callable[[str], dict[str, str]]) -> None:
        self.name = given["ReplicationGroupId"]
        self.region = region
        self.arn = f"arn:aws:elasticache:{region}:{account}:replicationgroup:{self.name}"
        self.account = account
        self.given = given
        self.parameters = parameters
        self.status = "creating"
        self.created = now()
        count = int(given.get("NumCacheClusters") or 1 + int(given.get("ReplicasPerNodeGroup") or 0))
        self.nodes: dict[str, str | None] = {self.node(index): None for index in range(1, count + 1)}
        self.primary = self.node(1)
        self.events: list[dict[str, Any]] = []
        self.token_changed = now() if given.get("AuthToken") else None

    def node(self, index: int) -> str:
        """The name of the index-th node."""
        return f"{self.name}-{index:03}"

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
        """Start the primary, then its replicas."""
        address = containers.free_address()
        cache_nodes.start(self.server, self.primary, address, snapshot=snapshot)
        self.nodes[self.primary] = address
        for node in self.nodes:
            if node != self.primary:
                self._start_replica(node)
        self.event("Replication group created")

    def _start_replica(self, node: str) -> None:
        address, primary = containers.free_address(), self.nodes[self.primary]
        assert primary is not None
        # A replica that takes over answers at the primary's address, so its certificate names that too.
        cache_nodes.start(self.server, node, address, primary=primary, addresses=[primary])
        containers.wait_until(lambda: cache_nodes.in_step(self.server, node), 60, f"{node} does not follow its primary")
        self.nodes[node] = address

    def resize(self, replicas: int) -> None:
        """Add or remove replicas."""
        wanted = 1 + replicas
        while len(self.nodes) < wanted:
            index = next(number for number in range(1, wanted + 1) if self.node(number) not in self.nodes)
            self.nodes[self.node(index)] = None
            self._start_replica(self.node(index))
        for node in [node for node in sorted(self.nodes, reverse=True) if node != self.primary][: len(self.nodes) - wanted]:
            del self.nodes[node]
            cache_nodes.remove(node)

    def fail_over(self, why: str = "Test Failover API called") -> None:
        """Let the first replica that runs take over."""
        old, new = self.primary, next(node for node in sorted(self.nodes) if node != self.primary)
        address, spare = self.nodes[old], self.nodes[new]
        assert address is not None and spare is not None
        self.event(f"{why} for node group 0001; failover from primary node {old} to replica node {new} started")
        cache_nodes.fail_over(self.server, old, new, address, spare)
        self.nodes[old], self.nodes[new], self.primary = spare, address, new
        containers.wait_until(lambda: cache_nodes.in_step(self.server, old), 60, f"{old} does not follow its primary")
        self.event(f"Failover from primary node {old} to replica node {new} completed")

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
        for node in list(self.nodes):
            cache_nodes.remove(node)

    def describe(self) -> dict[str, Any]:
        """As DescribeReplicationGroups tells it."""
        given, port = self.given, int(self.given.get("Port") or 6379)
        primary = self.nodes[self.primary] if self.status not in ("creating", "create-failed") else None
        replica = next((address for node, address in self.nodes.items() if node != self.primary and address), primary)
        group: dict[str, Any] = {
            "NodeGroupId": "0001",
            "Status": self.status,
            "NodeGroupMembers": [self._member(node) for node in self.nodes],
        }
        if primary:
            group |= {"PrimaryEndpoint": {"Address": primary, "Port": port}, "ReaderEndpoint": {"Address": replica, "Port": port}}
        tls = bool(given.get("TransitEncryptionEnabled"))
        answer: dict[str, Any] = {
            "ReplicationGroupId": self.name,
            "Description": given["ReplicationGroupDescription"],
            "Status": self.status,
            "PendingModifiedValues": {},
            "MemberClusters": list(self.nodes),
            "NodeGroups": [group],
            "AutomaticFailover": "enabled" if given.get("AutomaticFailoverEnabled") else "disabled",
            "MultiAZ": "enabled" if given.get("MultiAZEnabled") else "disabled",
            "SnapshotRetentionLimit": int(given.get("SnapshotRetentionLimit") or 0),
            "SnapshotWindow": given.get("SnapshotWindow") or "05:00-06:00",
            "ClusterEnabled": False,
            "ClusterMode": "disabled",
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

    def _member(self, node: str) -> dict[str, Any]:
        zone = f"{self.region}{'abc'[sorted(self.nodes).index(node) % 3]}"
        member: dict[str, Any] = {"CacheClusterId": node, "CacheNodeId": "0001", "PreferredAvailabilityZone": zone}
        if self.nodes[node]:
            member |= {"ReadEndpoint": {"Address": self.nodes[node], "Port": int(self.given.get("Port") or 6379)}}
            member |= {"CurrentRole": "primary" if node == self.primary else "replica"}
        return member

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
                "PreferredAvailabilityZone": self._member(node)["PreferredAvailabilityZone"],
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
                "CacheNodes": [{"CacheNodeId": "0001", "CacheNodeStatus": self.status, "Endpoint": self._member(node).get("ReadEndpoint")}],
                "SecurityGroups": [{"SecurityGroupId": each, "Status": "active"} for each in self.given.get("SecurityGroupIds") or []],
                "ARN": f"arn:aws:elasticache:{self.region}:{self.account}:cluster:{node}",
                "NotificationConfiguration": {"TopicArn": self.given["NotificationTopicArn"], "TopicStatus": "active"}
                if self.given.get("NotificationTopicArn")
                else None,
            }
            for node in self.nodes
        ]
