# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of an RDS instance interrupts, and what RDS cannot do: known before anything is changed.

Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.DBInstance.Modifying.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .problems import suggestion

_LEAST_STORAGE = 20  # GiB, of gp3


def major(version: str) -> str:
    """The major version of PostgreSQL: ``17`` of ``17.6``."""
    return version.split(".")[0]


def meets(running: str, wanted: str) -> bool:
    """Whether a running version is what is wanted: a major version alone is met by any of its minor ones."""
    return running == wanted or running.startswith(f"{wanted}.")


def refused(name: str, current: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> str:
    """Why RDS cannot do it, and what to do instead; empty where it can. ``current``: DescribeDBInstances' entry, or None.

    ``wanted``: engine_version, storage and most_storage (GiB), encrypted, subnet_group, major_upgrade.
    """
    if wanted["storage"] < _LEAST_STORAGE:
        return f"storage: {wanted['storage']} GiB is less than the {_LEAST_STORAGE} that gp3 has at least"
    if wanted["most_storage"] and wanted["most_storage"] < wanted["storage"]:
        return f"most_storage: {wanted['most_storage']} GiB is less than storage, {wanted['storage']}"
    if current is None:
        return ""
    running, has = str(current["EngineVersion"]), int(current["AllocatedStorage"])
    if not meets(running, wanted["engine_version"]) and _numbers(running) > _numbers(wanted["engine_version"]):
        return (
            f"engine_version: {name} runs {running}, and AWS cannot go back to {wanted['engine_version']}; restore a snapshot of the older "
            "version into a new instance"
        )
    if major(running) != major(wanted["engine_version"]) and not wanted["major_upgrade"]:
        return (
            f"engine_version: {name} runs {running}, and {wanted['engine_version']} is a major upgrade, which stops the database and cannot be "
            "taken back; try it on a restored snapshot first, and then allow it with major_upgrade"
        )
    # Storage that grew by itself is no mistake.
    if has > max(wanted["storage"], wanted["most_storage"] or 0):
        return (
            f"storage: {name} has {has} GiB, and AWS cannot shrink it to {wanted['storage']}; restore a dump into a new, smaller instance"
        )
    if bool(current.get("StorageEncrypted")) != wanted["encrypted"]:
        state = "encrypted" if current.get("StorageEncrypted") else "not encrypted"
        return (
            f"encrypted: {name} is {state}, and AWS cannot change that in place; copy a snapshot of it with encryption, and restore the copy "
            "into a new instance"
        )
    group = (current.get("DBSubnetGroup") or {}).get("DBSubnetGroupName")
    if group and wanted["subnet_group"] and group != wanted["subnet_group"]:
        return (
            f"subnet_group: {name} is in {group}, and AWS moves an instance to {wanted['subnet_group']} in another VPC alone; restore a "
            "snapshot of it there, under another name"
        )
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def version_problem(wanted: str, offered: Iterable[str]) -> str:
    """What is wrong with a version that RDS does not offer; empty where it does."""
    names = sorted(offered, key=_numbers)
    if any(meets(each, wanted) for each in names):
        return ""
    same = [each for each in names if major(each) == major(wanted)]
    shown = ", ".join(same or sorted({major(each) for each in names}, key=int))
    return f"engine_version: RDS does not offer PostgreSQL {wanted} in this region; it has {shown}"


def class_problem(wanted: str, offered: Mapping[str, bool], multi_az: bool) -> str:
    """What is wrong with a class. ``offered``: class to whether it can have a standby in another zone."""
    if wanted not in offered:
        return f"instance_class: RDS does not offer {wanted!r} for this version in this region{suggestion(wanted, offered)}"
    if multi_az and not offered[wanted]:
        return f"instance_class: RDS offers {wanted} in one zone alone; set multi_az to false, or take another class"
    return ""


def effects(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What changes, and what each change interrupts, in the order of their weight. ``wanted`` as for :func:`refused`, and more."""
    found: list[str] = []
    standby = bool(current.get("MultiAZ"))
    running = str(current["EngineVersion"])
    if not meets(running, wanted["engine_version"]):
        if major(running) != major(wanted["engine_version"]):
            found.append(f"engine version {running} → {wanted['engine_version']}: a major upgrade, which stops the database for minutes")
        else:
            found.append(f"engine version {running} → {wanted['engine_version']}: restarts the database, a minute or a few")
    has = str(current["DBInstanceClass"])
    if has != wanted["instance_class"]:
        how = "a failover to the standby, one or two minutes" if standby else "the database is away for some minutes"
        found.append(f"class {has} → {wanted['instance_class']}: {how}")
    if standby != wanted["multi_az"]:
        how = "a standby is made from a snapshot, and writes take a little longer" if wanted["multi_az"] else "the standby goes"
        found.append(f"Multi-AZ {_said(standby)} → {_said(wanted['multi_az'])}: no interruption; {how}")
    storage = int(current["AllocatedStorage"])
    if storage < wanted["storage"]:
        found.append(f"storage {storage} → {wanted['storage']} GiB: no interruption; slower for hours, and no second change for six")
    retention = int(current.get("BackupRetentionPeriod") or 0)
    if retention != wanted["backup_days"]:
        how = "restarts the database" if 0 in (retention, wanted["backup_days"]) else "no interruption"
        found.append(f"backups {retention} → {wanted['backup_days']} days: {how}")
    return found


def _said(value: bool) -> str:
    return "on" if value else "off"
