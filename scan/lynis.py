"""Lynis's report of a machine: its hardening index, and what it warns of and suggests, without what is explained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Advice(NamedTuple):
    """What Lynis says by one of its tests. ``details``: of what it speaks, where it names that."""

    kind: str
    test: str
    says: str
    details: str


class Report(NamedTuple):
    """``index``: the hardening index, 0 to 100."""

    index: int
    advice: list[Advice]

    def count(self, kind: str) -> int:
        """How many warnings, or suggestions."""
        return sum(each.kind == kind for each in self.advice)


def read(text: str) -> Report:
    """What lynis-report.dat says: a key and a value on each line, fields between bars. Source: lynis(8) and CISOfy's documentation."""
    index, advice = 0, []
    for line in text.splitlines():
        key, _equals, value = line.partition("=")
        if key == "hardening_index":
            index = int(value)
        if key in ("warning[]", "suggestion[]"):
            test, says, details, *_rest = [*value.split("|"), "", "", ""]
            advice.append(Advice(key[:-2], test, says, "" if details == "-" else details))
    return Report(index, sorted(set(advice), key=lambda each: (each.kind != "warning", each)))


def explained(advice: Advice, reasons: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether it is written down why what Lynis says is not done. ``only``: words that what it says or speaks of has to begin with."""
    reason = reasons.get(advice.test)
    if reason is None:
        return False
    only = tuple(reason.get("only") or ())
    return not only or advice.says.startswith(only) or advice.details.startswith(only)


def table(reports: Mapping[str, Report], open_: Mapping[str, Iterable[Advice]]) -> list[str]:
    """The machines' reports, as a table in Markdown."""
    lines = ["| | hardening index | warnings | suggestions | of both, neither done nor explained |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, report in reports.items():
        left = str(len(list(open_[name]))) if name in open_ else ""
        lines.append(f"| {name} | {report.index} | {report.count('warning')} | {report.count('suggestion')} | {left} |")
    return lines
