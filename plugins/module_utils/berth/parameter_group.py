# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A parameter group of ElastiCache as it is and as it should be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .problems import suggestion


def as_text(value: Any) -> str:
    """A parameter's value as the API has it: booleans of YAML are ``yes`` and ``no``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def problem(known: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any]) -> str:
    """Why the wanted values cannot be had, by the parameters that AWS describes; empty when they can."""
    by_name = {each["ParameterName"]: each for each in known}
    for name, value in sorted(wanted.items()):
        if name not in by_name:
            return f"parameters.{name}: the family has no such parameter{suggestion(name, by_name)}"
        # Whether there are shards is settled while no group uses the parameters, though it is described as fixed.
        if not by_name[name].get("IsModifiable", True) and name != "cluster-enabled":
            return f"parameters.{name}: AWS does not let it be changed"
        allowed = [each for each in str(by_name[name].get("AllowedValues") or "").split(",") if each]
        if len(allowed) > 1 and as_text(value) not in allowed:
            return f"parameters.{name}: {as_text(value)!r} is not one of {', '.join(allowed)}"
    return ""


def difference(
    known: Iterable[Mapping[str, Any]], wanted: Mapping[str, Any], left: Collection[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """The parameters to set, and those to set back to their default: set by a user, not wanted any more, and not to be ``left`` alone."""
    by_name = {each["ParameterName"]: each for each in known}
    values = {name: as_text(value) for name, value in wanted.items()}
    change = {name: value for name, value in sorted(values.items()) if by_name.get(name, {}).get("ParameterValue") != value}
    reset = sorted(name for name, each in by_name.items() if each.get("Source") == "user" and name not in {*values, *left})
    return change, reset
