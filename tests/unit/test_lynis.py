"""Lynis's report of a machine, and that everything that is left as it is says why."""

from __future__ import annotations

from pathlib import Path

import yaml

from scan import lynis

ROOT = Path(__file__).parents[2]
REPORT = """# Lynis Report
hardening_index=71
suggestion[]=SSH-7408|Consider hardening SSH configuration|AllowTcpForwarding (set YES to NO)|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 20 to 2)|-|
warning[]=FIRE-4512|iptables module(s) loaded, but no rules active|-|-|
suggestion[]=SSH-7408|Consider hardening SSH configuration|MaxSessions (set 20 to 2)|-|
tests_executed=SSH-7408|
"""


def test_a_report_is_its_index_and_its_advice_once_each_warnings_first():
    found = lynis.read(REPORT)
    assert found.index == 71
    assert [(each.kind, each.test, each.details) for each in found.advice] == [
        ("warning", "FIRE-4512", ""),
        ("suggestion", "SSH-7408", "AllowTcpForwarding (set YES to NO)"),
        ("suggestion", "SSH-7408", "MaxSessions (set 20 to 2)"),
    ]
    assert (found.count("warning"), found.count("suggestion")) == (1, 2)


def test_a_reason_may_be_for_some_of_what_a_test_says():
    reasons = {"SSH-7408": {"only": ["MaxSessions"], "why": "because"}, "FIRE-4512": {"only": ["iptables"], "why": "because"}}
    left = [each for each in lynis.read(REPORT).advice if not lynis.explained(each, reasons)]
    assert [each.details for each in left] == ["AllowTcpForwarding (set YES to NO)"]
    assert "| x | 71 | 1 | 2 | 1 |" in lynis.table({"x": lynis.read(REPORT)}, {"x": left})


def test_everything_that_is_left_as_it_is_says_why():
    for name, reason in yaml.safe_load((ROOT / "scan" / "explained.yaml").read_text()).items():
        assert set(reason) <= {"why", "only"}, name
        assert len(reason["why"]) > 30, name
