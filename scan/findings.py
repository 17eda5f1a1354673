"""Prowler's findings: those about a stack, without the muted ones, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

SEVERITIES = ("Critical", "High", "Medium", "Low", "Informational")
# What a stack may not have.
GRAVE = SEVERITIES[:3]


class Finding(NamedTuple):
    """A check that failed for a resource."""

    severity: str
    check: str
    resource: str
    says: str


def failed(report: Iterable[Mapping[str, Any]], words: Iterable[str]) -> list[Finding]:
    """What failed for resources that one of the words names: a stack's name, or the id of a part that has no name."""
    wanted = tuple(words)
    found: set[Finding] = set()
    for each in report:
        if each.get("status_code") != "FAIL" or not any(word in json.dumps(each.get("resources")) for word in wanted):
            continue
        for resource in each["resources"]:
            found.add(Finding(each["severity"], each["metadata"]["event_code"], resource["uid"], each["status_detail"]))
    return sorted(found, key=lambda finding: (SEVERITIES.index(finding.severity), finding))


def muted(finding: Finding, mutes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a finding says nothing about a stack."""
    mute = mutes.get(finding.check)
    return mute is not None and (not mute.get("only") or any(finding.resource.endswith(word) for word in mute["only"]))


def table(columns: Mapping[str, Iterable[Finding]]) -> list[str]:
    """How many findings of each severity every column has, as a table in Markdown."""
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for severity in SEVERITIES[:4]:
        counts = [str(sum(finding.severity == severity for finding in findings)) for findings in columns.values()]
        lines.append(f"| {severity.lower()} | " + " | ".join(counts) + " |")
    return lines
