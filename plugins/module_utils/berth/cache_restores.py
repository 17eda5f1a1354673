# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several replication groups of one stack serves, and which snapshot a user means.

AWS gives no group another name, so what is restored has one of its own (``NAME-r2``), and tags say which one is in force.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .backup_choice import chosen
from .problems import refuse

# Whose group it is; and since when it serves, which one that was only restored does not say.
FOR_TAG, SINCE_TAG = "berth:restored-for", "berth:serves-since"


class Members(NamedTuple):
    """Names, empty where there is none. ``beside``: restored, and not in force yet; ``aside``: were in force before; ``free``: for one more."""

    serving: str
    beside: str
    aside: list[str]
    free: str


def _stem(name: str) -> str:
    """What the names of further groups begin with: AWS takes 40 characters."""
    return name[:36].rstrip("-")


def candidates(name: str, there: Sequence[str]) -> list[str]:
    """Those that may be the stack's own by their names."""
    return [each for each in there if each == name or re.fullmatch(re.escape(_stem(name)) + r"-r\d+", each)]


def members(name: str, groups: Mapping[str, Mapping[str, str]]) -> Members:
    """Who is who. ``groups``: the tags of each that may be the stack's, by name."""
    number = {each: int(each.rsplit("-r", 1)[1]) if each != name else 1 for each in groups}
    own = {each: tags for each, tags in groups.items() if each == name or tags.get(FOR_TAG) == name}
    in_force = sorted((each for each in own if each == name or SINCE_TAG in own[each]), key=lambda each: own[each].get(SINCE_TAG, ""))
    restored = sorted((each for each in own if each not in in_force), key=number.__getitem__)
    free = next(each for each in range(2, len(groups) + 3) if each not in number.values())
    return Members(in_force[-1] if in_force else "", restored[-1] if restored else "", in_force[:-1], f"{_stem(name)}-r{free}")


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


def snapshot_for(wanted: str, snapshots: Sequence[Mapping[str, Any]]) -> str:
    """The name of the snapshot that a user means. Raises :class:`BerthError`."""
    complete = [(str(each["name"]), each["at"]) for each in snapshots if each["status"] == "available"]
    if not complete:
        refuse("There is no snapshot to restore. Nothing was made")
    return chosen(wanted, complete)
