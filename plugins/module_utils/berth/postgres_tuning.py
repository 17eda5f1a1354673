# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PostgreSQL's settings for a machine. Pure: from memory, cores and connections to settings.

Sources: https://www.postgresql.org/docs/17/runtime-config-resource.html, https://wiki.postgresql.org/wiki/Tuning_Your_PostgreSQL_Server
and PGTune's formulas (https://pgtune.leopard.in.ua) for a web application on an SSD.
"""

from __future__ import annotations


def settings(memory: int, cores: int, connections: int, disk: int) -> dict[str, str]:
    """Setting to value. ``memory``: MiB that PostgreSQL may have; ``disk``: GiB of its volume.

    Raises :class:`ValueError` for a machine that is too small.
    """
    if memory < 128:
        raise ValueError(f"{memory} MiB are too little for PostgreSQL; give the machine at least 512 MiB")
    shared = memory // 4
    # A sort or hash may take this much, several times in one query; a third of what is left over is shared by all connections.
    work = max(1, (memory - shared) // (connections * 3))
    # Write-ahead log between two checkpoints: as much as an hour may write, never more than a tenth of the disk.
    most = max(256, min(8192, disk * 1024 // 10))
    parallel = max(1, min(4, cores // 2))
    return {
        "shared_buffers": f"{shared}MB",
        "effective_cache_size": f"{memory * 3 // 4}MB",
        "maintenance_work_mem": f"{min(2048, max(16, memory // 16))}MB",
        "work_mem": f"{min(64, work)}MB",
        "wal_buffers": f"{min(16, max(1, shared // 32))}MB",
        "min_wal_size": f"{max(80, most // 4)}MB",
        "max_wal_size": f"{most}MB",
        "checkpoint_completion_target": "0.9",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "max_connections": str(connections),
        "max_worker_processes": str(max(8, cores)),
        "max_parallel_workers": str(max(1, cores)),
        "max_parallel_workers_per_gather": str(parallel),
        "max_parallel_maintenance_workers": str(parallel),
    }
