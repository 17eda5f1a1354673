"""Bad days on demand: the door before the API, which lets a share of requests fail as DigitalOcean lets them fail."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .. import rules

# Source: the API's reference, on errors and on its rate limit, which tells how long to wait.
_REFUSED = {
    "throttle": (429, "too_many_requests", "API rate limit exceeded."),
    "error": (500, "server_error", "Unexpected server-side error"),
    "deny": (403, "forbidden", "You are not authorized to perform this operation"),
    "expire": (401, "unauthorized", "Unable to authenticate you"),
    "quota": (422, "unprocessable_entity", "creating this will exceed your account's limit"),
}
_RETRY_SECONDS = 1


class Request(NamedTuple):
    """What is asked: ``operation`` is a method and a path, such as ``POST /v2/droplets``."""

    operation: str
    text: str
    service: str = "digitalocean"

    @property
    def changes(self) -> bool:
        """Whether it makes, changes or removes something."""
        return not self.operation.startswith(("GET", "HEAD"))


class Faults:
    """A WSGI application before another."""

    def __init__(self, application: Callable[..., Iterable[bytes]], in_force: rules.Rules) -> None:
        self._application, self._rules = application, in_force

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request, or let it fail."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        operation = f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}"
        met = self._rules.met(Request(operation, f"{operation}\n{body.decode('utf-8', 'replace')}"))
        try:
            refused = rules.before(met)
            if refused and refused.kind in _REFUSED:
                return _refuse(refused.kind, start_response)
            answered = list(self._application(environ, start_response))
            rules.after(met)
        except ConnectionAbortedError:
            return rules.break_off(environ)
        return answered


def _refuse(kind: str, start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, name, message = _REFUSED[kind]
    body = json.dumps({"id": name, "message": message, "request_id": f"{time.time_ns():x}"}).encode()
    headers = [("Content-Type", "application/json; charset=utf-8"), ("Content-Length", str(len(body)))]
    if kind == "throttle":
        headers.append(("Retry-After", str(_RETRY_SECONDS)))
    start_response(f"{status} Rehearsed", headers)
    return [body]
