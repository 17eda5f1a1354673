# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When versions of an Elastic Beanstalk application came into service: noted in their descriptions, where Beanstalk has nothing for it.

Pure. Versions are as DescribeApplicationVersions tells them (VersionLabel, Description, DateCreated).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .problems import BerthError

_NOTE = re.compile(r"; in service (?P<when>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?: instead of (?P<left>\S+))?$")
# Beanstalk takes no more.
_LONGEST = 200


def noted(description: str, when: str, left: str = "") -> str:
    """A version's description, with when it came into service (ISO 8601, UTC), and which version was ``left`` by going back to it."""
    note = f"; in service {when}" + (f" instead of {left}" if left else "")
    return _NOTE.sub("", description)[: _LONGEST - len(note)] + note


def is_noted(description: str) -> bool:
    """Whether a version's description says that it has been in service."""
    return _NOTE.search(description) is not None


def rollback_target(versions: Sequence[Mapping[str, Any]], current: str, wanted: str) -> str:
    """The label to go back to: what is ``wanted`` (a label, or the release that it begins with), or what was in service before.

    Where that has been done already, it is the current one. Raises :class:`BerthError` where there is none.
    """
    notes = {str(each["VersionLabel"]): _NOTE.search(str(each.get("Description") or "")) for each in versions}
    labels = [str(each["VersionLabel"]) for each in sorted(versions, key=lambda each: str(each["DateCreated"]), reverse=True)]
    there = (
        f"The application has {', '.join(labels[:8])}; name one with -e app_release=NAME" if labels else "The application has no version"
    )
    if wanted:
        found = [label for label in labels if label == wanted or label.startswith(f"{wanted}-")]
        if not found:
            raise BerthError(f"app_release: there is no version {wanted} any more. {there}, or deploy it anew with deploy.yml")
        return found[0]
    here = notes.get(current)
    if here and here["left"]:
        return current
    served = sorted((note["when"], label) for label, note in notes.items() if note and label != current)
    if not served:
        raise BerthError(f"No version is noted to have been in service before {current}. {there}")
    return served[-1][1]
