"""Bad days on demand, from the command line and for the tests: what the running rehearsal's faults are."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from . import server
from .rules import CALLS, CONTROL, KINDS, Rule

_NUMBERS = {"share": float, "seconds": float, "times": int, "skip": int, "seed": int, "pid": int}


class FaultError(Exception):
    """What is wrong with a fault that was asked for. The message is shown to the user as it is."""


def _ask(path: str, method: str, document: dict[str, Any] | None = None) -> Any:
    where = server.endpoint()
    if where is None:
        raise server.ServerError("the rehearsal does not run; python -m rehearsal up starts it")
    data = json.dumps(document).encode() if document is not None else None
    request = urllib.request.Request(where + path, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise FaultError(json.load(error)["error"]) from None


def add(kind: str, **given: Any) -> None:
    """Let requests fail. ``given``: the fields of :class:`Rule`. Raises :class:`FaultError`."""
    _ask(CONTROL, "POST", {"kind": kind, **given})


def rules() -> list[dict[str, Any]]:
    """The faults that are in force, with how often each has struck."""
    found: list[dict[str, Any]] = _ask(CONTROL, "GET")
    return found


def clear() -> list[dict[str, Any]]:
    """Let everything go well again. Returns the faults that were in force."""
    found: list[dict[str, Any]] = _ask(CONTROL, "DELETE")
    return found


def calls(*, reset: bool = False) -> dict[str, int]:
    """How often each ``service:Operation`` was asked for."""
    found: dict[str, int] = _ask(CALLS, "DELETE" if reset else "GET")
    return found


def parse(words: list[str]) -> dict[str, Any]:
    """A rule from ``KIND`` and ``name=value`` words. Raises :class:`FaultError`."""
    if words[0] not in KINDS:
        raise FaultError(f"{words[0]} is no fault; there are " + ", ".join(KINDS))
    given: dict[str, Any] = {"kind": words[0]}
    known = {*_NUMBERS, "operation", "changes"}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if name not in known or not equals:
            raise FaultError(f"{word}: give name=value, where name is one of {', '.join(sorted(known))}")
        try:
            given[name] = _NUMBERS[name](value) if name in _NUMBERS else value == "true" if name == "changes" else value
        except ValueError:
            raise FaultError(f"{word}: {value!r} is no number") from None
    try:
        Rule(**given)
    except ValueError as error:
        raise FaultError(str(error)) from None
    return given


def command(words: list[str]) -> int:
    """``python -m rehearsal faults``: list, add or clear. Returns the exit code."""
    if words == ["none"]:
        clear()
    elif words:
        add(**parse(words))
    found = rules()
    for each in found:
        more = "".join(f" {key}={each[key]}" for key in ("share", "times", "skip", "seconds", "changes") if each[key])
        print(f"{each['kind']:10} {each['operation']:24}{more}; struck {each['done']} times")
    if not found:
        print("All goes well. Faults there are:")
        for kind, what in KINDS.items():
            print(f"  {kind:10} {what}")
    return 0
