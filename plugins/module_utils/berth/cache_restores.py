# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several replication groups of one stack serves, and which snapshot a user means.

AWS gives no group another name, so what is restored has one of its own (``NAME-r2``), and tags say which one is in force.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .problems import refuse

# Whose group it is; and since when it serves, which one that was only restored does not say.
FOR_TAG, SINCE_TAG = "berth:restored-for", "berth:serves-since"


class Members(NamedTuple):
    """Names, empty where there is none. ``beside``: restored, and not in force yet; ``aside``: were in force before; ``free``: for one more."""

    serving: str
    beside: str
    aside: list[str]
    free: str


def candidates(name: str, there: Sequence[str]) -> list[str]:
    """Those that may be the stack's own by their names."""
    return [each for each in there if re.fullmatch(re.escape(name) + r"(-r\d+)?", each)]


def members(name: str, groups: Mapping[str, Mapping[str, str]]) -> Members:
    """Who is who. ``groups``: the tags of each that may be the stack's, by name."""
    own = {each: tags for each, tags in groups.items() if each == name or tags.get(FOR_TAG) == name}
    in_force = sorted((each for each in own if each == name or SINCE_TAG in own[each]), key=lambda each: own[each].get(SINCE_TAG, ""))
    restored = sorted(each for each in own if each not in in_force)
    taken = {int(each.rsplit("-r", 1)[1]) for each in groups if each != name}
    number = next(each for each in range(2, len(taken) + 3) if each not in taken)
    return Members(in_force[-1] if in_force else "", restored[-1] if restored else "", in_force[:-1], f"{name}-r{number}")


def available(snapshots: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Snapshots as DescribeSnapshots tells them, oldest first: ``name``, ``at`` (datetime), ``source`` and ``status`` each."""
    found = [
        {
            "name": each["SnapshotName"],
            "at": max(
                (node["SnapshotCreateTime"] for node in each.get("NodeSnapshots") or [] if node.get("SnapshotCreateTime")), default=None
            ),
            "source": each.get("SnapshotSource", ""),
            "status": each["SnapshotStatus"],
        }
        for each in snapshots
    ]
    return sorted((each for each in found if each["at"]), key=lambda each: each["at"])


def chosen(wanted: str, snapshots: Sequence[Mapping[str, Any]], now: datetime.datetime) -> str:
    """The snapshot that ``latest``, a name, or a time means, for which it is the newest before. Raises :class:`BerthError`."""
    found = [each for each in snapshots if each["status"] == "available"]
    if not found:
        refuse("There is no snapshot to restore. Nothing was made")
    if wanted == "latest":
        return str(found[-1]["name"])
    if wanted in [each["name"] for each in found]:
        return wanted
    try:
        when = datetime.datetime.fromisoformat(wanted)
    except ValueError:
        names = ", ".join(each["name"] for each in found)
        refuse(f"restore_to is {wanted}: give latest, a time such as 2026-01-31T12:00:00Z, or one of {names}. Nothing was made")
    when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    if when > now:
        refuse(f"restore_to is {wanted}, which is in the future. Nothing was made")
    before = [each for each in found if each["at"] <= when]
    if not before:
        refuse(f"restore_to is {wanted}, and the first snapshot is of {found[0]['at']:%Y-%m-%d %H:%M:%SZ}. Nothing was made")
    return str(before[-1]["name"])
