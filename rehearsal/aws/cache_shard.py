"""A primary and its replicas: those of a whole replication group, or of one of its shards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import containers
from . import cache_cluster, cache_nodes


class Shard:
    """``name``: what its nodes' names begin with. ``server``: tells what they have in common."""

    def __init__(
        self, number: int, name: str, replicas: int, server: Callable[[], cache_nodes.Server], event: Callable[[str], None]
    ) -> None:
        self.id = f"{number:04}"
        self._name, self._server, self._event = name, server, event
        self.nodes: dict[str, str | None] = {self._node(index): None for index in range(1, replicas + 2)}
        self.primary = self._node(1)

    def _node(self, index: int) -> str:
        return f"{self._name}-{index:03}"

    @property
    def addresses(self) -> dict[str, str]:
        """Its nodes that run."""
        return {node: address for node, address in self.nodes.items() if address}

    def start(self, snapshot: str) -> None:
        """Start the primary."""
        address = containers.free_address()
        cache_nodes.start(self._server(), self.primary, address, snapshot=snapshot)
        self.nodes[self.primary] = address

    def start_replicas(self, there: Callable[[], dict[str, str]]) -> None:
        """Start those that do not run yet. ``there``: all nodes that do, of other shards too."""
        for node, address in list(self.nodes.items()):
            if address is None:
                self._start_replica(node, there)

    def _start_replica(self, node: str, there: Callable[[], dict[str, str]]) -> None:
        server, address, primary = self._server(), containers.free_address(), self.nodes[self.primary]
        assert primary is not None
        # A replica that takes over answers at the primary's address, so its certificate names that too.
        cache_nodes.start(server, node, address, primary=primary, addresses=[primary])
        self.nodes[node] = address
        if server.clustered:
            cache_cluster.join(server, there(), [node])
            cache_cluster.follow(server, node, self.primary)
        containers.wait_until(lambda: cache_nodes.in_step(server, node), 60, f"{node} does not follow its primary")

    def resize(self, replicas: int, there: Callable[[], dict[str, str]]) -> None:
        """Add or remove replicas."""
        wanted = 1 + replicas
        while len(self.nodes) < wanted:
            index = next(number for number in range(1, wanted + 1) if self._node(number) not in self.nodes)
            self.nodes[self._node(index)] = None
            self.start_replicas(there)
        for node in [node for node in sorted(self.nodes, reverse=True) if node != self.primary][: len(self.nodes) - wanted]:
            self._remove(node, there)

    def _remove(self, node: str, there: Callable[[], dict[str, str]]) -> None:
        server = self._server()
        if server.clustered:
            cache_cluster.forget(server, [each for each in there() if each != node], [node])
        del self.nodes[node]
        cache_nodes.remove(node)

    def fail_over(self, why: str) -> None:
        """Let the first replica that runs take over."""
        server, old, new = self._server(), self.primary, next(node for node in sorted(self.nodes) if node != self.primary)
        address, spare = self.nodes[old], self.nodes[new]
        assert address is not None and spare is not None
        self._event(f"{why} for node group {self.id}; failover from primary node {old} to replica node {new} started")
        cache_nodes.fail_over(server, old, new, address, spare)
        self.primary = new
        if not server.clustered:
            self.nodes[old], self.nodes[new] = spare, address
        containers.wait_until(lambda: cache_nodes.in_step(server, old), 60, f"{old} does not follow its primary")
        self._event(f"Failover from primary node {old} to replica node {new} completed")

    def delete(self) -> None:
        """Take the nodes away."""
        for node in list(self.nodes):
            cache_nodes.remove(node)

    def describe(self, status: str, port: int, *, clustered: bool, zone: Callable[[str], str]) -> dict[str, Any]:
        """As DescribeReplicationGroups tells it."""
        primary = self.nodes[self.primary] if status not in ("creating", "create-failed") else None
        replica = next((address for node, address in self.nodes.items() if node != self.primary and address), primary)
        found: dict[str, Any] = {
            "NodeGroupId": self.id,
            "Status": status,
            "NodeGroupMembers": [self.member(node, port, clustered=clustered, zone=zone) for node in self.nodes],
        }
        if primary and not clustered:
            found |= {"PrimaryEndpoint": {"Address": primary, "Port": port}, "ReaderEndpoint": {"Address": replica, "Port": port}}
        return found

    def member(self, node: str, port: int, *, clustered: bool, zone: Callable[[str], str]) -> dict[str, Any]:
        """A node, as the same tells it."""
        found: dict[str, Any] = {"CacheClusterId": node, "CacheNodeId": "0001", "PreferredAvailabilityZone": zone(node)}
        if self.nodes[node] and not clustered:
            found |= {"ReadEndpoint": {"Address": self.nodes[node], "Port": port}}
            found |= {"CurrentRole": "primary" if node == self.primary else "replica"}
        return found
