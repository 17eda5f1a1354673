"""The rehearsed API as a WSGI application: who may ask, how often, and errors in the documented shape."""

from __future__ import annotations

import json
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.wrappers import Request, Response

from .. import containers
from . import account, balancers, droplets, firewalls, names, projects, registry, volumes, vpcs
from .routing import HANDLERS, ROUTES, ApiError, Call, Cloud

# Every module above registers its routes when it is imported.
_PARTS = (account, balancers, droplets, firewalls, names, projects, registry, volumes, vpcs)
TOKEN = "dop_v1_" + "5e8ea2" * 10 + "1d07"
# One that may look and change nothing.
READ_TOKEN = "dop_v1_" + "0bse2e" * 10 + "1d07"
_HOURLY = 5000
_SECONDS = 3600


class Api:
    """The account, behind its API."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self._lock = threading.Lock()
        self._asked: list[float] = []
        account.prepare(self.cloud)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        status, document = self._answer(request)
        text = "" if document is None else json.dumps(document)
        response = Response(text, status, content_type="application/json; charset=utf-8")
        left = max(0, _HOURLY - len(self._asked))
        response.headers.update({"ratelimit-limit": str(_HOURLY), "ratelimit-remaining": str(left), "ratelimit-reset": str(self._reset())})
        response.headers["x-request-id"] = f"{time.time_ns():x}"
        return response(environ, start)

    def _reset(self) -> int:
        return int((self._asked[0] if self._asked else time.time()) + _SECONDS)

    def _answer(self, request: Request) -> tuple[int, dict[str, Any] | None]:
        try:
            self._admit(request)
            rule, values = ROUTES.bind_to_environ(request.environ).match()
            body = request.get_json(silent=True, force=True) if request.data else {}
            call = Call(self.cloud, request.args, body, request.base_url)
            with self.cloud.lock:
                return HANDLERS[rule](call, **values)
        except ApiError as error:
            return error.status, {"id": error.name, "message": error.message, "request_id": f"{time.time_ns():x}"}
        except NotFound:
            return 404, {"id": "not_found", "message": f"{request.path} is not rehearsed, or not there"}
        except MethodNotAllowed:
            return 405, {"id": "method_not_allowed", "message": f"{request.method} {request.path} is not rehearsed"}
        except containers.ContainerError as error:
            return 500, {"id": "server_error", "message": f"the rehearsal: {error}"}
        except Exception:
            traceback.print_exc()
            return 500, {"id": "server_error", "message": "the rehearsal failed; its log says more"}

    def _admit(self, request: Request) -> None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, READ_TOKEN):
            raise ApiError(401, "Unauthorized", "Unable to authenticate you")
        if token == READ_TOKEN and request.method != "GET":
            raise ApiError(403, "Forbidden", "You are not authorized to perform this operation")
        with self._lock:
            border = time.time() - _SECONDS
            self._asked = [each for each in self._asked if each > border]
            if len(self._asked) >= _HOURLY:
                raise ApiError(429, "too_many_requests", "API rate limit exceeded.")
            self._asked.append(time.time())
