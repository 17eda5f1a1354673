"""What RDS offers for PostgreSQL: engine versions, and the parameters of a parameter group. A part of each, enough to be told apart.

Sources: https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-versions.html and
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Parameters.html
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

VERSIONS = {
    "14": ["14.17", "14.18", "14.19"],
    "15": ["15.12", "15.13", "15.14"],
    "16": ["16.8", "16.9", "16.10"],
    "17": ["17.4", "17.5", "17.6"],
}

# name -> (default, whether a change needs a restart)
_PARAMETERS: dict[str, tuple[str | None, bool]] = {
    "autovacuum": ("1", False),
    "autovacuum_max_workers": ("3", True),
    "autovacuum_naptime": ("15", False),
    "autovacuum_vacuum_scale_factor": ("0.1", False),
    "checkpoint_timeout": (None, False),
    "deadlock_timeout": (None, False),
    "default_statistics_target": (None, False),
    "effective_cache_size": ("{DBInstanceClassMemory/16384}", False),
    "idle_in_transaction_session_timeout": ("86400000", False),
    "idle_session_timeout": (None, False),
    "lock_timeout": (None, False),
    "log_autovacuum_min_duration": ("10000", False),
    "log_checkpoints": ("1", False),
    "log_connections": (None, False),
    "log_disconnections": (None, False),
    "log_duration": (None, False),
    "log_lock_waits": (None, False),
    "log_min_duration_statement": (None, False),
    "log_min_messages": (None, False),
    "log_statement": (None, False),
    "log_statement_stats": (None, False),
    "log_temp_files": (None, False),
    "maintenance_work_mem": ("GREATEST({DBInstanceClassMemory*1024/63963136},65536)", False),
    "max_connections": ("LEAST({DBInstanceClassMemory/9531392},5000)", True),
    "max_parallel_workers": ("GREATEST($DBInstanceVCPU/2,8)", False),
    "max_replication_slots": ("20", True),
    "max_wal_senders": ("20", True),
    "max_wal_size": ("2048", False),
    "min_wal_size": ("192", False),
    "password_encryption": ("scram-sha-256", False),
    "pg_stat_statements.track": (None, False),
    "random_page_cost": (None, False),
    "rds.force_ssl": ("1", False),
    "rds.log_retention_period": ("4320", False),
    "rds.logical_replication": ("0", True),
    "shared_buffers": ("{DBInstanceClassMemory/32768}", True),
    "shared_preload_libraries": ("pg_stat_statements", True),
    "ssl": ("1", True),
    "ssl_min_protocol_version": ("TLSv1.2", False),
    "statement_timeout": (None, False),
    "timezone": ("UTC", False),
    "track_activity_query_size": ("4096", True),
    "track_io_timing": ("1", False),
    "wal_buffers": (None, True),
    "work_mem": (None, False),
}


def full_version(given: str | None) -> str | None:
    """The version that a request gets: the newest minor release of a bare major; None for one that is not offered."""
    if given is None:
        return VERSIONS["17"][-1]
    if given in VERSIONS:
        return VERSIONS[given][-1]
    return given if any(given in minors for minors in VERSIONS.values()) else None


def engine_versions() -> list[dict[str, Any]]:
    """As DescribeDBEngineVersions tells them."""
    return [
        {
            "Engine": "postgres",
            "EngineVersion": version,
            "MajorEngineVersion": major,
            "DBParameterGroupFamily": f"postgres{major}",
            "DBEngineDescription": "PostgreSQL",
            "DBEngineVersionDescription": f"PostgreSQL {version}-R1",
            "ExportableLogTypes": ["postgresql", "upgrade", "iam-db-auth-error"],
            "SupportsReadReplica": True,
            "SupportsLogExportsToCloudwatchLogs": True,
            "Status": "available",
            "ValidUpgradeTarget": _upgrades(version),
        }
        for major, minors in VERSIONS.items()
        for version in minors
    ]


def _upgrades(version: str) -> list[dict[str, Any]]:
    major, minor = (int(part) for part in version.split("."))
    return [
        {"Engine": "postgres", "EngineVersion": each, "AutoUpgrade": False, "IsMajorVersionUpgrade": int(other) > major}
        for other, minors in VERSIONS.items()
        for each in minors
        if int(other) > major or (int(other) == major and int(each.split(".")[1]) > minor)
    ]


def parameters(given: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every parameter of a group, with what was set in it, as DescribeDBParameters tells them."""
    found = []
    for name in sorted({*_PARAMETERS, *given}):
        default, static = _PARAMETERS.get(name, (None, False))
        value = given[name].get("ParameterValue") if name in given else default
        found.append(
            {
                "ParameterName": name,
                **({"ParameterValue": value} if value is not None else {}),
                "Description": "",
                "Source": "user" if name in given else "system" if default else "engine-default",
                "ApplyType": "static" if static else "dynamic",
                "DataType": "string",
                "IsModifiable": name not in ("ssl",),
                "ApplyMethod": given[name].get("ApplyMethod", "immediate") if name in given else "pending-reboot",
            }
        )
    return found


def known(name: str) -> bool:
    """Whether a parameter group has such a parameter."""
    return name in _PARAMETERS


DEFAULT_CERTIFICATE = "rds-ca-rsa2048-g1"


def certificates() -> list[dict[str, Any]]:
    """The certificate authorities, as DescribeCertificates tells them. Source: RDS's user guide, SSL/TLS certificates."""
    # Names and lifetimes, in years.
    known = {"rds-ca-rsa2048-g1": 40, "rds-ca-rsa4096-g1": 100, "rds-ca-ecc384-g1": 100}
    return [
        {
            "CertificateIdentifier": name,
            "CertificateType": "CA",
            "Thumbprint": hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(),
            "ValidFrom": datetime(2021, 5, 21, tzinfo=UTC),
            "ValidTill": datetime(2021 + years, 5, 21, tzinfo=UTC),
            "CustomerOverride": False,
            "CertificateArn": f"arn:aws:rds:us-east-1::cert:{name}",
        }
        for name, years in known.items()
    ]


# A part of what RDS offers: of each family the usual sizes.
_CLASSES = {
    "db.t4g": ["micro", "small", "medium", "large", "xlarge", "2xlarge"],
    "db.m7g": ["large", "xlarge", "2xlarge", "4xlarge"],
    "db.r7g": ["large", "xlarge", "2xlarge", "4xlarge"],
    "db.r8g": ["large", "xlarge", "2xlarge", "4xlarge"],
}


def orderable(version: str | None, wanted: str | None) -> list[dict[str, Any]]:
    """What DescribeOrderableDBInstanceOptions tells for PostgreSQL, of one version and class or of all."""
    names = [f"{family}.{size}" for family, sizes in _CLASSES.items() for size in sizes]
    return [
        {
            "Engine": "postgres",
            "EngineVersion": each["EngineVersion"],
            "DBInstanceClass": name,
            "AvailabilityZones": [{"Name": f"us-east-1{zone}"} for zone in "abc"],
            "MultiAZCapable": True,
            "ReadReplicaCapable": True,
            "Vpc": True,
            "StorageType": "gp3",
            "SupportsStorageEncryption": True,
            "SupportsStorageAutoscaling": True,
        }
        for each in engine_versions()
        if version in (None, each["EngineVersion"], each["MajorEngineVersion"])
        for name in names
        if wanted in (None, name)
    ]
