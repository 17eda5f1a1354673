"""Bad days on demand: the server's own door before moto, which lets a share of requests fail as AWS lets them fail."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from .. import rules
from ..rules import Rule, Rules
from .boto import USER_AGENT
from .wire import Fault, Request, answer, identify

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
_NAMES = re.compile(r"(?:^|&)(?:RoleName|InstanceProfileName)=([^&]+)")


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

    def __init__(self, application: Callable[..., Iterable[bytes]], rules_in_force: Rules) -> None:
        self._application = application
        self._rules = rules_in_force
        self._made: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request: the control's own, one that fails, or what moto answers."""
        path = environ.get("PATH_INFO", "")
        if path in (rules.CONTROL, rules.CALLS):
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
        met = self._rules.met(request)
        try:
            refused = rules.before(met)
            if refused:
                return _refused(request, environ, start_response, fault_of(refused.kind, request))
            for rule in [rule for rule in met if rule.kind == "stale"]:
                if missing := self._missing(rule, request):
                    return _refused(request, environ, start_response, missing)
            answered = list(self._application(environ, start_response))
            if self._rules.any("stale"):
                self._remember(request, b"".join(answered))
            rules.after(met)
        except ConnectionAbortedError:
            return rules.break_off(environ)
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
        method, length = str(environ.get("REQUEST_METHOD")), int(environ.get("CONTENT_LENGTH") or 0)
        status, document = self._rules.controlled(path, method, environ["wsgi.input"].read(length) if length else b"")
        if method == "DELETE" and path == rules.CONTROL:
            self._made.clear()
        start_response("200 OK" if status == 200 else "400 Bad Request", [("Content-Type", "application/json")])
        return [json.dumps(document).encode()]


def _refused(request: Request, environ: dict[str, Any], start_response: Callable[..., Any], fault: Fault) -> Iterable[bytes]:
    body, content = answer(request, environ, fault)
    start_response(f"{fault.status} Rehearsed", [("Content-Type", content), ("Content-Length", str(len(body)))])
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
