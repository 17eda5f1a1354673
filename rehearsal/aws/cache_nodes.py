"""The nodes of an ElastiCache replication group as real servers: one primary at a fixed address, and its replicas."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .. import certificates, containers, state
from . import cache_catalog

_FOLDER = "/etc/cache"
_CERTIFICATES = {
    "tls-auth-clients": "no",
    "tls-cert-file": f"{_FOLDER}/server.pem",
    "tls-key-file": f"{_FOLDER}/server.key",
    "tls-ca-cert-file": f"{_FOLDER}/ca.pem",
}
_IMAGES = {"valkey": "valkey/valkey", "redis": "redis"}
# What a parameter group sets, and a server outside ElastiCache takes too.
_SERVER = frozenset(
    """activedefrag active-expire-effort hash-max-listpack-entries lazyfree-lazy-eviction lazyfree-lazy-expire lfu-decay-time
    lfu-log-factor list-max-listpack-size maxmemory-policy maxmemory-samples min-replicas-max-lag min-replicas-to-write
    notify-keyspace-events slowlog-log-slower-than slowlog-max-len tcp-keepalive timeout""".split()
)


class Server(NamedTuple):
    """What the nodes of a group have in common. ``token`` is None where no password is asked for."""

    group: str
    engine: str
    version: str
    port: int
    tls: bool
    token: str | None
    parameters: Mapping[str, str]

    @property
    def image(self) -> str:
        """The image of the engine's version."""
        return f"{_IMAGES[self.engine]}:{self.version.split('.')[0]}"

    @property
    def clustered(self) -> bool:
        """Whether keys are spread over shards."""
        return self.parameters.get("cluster-enabled") == "yes"

    @property
    def command(self) -> str:
        """The name of the server program, and with -cli of its client."""
        return "valkey" if self.engine == "valkey" else "redis"


def _listening(server: Server) -> dict[str, str]:
    """The settings of where a node listens; what is closed comes first."""
    port, over = str(server.port), "yes" if server.tls else "no"
    ports = {"port": "0", "tls-port": port} if server.tls else {"tls-port": "0", "port": port}
    return {**_CERTIFICATES, **ports, "tls-replication": over, **({"tls-cluster": over} if server.clustered else {})}


def _configuration(server: Server, primary: str | None, address: str) -> bytes:
    lines = ["protected-mode no", "dir /data", 'save ""', "appendonly no", "maxmemory 256mb"]
    if server.clustered:
        lines += ["cluster-enabled yes", "cluster-node-timeout 15000", "cluster-require-full-coverage no", f"cluster-announce-ip {address}"]
        # An emptied primary is taken away, and is not to follow another first.
        lines.append("cluster-allow-replica-migration no")
    lines += [f"{name} {value}" for name, value in _listening(server).items()]
    if server.token:
        lines += [f'requirepass "{server.token}"', f'masterauth "{server.token}"']
    lines += [f"{name} {value}" for name, value in sorted(server.parameters.items()) if name in _SERVER and value != ""]
    if primary and not server.clustered:
        lines.append(f"replicaof {primary} {server.port}")
    return ("\n".join(lines) + "\n").encode()


def start(
    server: Server, node: str, address: str, *, primary: str | None = None, addresses: list[str] | None = None, snapshot: str = ""
) -> Any:
    """Start a node at ``address``, as a replica of ``primary`` where one is given. Returns its container."""
    certificate, key = certificates.issue(f"{server.group}.cache.amazonaws.com", sorted({address, *(addresses or [])}))
    files = {
        f"{_FOLDER}/server.pem": (certificate, 0o644, 0),
        f"{_FOLDER}/server.key": (key, 0o644, 0),
        f"{_FOLDER}/ca.pem": (certificates.authority().read_bytes(), 0o644, 0),
        f"{_FOLDER}/server.conf": (_configuration(server, primary, address), 0o644, 0),
    }
    if snapshot and _snapshot_path(snapshot).is_file():
        files["/data/dump.rdb"] = (_snapshot_path(snapshot).read_bytes(), 0o644, 0)
    container = containers.create(
        f"cache-{node}",
        server.image,
        kind="elasticache",
        owner=server.group,
        address=address,
        labels={f"{containers.LABEL}.name": node},
        files=files,
        command=[f"{server.command}-server", f"{_FOLDER}/server.conf"],
    )
    container.start()
    containers.wait_until(lambda: "PONG" in ask(server, node, "ping"), 60, f"the cache node {node} does not answer")
    return container


def find(group: str) -> dict[str, Any]:
    """Node name to container."""
    return {each.labels[f"{containers.LABEL}.name"]: each for each in containers.find("elasticache", group)}


