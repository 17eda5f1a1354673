"""What AWS does by itself when the machine of a store dies: a standby or a replica takes over, or another machine takes its place."""

from __future__ import annotations

import threading
import time
import traceback
from typing import Any

from moto.rds.models import rds_backends

from .. import containers
from . import clock, elasticache, postgres
from .replication_group import ReplicationGroup

_LOOK_SECONDS = 1.0
# Without a standby RDS and ElastiCache need another machine first.
_ALONE = 3


def watch() -> None:
    """Look after all stores in the background, for as long as the server runs."""

    def run() -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            try:
                look()
            except Exception:  # a store that is being taken away at this very moment
                traceback.print_exc()

    threading.Thread(target=run, daemon=True).start()


def look() -> None:
    """Start what has died and is not being changed by anybody."""
    stores = [*containers.find("rds"), *containers.find("elasticache")]
    dead = {container.name: container for container in stores if container.status == "exited"}
    if not dead:
        return
    for account in rds_backends.values():
        for backend in account.values():
            for database in list(backend.databases.values()):
                container = postgres.find(database.db_instance_identifier)
                if container is not None and container.name in dead and database.status == "available":
                    _recover_database(database, container)
    for region in list(elasticache.regions()):
        for group in list(region.groups.values()):
            if group.status == "available":
                _recover_group(group, dead)


def _recover_database(database: Any, container: Any) -> None:
    """A standby takes over at the same address, with every commit; without one, the same after a while."""
    database.status = "rebooting"

    def run() -> None:
        try:
            time.sleep(clock.seconds("rds") * (1 if database.multi_az else _ALONE))
            postgres.restart(container, forced=True)
        finally:
            database.status = "available"

    clock.later(run)


def _recover_group(group: ReplicationGroup, dead: dict[str, Any]) -> None:
    gone = {node: dead[name] for node in group.nodes if (name := containers.full_name(f"cache-{node}")) in dead}
    if not gone:
        return
    # Shards of which a replica is left to take over.
    take_over = [
        shard
        for shard in group.shards
        if shard.primary in gone and group.given.get("AutomaticFailoverEnabled") and not set(shard.nodes) <= set(gone)
    ]

    def work() -> None:
        time.sleep(clock.seconds("elasticache") * (1 if take_over else _ALONE))
        for shard in take_over:
            del gone[shard.primary]
            shard.fail_over("Automatic failover")
        for node, container in gone.items():
            container.start()
            group.event(f"Cache node {node} recovered")

    group.change("modifying", work)
