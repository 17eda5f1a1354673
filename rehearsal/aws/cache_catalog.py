"""What ElastiCache offers: engine versions and parameters. A part of each, enough to be told apart.

Sources: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/supported-engine-versions.html and
https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/ParameterGroups.Engine.html
"""

from __future__ import annotations

from typing import Any

# engine -> version -> parameter group family
VERSIONS = {
    "redis": {"6.2": "redis6.x", "7.0": "redis7", "7.1": "redis7"},
    "valkey": {"7.2": "valkey7", "8.0": "valkey8", "8.1": "valkey8"},
}
PARAMETERS: dict[str, str] = {
    "activedefrag": "no",
    "active-expire-effort": "1",
    "cluster-enabled": "no",
    "hash-max-listpack-entries": "512",
    "lazyfree-lazy-eviction": "yes",
    "lazyfree-lazy-expire": "yes",
    "lfu-decay-time": "1",
    "lfu-log-factor": "10",
    "maxmemory-policy": "volatile-lru",
    "maxmemory-samples": "5",
    "notify-keyspace-events": "",
    "min-replicas-max-lag": "10",
    "min-replicas-to-write": "0",
    "reserved-memory-percent": "25",
    "slowlog-log-slower-than": "10000",
    "slowlog-max-len": "128",
    "tcp-keepalive": "300",
    "timeout": "0",
}
_POLICIES = "volatile-lru,allkeys-lru,volatile-lfu,allkeys-lfu,volatile-random,allkeys-random,volatile-ttl,noeviction"


def family(engine: str, version: str) -> str | None:
    """The parameter group family of a version; None for one that is not offered."""
    return VERSIONS.get(engine, {}).get(version)


def parameters(given: dict[str, str]) -> list[dict[str, Any]]:
    """As DescribeCacheParameters tells them."""
    return [
        {
            "ParameterName": name,
            "ParameterValue": given.get(name, default),
            "Description": "",
            "Source": "user" if name in given else "system",
            "DataType": "integer" if default.isdigit() else "string",
            "AllowedValues": _POLICIES if name == "maxmemory-policy" else "yes,no" if default in ("yes", "no") else "",
            "IsModifiable": name != "cluster-enabled",
            "ChangeType": "immediate",
        }
        for name, default in sorted(PARAMETERS.items())
    ]


def problem(name: str, value: str) -> str | None:
    """Why a parameter cannot have a value; None when it can."""
    if name not in PARAMETERS:
        return f"The parameter {name} cannot be found."
    if name == "maxmemory-policy" and value not in _POLICIES.split(","):
        return f"The parameter {name} cannot be set to {value}. Allowed values are {_POLICIES}."
    return None


def engine_versions() -> list[dict[str, Any]]:
    """As DescribeCacheEngineVersions tells them."""
    return [
        {
            "Engine": engine,
            "EngineVersion": version,
            "CacheParameterGroupFamily": group,
            "CacheEngineDescription": engine.capitalize(),
            "CacheEngineVersionDescription": f"{engine} version {version}",
        }
        for engine, versions in VERSIONS.items()
        for version, group in versions.items()
    ]
