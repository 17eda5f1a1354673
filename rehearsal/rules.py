"""Bad days on demand: which requests fail, and how, of whichever cloud's API."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import random
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

CONTROL = "/rehearsal/faults"
CALLS = "/rehearsal/calls"
KINDS = {
    "throttle": "the service is asked too often",
    "error": "the service fails, with nothing done",
    "drop": "the connection breaks, with nothing done",
    "lose": "the connection breaks when all is done: the answer is lost",
    "delay": "the answer takes so many seconds longer",
    "deny": "the credentials lack the permission",
    "expire": "the session's token has expired",
    "quota": "the account has as many as it may have",
    "stale": "what was just made is not found for so many seconds",
    "kill": "the process `pid` and all that it started is killed, with nothing done",
    "kill-after": "the same, when all is done",
}
# What differs when the same is asked again: tokens and revisions.
_VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d")


class Asked(Protocol):
    """A request. ``text``: what it asks, for the names in it; ``changes``: whether it makes, changes or removes something."""

    @property
    def service(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def changes(self) -> bool: ...


@dataclass
class Rule:
    """Which requests fail, and how. ``operation``: a pattern such as ``rds:Create*``, ``digitalocean:POST /v2/*`` or ``*:*``."""

    kind: str
    operation: str = "*:*"
    share: float = 1.0
    times: int = 0  # at most; 0 is without end
    skip: int = 0  # so many that would fail are let through first
    seconds: float = 1.0
    changes: bool = False  # only operations that change something
    pid: int = 0
    seed: int = 0
    met: int = 0
    done: int = 0
    last: str = ""  # the request that it struck last: its operation, and a digest of what it asks
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind} is no fault; there are {', '.join(KINDS)}")
        if not 0 < float(self.share) <= 1:
            raise ValueError(f"share is {self.share}, and has to be above 0 and at most 1")
        self._random.seed(self.seed or None)

    def meets(self, request: Asked) -> bool:
        """Whether it is this request's turn."""
        if not fnmatch.fnmatchcase(f"{request.service}:{request.operation}", self.operation):
            return False
        if (self.changes and not request.changes) or (self.times and self.done >= self.times) or self._random.random() >= self.share:
            return False
        self.met += 1
        if self.met <= self.skip:
            return False
        self.done += 1
        asked = _VARYING.sub("", request.text)
        self.last = f"{request.service}:{request.operation} {hashlib.sha256(asked.encode()).hexdigest()[:8]}"
        return True

    def shown(self) -> dict[str, Any]:
        """The rule as the control endpoint tells it."""
        return {key: value for key, value in asdict(self).items() if not key.startswith("_")}


class Rules:
    """Those that are in force, and how often each operation was asked for; both clouds' APIs share them."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def met(self, request: Asked) -> list[Rule]:
        """Count a request, and find whose turn it is."""
        with self._lock:
            self._calls[f"{request.service}:{request.operation}"] += 1
            return [rule for rule in self._rules if rule.meets(request)]

    def any(self, kind: str) -> bool:
        """Whether there is a rule of that kind."""
        return any(rule.kind == kind for rule in self._rules)

    def controlled(self, path: str, method: str, body: bytes) -> tuple[int, Any]:
        """Answer the control's own requests: the status, and a document."""
        with self._lock:
            if path == CALLS:
                calls = dict(self._calls)
                if method == "DELETE":
                    self._calls.clear()
                return 200, calls
            try:
                if method == "POST":
                    self._rules.append(Rule(**json.loads(body)))
            except (ValueError, TypeError) as error:
                return 400, {"error": str(error)}
            shown = [rule.shown() for rule in self._rules]
            if method == "DELETE":
                self._rules.clear()
            return 200, shown


def before(met: list[Rule]) -> Rule | None:
    """Do what comes before an answer. Returns the rule by which the request is refused; the caller says how.

    Raises :class:`ConnectionAbortedError` where there is to be no answer, with nothing done.
    """
    for rule in met:
        if rule.kind == "delay":
            time.sleep(rule.seconds)
        elif rule.kind in ("kill", "drop"):
            if rule.kind == "kill":
                kill_tree(rule.pid)
            raise ConnectionAbortedError("a rehearsed fault")
        elif rule.kind not in ("lose", "kill-after", "stale"):
            return rule
    return None


def after(met: list[Rule]) -> None:
    """Do what comes when all is done. Raises :class:`ConnectionAbortedError` where the answer is lost."""
    for rule in met:
        if rule.kind == "kill-after":
            kill_tree(rule.pid)
        if rule.kind in ("lose", "kill-after"):
            raise ConnectionAbortedError("a rehearsed fault")


def break_off(environ: dict[str, Any]) -> Iterable[bytes]:
    """Close the connection without a word."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("a rehearsed fault")


def kill_tree(root: int) -> None:
    """Kill a process and all that it started, at once: first they are all stopped, so that none starts another."""
    family = [root] if root > 1 else []
    for pid in family:
        try:
            os.kill(pid, signal.SIGSTOP)
            children = Path(f"/proc/{pid}/task").glob("*/children")
            family += [int(child) for path in children for child in path.read_text().split() if int(child) not in family]
        except OSError:
            continue
    for pid in family:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
