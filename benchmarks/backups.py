"""A Postgres on a rehearsed droplet: a restore against pgBackRest alone, what a backup costs who writes meanwhile, and the stock image."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from pathlib import Path

from benchmarks.droplets import PLAYBOOK, rehearsed
from benchmarks.running import run, seconds, void
from rehearsal import server, stack
from rehearsal.digitalocean import machines

# pgbench's scale of about a gigabyte, and for how long it writes.
SCALE, WRITING = 68, 60
SERVER = "docker exec --user postgres berth-postgres"
CLIENT = "pgbench --no-vacuum --client=8 --jobs=2"
STOCK = "postgres:17.7"
# What is restored, where Berth restores it, by pgBackRest as its image brings it; and a server on it, until it takes writes.
BARE = (
    "docker rm --force bare >/dev/null 2>&1; rm -rf /mnt/data/bare && mkdir /mnt/data/bare && chown 999:999 /mnt/data/bare && docker run --rm --user postgres"
    " --mount type=bind,source=/etc/berth/postgres/conf,target=/etc/berth/conf,readonly"
    " --mount type=bind,source=/mnt/data/bare,target=/var/lib/postgresql/data --entrypoint pgbackrest $IMAGE"
    " --config=/etc/berth/conf/pgbackrest.conf --stanza=main restore --set={id} --type=immediate --target-action=promote"
)
SERVED = (
    " && docker run --detach --name bare --mount type=bind,source=/etc/berth/postgres/conf,target=/etc/berth/conf,readonly"
    " --mount type=bind,source=/mnt/data/bare,target=/var/lib/postgresql/data --env PGDATA=/var/lib/postgresql/data $IMAGE"
    " -c archive_command=/bin/false && until [ f = \"$(docker exec --user postgres bare psql -qAtc 'select pg_is_in_recovery()')\" ];"
    " do sleep 0.2; done"
)


def measure() -> list[str]:
    """Both, on one droplet."""
    droplets = [
        {"name": "db-1", "groups": ["postgres", "app"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 8}]},
    ]
    with rehearsed(), tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        project = Path(home) / "bench"
        project.mkdir()
        service = "services:\n  postgres:\n    image: postgres:17\n  web:\n    image: nginx:1.28\n    depends_on: [postgres]\n"
        (project / "compose.yaml").write_text(service)
        run(*PLAYBOOK, "playbooks/site.yml", "-e", f"app_project={project}", "-e", json.dumps({"digitalocean_droplets": droplets}))
        found = server.environment()
        droplet = stack.account().droplets.list()["droplets"][0]
        address = next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == "public")
        ssh = ("ssh", "-i", found["BERTH_SSH_KEY"], "-o", f"UserKnownHostsFile={found['BERTH_KNOWN_HOSTS']}", f"root@{address}")
        run(*ssh, f"{SERVER} createdb pgbench && {SERVER} pgbench --initialize --quiet --scale={SCALE} pgbench")
        backup = json.loads(run(*ssh, "berth-backup postgres backup --full"))
        image = run(*ssh, "docker inspect --format '{{.Config.Image}}' berth-postgres").strip()
        bare, served = (
            seconds(lambda each=each: void(run(*ssh, each.format(id=backup["id"]).replace("$IMAGE", image))), 3)  # type: ignore[misc]
            for each in (BARE, BARE + SERVED)
        )
        run(*ssh, "docker rm --force bare && rm -rf /mnt/data/bare")
        ours = seconds(lambda: void(run(*ssh, f"berth-backup postgres restore {backup['id']}")), 3)
        run(*ssh, "berth-backup postgres discard")
        elsewhere(droplet["id"])
        stock = untuned(ssh)
        backing_up = "berth-backup postgres backup --full"
        alone, once, always = writes(ssh), writes(ssh, backing_up, times=1), writes(ssh, backing_up, times=100)
    return [
        f"restore of {backup['bytes'] / 1e9:.1f} GB | berth-backup restore, until it serves | pgbackrest restore and a server on it | ratio | the files alone",
        f"  {ours:.1f} s | {served:.1f} s | {ours / served:.2f} | {bare:.1f} s",
        f"pgbench for {WRITING} s, transactions a second | alone | one full backup meanwhile | ratio | one after the other | ratio",
        f"  {alone:.0f} | {once:.0f} | {once / alone:.2f} | {always:.0f} | {always / alone:.2f}",
        "pgbench, transactions a second | as the role sets it up | the stock image as it comes | ratio",
        f"  {alone:.0f} | {stock:.0f} | {alone / stock:.2f}",
    ]


def elsewhere(droplet: int) -> None:
    """Let the object store, which is on this machine here, take nothing from who writes: the droplet comes first."""
    machines.of(droplet).update(cpu_shares=100_000)


def untuned(ssh: tuple[str, ...]) -> float:
    """Transactions a second of the official image as it comes, on the same machine and volume, with the other one stopped."""
    run(*ssh, "docker stop berth-postgres && mkdir -p /mnt/data/stock")
    begin = (
        f"docker run --detach --name stock --env POSTGRES_HOST_AUTH_METHOD=trust --volume /mnt/data/stock:/var/lib/postgresql/data {STOCK}"
    )
    run(*ssh, f"{begin} && until docker exec stock pg_isready -h 127.0.0.1 -U postgres; do sleep 0.5; done")
    asked = "docker exec --user postgres stock"
    run(*ssh, f"{asked} createdb pgbench && {asked} pgbench --initialize --quiet --scale={SCALE} pgbench")
    rate = writes(ssh, server=asked)
    run(*ssh, "docker rm --force stock && rm -rf /mnt/data/stock && docker start berth-postgres")
    run(*ssh, "until docker exec berth-postgres pg_isready; do sleep 0.5; done")
    return rate


def writes(ssh: tuple[str, ...], beside: str = "", server: str = SERVER, times: int = 0) -> float:
    """Transactions a second, while another command is run ``times`` times, one after the other."""
    ended = threading.Event()

    def repeat() -> None:
        for _time in range(times):
            ended.wait(WRITING / 10)
            if not ended.is_set():
                run(*ssh, beside)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        said = run(*ssh, f"{server} {CLIENT} --time={WRITING} pgbench")
    finally:
        ended.set()
        thread.join()
    rate = re.search(r"tps = ([0-9.]+)", said)
    assert rate, said
    return float(rate[1])
