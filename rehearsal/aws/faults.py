"""Bad days on demand: the server's own door before moto, which lets a share of requests fail as AWS lets them fail."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import random
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .boto import USER_AGENT
from .wire import Fault, Request, answer, identify

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
_QUOTAS = {
    "CreateVpc": "VpcLimitExceeded",
    "CreateNatGateway": "NatGatewayLimitExceeded",
    "AllocateAddress": "AddressLimitExceeded",
    "CreateDBInstance": "InstanceQuotaExceeded",
    "CreateReplicationGroup": "NodeQuotaForCustomerExceeded",
    "CreateEnvironment": "TooManyEnvironmentsException",
    "CreateBucket": "TooManyBuckets",
}
# Which error says that a thing is not there, by what its id begins with. Source: EC2's list of error codes.
_NOT_FOUND = {
    "vpc": "InvalidVpcID.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "igw": "InvalidInternetGatewayID.NotFound",
    "nat": "NatGatewayNotFound",
    "rtb": "InvalidRouteTableID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "eipalloc": "InvalidAllocationID.NotFound",
}
_IDS = re.compile(rb"\b(?:" + "|".join(_NOT_FOUND).encode() + rb")-[0-9a-f]{8,17}\b")
# What differs when the same is asked again: tokens and revisions.
_VARYING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d")
_NAMES = re.compile(r"(?:^|&)(?:RoleName|InstanceProfileName)=([^&]+)")


@dataclass
class Rule:
    """Which requests fail, and how. ``operation``: a pattern such as ``rds:Create*`` or ``*:*``."""

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

    def meets(self, request: Request) -> bool:
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


def fault_of(kind: str, request: Request) -> Fault:
    """The error that a service answers, in its own words. Source: each service's reference, common errors."""
    service, operation = request.service, request.operation
    json_like = service in ("secretsmanager", "ecr", "ecs", "logs", "cloudwatch", "kms", "sqs")
    if kind == "throttle":
        if service == "ec2":
            return Fault(503, "RequestLimitExceeded", "Request limit exceeded.")
        if service == "s3":
            return Fault(503, "SlowDown", "Please reduce your request rate.")
        return Fault(400, "ThrottlingException" if json_like else "Throttling", "Rate exceeded")
    if kind == "error":
        return Fault(500, "InternalError" if service in ("s3", "ec2") else "InternalFailure", "An internal error has occurred.")
    if kind == "deny":
        who = "arn:aws:iam::123456789012:user/berth"
        code = {"ec2": "UnauthorizedOperation"}.get(service, "AccessDeniedException" if json_like else "AccessDenied")
        return Fault(400 if json_like else 403, code, f"User: {who} is not authorized to perform: {service}:{operation}")
    if kind == "expire":
        code = {"ec2": "RequestExpired"}.get(service, "ExpiredTokenException" if json_like else "ExpiredToken")
        return Fault(400 if json_like else 403, code, "The security token included in the request is expired")
    return Fault(400, _QUOTAS.get(operation, "LimitExceededException"), f"The quota for {operation} is exceeded.")


class Faults:
    """A WSGI application before another."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._rules: list[Rule] = []
        self._calls: Counter[str] = Counter()
        self._made: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request: the control's own, one that fails, or what moto answers."""
        path = environ.get("PATH_INFO", "")
        if path in (CONTROL, CALLS):
            return self._controlled(path, environ, start_response)
        # What the rehearsal asks of itself is AWS's own doing.
        if USER_AGENT in str(environ.get("HTTP_USER_AGENT", "")):
            return self._application(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        if length:
            environ["wsgi.input"] = io.BytesIO(body)
        request = identify(environ, body)
        if not request.service:
            return self._application(environ, start_response)
        with self._lock:
            self._calls[f"{request.service}:{request.operation}"] += 1
            met = [rule for rule in self._rules if rule.meets(request)]
        for rule in met:
            if rule.kind == "delay":
                time.sleep(rule.seconds)
            elif rule.kind == "kill":
                kill_tree(rule.pid)
                return _broken(environ)
            elif rule.kind == "drop":
                return _broken(environ)
            elif rule.kind == "stale":
                missing = self._missing(rule, request)
                if missing:
                    return _refused(request, environ, start_response, missing)
            elif rule.kind not in ("lose", "kill-after"):
                return _refused(request, environ, start_response, fault_of(rule.kind, request))
        answered = list(self._application(environ, start_response))
        if any(rule.kind == "stale" for rule in self._rules):
            self._remember(request, b"".join(answered))
        for rule in met:
            if rule.kind == "kill-after":
                kill_tree(rule.pid)
            if rule.kind in ("lose", "kill-after"):
                return _broken(environ)
        return answered

    def _remember(self, request: Request, answered: bytes) -> None:
        """Note what a request has made, for the while in which it is not found."""
        if request.service == "ec2" and request.operation.startswith(("Create", "Allocate")):
            made = {each.decode() for each in _IDS.findall(answered)} - {each.decode() for each in _IDS.findall(request.text.encode())}
        elif request.service == "iam" and request.operation in ("CreateRole", "CreateInstanceProfile"):
            made = set(_NAMES.findall(request.text))
        else:
            return
        with self._lock:
            for name in made:
                self._made.setdefault(name, time.monotonic())

    def _missing(self, rule: Rule, request: Request) -> Fault | None:
        """The error that says that a thing is not there, where a request names one that was just made."""
        young = {name for name, when in list(self._made.items()) if time.monotonic() - when < rule.seconds}
        if request.service == "ec2":
            for each in _IDS.findall(request.text.encode()):
                name = each.decode()
                if name in young:
                    return Fault(400, _NOT_FOUND[name.partition("-")[0]], f"The ID '{name}' does not exist")
        if request.service == "iam" and not request.operation.startswith("Create"):
            for name in _NAMES.findall(request.text):
                if name in young:
                    return Fault(404, "NoSuchEntity", f"The role with name {name} cannot be found.")
        return None

    def _controlled(self, path: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, status = environ.get("REQUEST_METHOD"), "200 OK"
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        answered: Any
        with self._lock:
            if path == CALLS:
                answered = dict(self._calls)
                if method == "DELETE":
                    self._calls.clear()
            else:
                try:
                    if method == "POST":
                        self._rules.append(Rule(**json.loads(body)))
                except (ValueError, TypeError) as error:
                    status, answered = "400 Bad Request", {"error": str(error)}
                else:
                    answered = [rule.shown() for rule in self._rules]
                    if method == "DELETE":
                        self._rules.clear()
                        self._made.clear()
        start_response(status, [("Content-Type", "application/json")])
        return [json.dumps(answered).encode()]


def _refused(request: Request, environ: dict[str, Any], start_response: Callable[..., Any], fault: Fault) -> Iterable[bytes]:
    body, content = answer(request, environ, fault)
    start_response(f"{fault.status} Rehearsed", [("Content-Type", content), ("Content-Length", str(len(body)))])
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


def _broken(environ: dict[str, Any]) -> Iterable[bytes]:
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
