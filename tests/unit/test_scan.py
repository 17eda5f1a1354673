"""The scan: which findings count for which stack, and that every muted check says why."""

from __future__ import annotations

from pathlib import Path

import yaml

from scan import findings

ROOT = Path(__file__).parents[2]


def entry(check, severity, resource, status="FAIL"):
    return {
        "status_code": status,
        "severity": severity,
        "metadata": {"event_code": check},
        "resources": [{"uid": resource}],
        "status_detail": f"{resource} is bad",
    }


def test_only_what_failed_for_the_stack_counts_gravest_first():
    report = [
        entry("a", "Low", "arn:shop-1"),
        entry("b", "Critical", "arn:shop-2"),
        entry("c", "High", "arn:other"),
        entry("d", "High", "arn:shop-3", "PASS"),
    ]
    assert [each.check for each in findings.failed(report, ["shop"])] == ["b", "a"]


def test_a_mute_may_be_for_some_resources_alone():
    found = findings.failed([entry("trust", "High", "role/x-instance"), entry("trust", "High", "role/x-execution")], ["x"])
    mutes = {"trust": {"only": ["-instance"], "why": "because"}}
    assert [each.resource for each in found if not findings.muted(each, mutes)] == ["role/x-execution"]


def test_every_muted_check_says_why():
    for name, mute in yaml.safe_load((ROOT / "scan" / "muted.yaml").read_text()).items():
        assert len(mute["why"].split()) > 5, name
