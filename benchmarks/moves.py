"""A move of Postgres between two servers of this machine: the copy against pg_dump and pg_restore alone, and how long writes pause."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from berth import migration, migration_postgres
from berth.migration_stores import Stores

from benchmarks.running import seconds, void
from rehearsal import images

IMAGE, NETWORK = "postgres:17", "berth-bench-moves"
# pgbench's scales of about 100 MB and a gigabyte.
SCALES = {"0.1 GB": 7, "1 GB": 68}


def docker(*words: str) -> str:
    """What a command of Docker's prints. Raises :class:`subprocess.CalledProcessError`."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def inside(server: str, *words: str) -> str:
    """What a command beside a server prints."""
    return docker("exec", "--user", "postgres", server, *words)


@contextmanager
def servers(scale: int) -> Iterator[tuple[Stores, Stores]]:
    """Two servers, one with pgbench's tables, and how a move reaches them."""
    names = ("berth-bench-old", "berth-bench-new")
    docker("network", "create", NETWORK)
    try:
        for name in names:
            trusting = ("--env", "POSTGRES_HOST_AUTH_METHOD=trust")
            docker("run", "--detach", "--name", name, "--network", NETWORK, *trusting, IMAGE, "postgres", "-c", "wal_level=logical")
            while subprocess.run(
                ["docker", "exec", name, "pg_isready", "--host", "127.0.0.1"], capture_output=True, check=False
            ).returncode:
                time.sleep(0.2)
            inside(name, "createdb", "shop")
        inside(names[0], "pgbench", "--initialize", "--quiet", f"--scale={scale}", "shop")
        # It has no key, as pgbench makes it.
        inside(names[0], "psql", "-qc", "alter table pgbench_history replica identity full", "shop")
        told = [
            {"title": name, "reach": [], "inside": ["docker", "exec", "-i", "--user", "postgres", name], "database": "shop"}
            for name in names
        ]
        old, new = (
            Stores(each, {"postgres": {**about, "owner": "postgres"}}, "", fresh=fresh)
            for each, about, fresh in zip(names, told, (False, True), strict=True)
        )
        yield old, new
    finally:
        docker("rm", "--force", "--volumes", *names)
        docker("network", "rm", NETWORK)


def bare() -> None:
    """What one would type: a dump into a folder, and its restore, each with as many workers as there are processors."""
    inside("berth-bench-new", "dropdb", "--if-exists", "--force", "bare")
    inside("berth-bench-new", "createdb", "bare")
    inside(
        "berth-bench-old",
        "sh",
        "-ec",
        "rm -rf /tmp/dump; pg_dump -Fd -j 2 -f /tmp/dump shop; pg_restore -j 2 -h berth-bench-new -U postgres -d bare /tmp/dump",
    )
    inside("berth-bench-new", "psql", "-qc", "analyze", "bare")


def measure() -> list[str]:
    """Both, for two sizes."""
    images.ensure([IMAGE])
    lines = [
        "move of Postgres | copied by migrate.yml's code | pg_dump -Fd -j 2, pg_restore -j 2 and analyze | throughput, ours / that | writes paused after follow"
    ]
    for title, scale in SCALES.items():
        with servers(scale) as (old, new), tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
            assert old.postgres
            assert new.postgres
            source, target = old.postgres, new.postgres
            floor = seconds(bare, 3)
            ours = seconds(lambda source=source, target=target: void(migration_postgres.copy(source, target)), 3)  # type: ignore[misc]
            inside("berth-bench-new", "dropdb", "bare")
            move = migration.Migration(old, new, Path(folder) / "note.json")
            writing = "docker exec --user postgres berth-bench-old pgbench --no-vacuum --client=2 --rate=50 --time=300 shop".split()
            with subprocess.Popen(writing, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
                move.follow(replace=False)
                said = " ".join(move.switch(replace=False))
            found = re.search(r"writes paused for ([0-9.]+) s", said)
            lines.append(f"  {title} | {ours:.1f} s | {floor:.1f} s | {floor / ours:.2f} | {found[1] if found else '?'} s")
    return lines
