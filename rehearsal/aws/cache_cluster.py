"""The primaries of an ElastiCache replication group with shards as a cluster: who has which slots, and how they move."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence

from .. import containers
from .cache_nodes import Server, ask

_SLOTS = 16384
_SECONDS = 60
_ATTEMPTS = 5


def _lines(server: Server, node: str) -> list[list[str]]:
    """CLUSTER NODES, a list of words for each."""
    return [line.split() for line in ask(server, node, "cluster", "nodes").splitlines() if line.strip()]


def _myself(server: Server, node: str) -> str:
    return ask(server, node, "cluster", "myid").strip()


def _owned(server: Server, node: str) -> list[tuple[int, int]]:
    """The ranges of slots of a node, as it says itself."""
    mine = next(words for words in _lines(server, node) if "myself" in words[2])
    found = [word.partition("-") for word in mine[8:] if not word.startswith("[")]
    return [(int(first), int(last or first)) for first, _dash, last in found]


def form(server: Server, primaries: Mapping[str, str]) -> None:
    """Make a cluster of nodes that run, by name and address. Each keeps the slots of the keys that it began with, and gets its share."""
    taken: set[int] = set()
    for node in primaries:
        for first, last in _owned(server, node):
            taken |= set(range(first, last + 1))
    share = -(-_SLOTS // len(primaries))
    for number, node in enumerate(primaries):
        wanted = [slot for slot in range(number * share, min((number + 1) * share, _SLOTS)) if slot not in taken]
        for begin in range(0, len(wanted), 2000):
            ask(server, node, "cluster", "addslots", *map(str, wanted[begin : begin + 2000]))
    for number, node in enumerate(primaries):
        # Two that both think that they are the newest do not see who is.
        ask(server, node, "cluster", "set-config-epoch", str(number + 1))
    join(server, primaries, list(primaries))


def join(server: Server, there: Mapping[str, str], fresh: Sequence[str]) -> None:
    """Let fresh nodes get to know those that are there, themselves among them, and wait until all do."""
    known = next(iter(there))
    for node in fresh:
        if node != known:
            ask(server, node, "cluster", "meet", there[known], str(server.port))

    def all_known() -> bool:
        found = [_lines(server, node) for node in there]
        return all(len(lines) == len(there) and not any("handshake" in words[2] for words in lines) for lines in found)

    containers.wait_until(all_known, _SECONDS, f"the nodes of {server.group} do not find one another")


def follow(server: Server, node: str, primary: str) -> None:
    """Let a node be a replica."""
    ask(server, node, "cluster", "replicate", _myself(server, primary))


def even_out(server: Server, node: str, address: str, without: Sequence[str] = ()) -> None:
    """Move slots with their keys until all primaries have as many, and those ``without`` have none. ``node``: any, and its address, by which the
    others send it keys.
    """
    weights = [f"{_myself(server, each)}=0" for each in without]
    more = ["--cluster-weight", *weights] if weights else []
    place = f"{address}:{server.port}"
    for attempt in range(_ATTEMPTS):
        try:
            ask(server, node, "--cluster", "rebalance", place, "--cluster-use-empty-masters", "--cluster-threshold", "1", *more)
            return
        except containers.ContainerError as problem:
            # On a busy machine nodes do not agree yet, or one did not answer in time, which leaves a slot half moved.
            if attempt == _ATTEMPTS - 1:
                raise
            print(f"{problem}; once more", flush=True)
            time.sleep(2)
            with contextlib.suppress(containers.ContainerError):
                ask(server, node, "--cluster", "fix", place)


def forget(server: Server, there: Sequence[str], gone: Sequence[str]) -> None:
    """Let the nodes that stay know nothing of those that go."""
    for each in [_myself(server, node) for node in gone]:
        for node in there:
            ask(server, node, "cluster", "forget", each)