def ask(server: Server, node: str, *command: str) -> str:
    """Send a command to a node."""
    options = ["--tls", "--cacert", f"{_FOLDER}/ca.pem"] if server.tls else []
    environment = {"REDISCLI_AUTH": server.token} if server.token else {}
    program = [f"{server.command}-cli", "--no-auth-warning", "-p", str(server.port), *options, *command]
    answer = containers.run_in(find(server.group)[node], program, environment=environment)
    if answer.startswith(("ERR", "NOAUTH", "WRONGPASS", "(error)")):
        raise containers.ContainerError(f"{node}: {command[0]}: {answer.strip()}")
    return answer


def apply(server: Server, old: Server) -> None:
    """Bring parameters, the password and TLS of running nodes from ``old`` to ``server``."""
    for node, container in find(server.group).items():
        for name in sorted(_SERVER & {*server.parameters, *old.parameters}):
            value = server.parameters.get(name, cache_catalog.PARAMETERS.get(name))
            if value is not None and value != old.parameters.get(name):
                ask(old, node, "config", "set", name, value)
        # At once: whoever comes next needs all of it.
        changed = {"masterauth": server.token or "", "requirepass": server.token or ""} if server.token != old.token else {}
        changed |= _listening(server) if server.tls != old.tls else {}
        if changed:
            ask(old, node, "config", "set", *(word for pair in changed.items() for word in pair))
        address = container.attrs["NetworkSettings"]["Networks"][containers.NETWORK]["IPAddress"]
        containers.put(container, {f"{_FOLDER}/server.conf": (_configuration(server, None, address), 0o644, 0)})


def add_password(server: Server, token: str) -> None:
    """Let a second password in beside the first (the strategy ROTATE)."""
    for node in find(server.group):
        ask(server, node, "acl", "setuser", "default", f">{token}")


def fail_over(server: Server, old: str, new: str, address: str, spare: str) -> None:
    """Let replica ``new`` take over the primary's ``address``; the old primary comes back as a replica at ``spare``. In a cluster both keep
    their addresses, and clients are told.
    """
    nodes = find(server.group)
    if nodes[old].status == "running":
        nodes[old].kill()
    if server.clustered:
        ask(server, new, "cluster", "failover", "takeover")
        nodes[old].start()
        return
    network = containers.network()
    network.disconnect(nodes[old], force=True)
    ask(server, new, "replicaof", "no", "one")
    network.disconnect(nodes[new])
    network.connect(nodes[new], ipv4_address=address)
    for node in nodes:
        if node not in (old, new):
            ask(server, node, "replicaof", address, str(server.port))
    containers.put(nodes[old], {f"{_FOLDER}/server.conf": (_configuration(server, address, spare), 0o644, 0)})
    network.connect(nodes[old], ipv4_address=spare)
    nodes[old].start()


def in_step(server: Server, node: str) -> bool:
    """Whether a replica has all that its primary has."""
    return "master_link_status:up" in ask(server, node, "info", "replication")


def remove(node: str) -> None:
    """Take a node away."""
    containers.remove(containers.full_name(f"cache-{node}"))


def _snapshot_path(name: str) -> Path:
    return state.folder("snapshots") / f"{name}.rdb"


def keep(server: Server, node: str, name: str) -> None:
    """Keep what a node holds under a snapshot's name."""
    before = ask(server, node, "lastsave")
    time.sleep(1.1)  # LASTSAVE counts in seconds
    ask(server, node, "bgsave")
    containers.wait_until(lambda: ask(server, node, "lastsave") != before, 60, f"{node} does not save")
    stream, _stat = find(server.group)[node].get_archive("/data/dump.rdb")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        member = archive.extractfile("dump.rdb")
        assert member is not None
        keep_as(name, member.read())


def keep_as(name: str, data: bytes) -> None:
    """Keep data under a snapshot's name."""
    path = _snapshot_path(name)
    path.touch(mode=0o600)
    path.write_bytes(data)


def parts(name: str) -> list[str]:
    """The names under which a snapshot's data is kept: its own, or one for each shard."""
    if _snapshot_path(name).is_file():
        return [name]
    return sorted(each.stem for each in state.folder("snapshots").glob(f"{name}-[0-9][0-9][0-9][0-9].rdb"))


def kept(name: str) -> bytes:
    """A snapshot's data."""
    return _snapshot_path(name).read_bytes()


def drop(name: str) -> None:
    """Take a snapshot's data away."""
    for part in parts(name):
        _snapshot_path(part).unlink()
