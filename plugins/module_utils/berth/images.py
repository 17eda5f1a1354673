# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Container image references: their parts, and which of them are databases that Berth knows."""

from __future__ import annotations

import re
from typing import NamedTuple

# The last path component of an image, whoever published it, to the engine it runs.
ENGINES = {
    "postgres": "postgres",
    "postgresql": "postgres",
    "postgresql-repmgr": "postgres",
    "postgis": "postgres",
    "pgvector": "postgres",
    "pgautoupgrade": "postgres",
    "timescaledb": "postgres",
    "timescaledb-ha": "postgres",
    "redis": "redis",
    "redis-stack": "redis",
    "redis-stack-server": "redis",
    "redis-cluster": "redis",
    "rejson": "redis",
    "redisearch": "redis",
    "redismod": "redis",
    "valkey": "valkey",
    "valkey-bundle": "valkey",
}
PROXIES = frozenset({"nginx", "nginx-unprivileged", "openresty", "traefik", "caddy", "haproxy", "httpd", "envoy", "apache", "proxy"})

# distribution's reference grammar (reference.go), without the length limits.
_REFERENCE = re.compile(
    r"^(?P<name>(?:(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$"
)


class Reference(NamedTuple):
    """An image reference in parts; ``name`` keeps the registry, ``tag`` and ``digest`` may be None."""

    name: str
    tag: str | None
    digest: str | None

    @property
    def basename(self) -> str:
        """The last path component: ``postgres`` of ``public.ecr.aws/docker/library/postgres``."""
        return self.name.rsplit("/", 1)[-1]


def parse(image: str) -> Reference | None:
    """An image reference in parts, or None when Docker would not take it."""
    found = _REFERENCE.match(image)
    return Reference(found["name"], found["tag"], found["digest"]) if found else None


def basename(image: str) -> str:
    """The last path component of an image reference; the empty string of what is none."""
    reference = parse(image)
    return reference.basename if reference else ""


class Engine(NamedTuple):
    """A database engine that an image runs: ``name`` is postgres, redis or valkey; ``version`` as the tag says, or None."""

    name: str
    version: str | None


def engine_of(image: str) -> Engine | None:
    """The engine that an image runs, by its last path component, whatever the registry; None for any other image."""
    reference = parse(image)
    if reference is None or reference.basename not in ENGINES:
        return None
    version = re.match(r"(?:pg)?v?(\d+(?:\.\d+)*)", reference.tag or "")
    return Engine(ENGINES[reference.basename], version[1] if version else None)


def is_proxy(image: str) -> bool:
    """Whether an image is one of the usual front doors (nginx, Caddy, Traefik and their like)."""
    return basename(image) in PROXIES
