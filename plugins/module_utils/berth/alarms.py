# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CloudWatch alarms: from what a role says to what PutMetricAlarm takes, and what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .problems import BerthError, suggestion

_KEYS = ("metric", "dimensions", "above", "below", "description", "statistic", "period", "periods", "missing")


def requests(alarms: Mapping[str, Any], namespace: str, actions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Name to the parameters of PutMetricAlarm. Raises :class:`BerthError` for what is not an alarm."""
    return {str(name): _request(str(name), given, namespace, actions) for name, given in alarms.items()}


def _request(name: str, given: Any, namespace: str, actions: Sequence[str]) -> dict[str, Any]:
    if not isinstance(given, Mapping) or not given.get("metric"):
        raise BerthError(f"alarms: {name} names no metric")
    for key in given:
        if key not in _KEYS:
            raise BerthError(f"alarms: {name} has {key!r}, which an alarm has not{suggestion(str(key), _KEYS)}")
    limits = [key for key in ("above", "below") if given.get(key) not in (None, "")]
    if len(limits) != 1:
        raise BerthError(f"alarms: {name} needs one threshold, above or below")
    try:
        threshold = float(given[limits[0]])
    except (TypeError, ValueError):
        raise BerthError(f"alarms: {name}: {limits[0]} is {given[limits[0]]!r}, and has to be a number") from None
    return {
        "AlarmName": name,
        "AlarmDescription": str(given.get("description", "")),
        "Namespace": namespace,
        "MetricName": str(given["metric"]),
        "Dimensions": [{"Name": str(key), "Value": str(value)} for key, value in sorted((given.get("dimensions") or {}).items())],
        "Statistic": str(given.get("statistic", "Average")),
        "Period": int(given.get("period", 300)),
        "EvaluationPeriods": int(given.get("periods", 1)),
        "ComparisonOperator": "GreaterThanThreshold" if limits[0] == "above" else "LessThanThreshold",
        "Threshold": threshold,
        "TreatMissingData": str(given.get("missing", "missing")),
        "ActionsEnabled": True,
        "AlarmActions": list(actions),
        "OKActions": list(actions),
    }


def difference(there: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What of the parameters is other than DescribeAlarms says; all of them where there is no alarm."""
    if there is None:
        return dict(wanted)
    return {key: value for key, value in wanted.items() if _plain(key, there.get(key)) != _plain(key, value)}


def _plain(key: str, value: Any) -> Any:
    if key == "Dimensions":
        return sorted((each["Name"], each["Value"]) for each in value or [])
    # AWS leaves out what is empty.
    return value or None if not isinstance(value, bool | float) else value
