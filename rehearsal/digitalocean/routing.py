"""A request to the rehearsed API, and which function answers it."""

from __future__ import annotations

import ipaddress
import itertools
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from werkzeug.routing import Map, Rule

Answer = tuple[int, dict[str, Any] | None]
Handler = Callable[..., Answer]
ROUTES = Map(strict_slashes=False)
HANDLERS: dict[str, Handler] = {}


class ApiError(Exception):
    """An error in the API's own shape. ``name``: its ``id``, such as not_found."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status, self.name, self.message = status, name, message


def not_found() -> ApiError:
    """What the API says of anything that is not there."""
    return ApiError(404, "not_found", "The resource you were accessing could not be found.")


def refused(message: str) -> ApiError:
    """A request that makes no sense to the API."""
    return ApiError(422, "unprocessable_entity", message)


class Cloud:
    """All that the account holds: kind to identifier to document. One lock for all of it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.kept: dict[str, dict[Any, dict[str, Any]]] = {}
        self._numbers = itertools.count(412_000_001)

    def number(self) -> int:
        """A new numeric identifier, as droplets, keys and actions have."""
        with self.lock:
            return next(self._numbers)

    def all(self, kind: str) -> dict[Any, dict[str, Any]]:
        """Everything of a kind."""
        return self.kept.setdefault(kind, {})

    def get(self, kind: str, key: Any) -> dict[str, Any]:
        """One thing. Raises :class:`ApiError`, 404."""
        try:
            return self.all(kind)[key]
        except KeyError:
            raise not_found() from None


def new_id() -> str:
    """A new identifier of the kind that most things have."""
    return str(uuid.uuid4())


def now() -> str:
    """The time in the API's form."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Call:
    """One request."""

    def __init__(self, cloud: Cloud, query: Mapping[str, str], body: Any, url: str) -> None:
        self.cloud, self.query, self.url = cloud, query, url
        self.body: dict[str, Any] = body if isinstance(body, dict) else {}

    def need(self, name: str, kind: type | tuple[type, ...] = str) -> Any:
        """A value that the request must have. Raises :class:`ApiError`, 422."""
        value = self.body.get(name)
        if value is None or value == "":
            raise refused(f"{name} is a required field")
        if not isinstance(value, kind):
            raise refused(f"{name} is of the wrong type")
        return value

    def page(self, key: str, things: Iterable[dict[str, Any]]) -> Answer:
        """A list, a page at a time, with links to the other pages."""
        found = list(things)
        try:
            page, size = int(self.query.get("page", "1")), int(self.query.get("per_page", "20"))
        except ValueError:
            raise ApiError(400, "bad_request", "page and per_page must be integers") from None
        size = min(max(size, 1), 200)
        last = max(1, -(-len(found) // size))
        pages: dict[str, str] = {}
        if page < last:
            pages |= {"last": self._link(last, size), "next": self._link(page + 1, size)}
        if page > 1:
            pages |= {"first": self._link(1, size), "prev": self._link(page - 1, size)}
        return 200, {key: found[(page - 1) * size : page * size], "links": {"pages": pages} if pages else {}, "meta": {"total": len(found)}}

    def _link(self, page: int, size: int) -> str:
        more = "".join(f"&{key}={value}" for key, value in self.query.items() if key not in ("page", "per_page"))
        return f"{self.url}?page={page}&per_page={size}{more}"


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Let a function answer requests: it gets the call, and the path's variables by name."""

    def register(handler: Handler) -> Handler:
        name = f"{method} {path}"
        ROUTES.add(Rule(path, methods=[method], endpoint=name))
        HANDLERS[name] = handler
        return handler

    return register


def is_network(text: Any) -> bool:
    """Whether a text is an address or a network."""
    try:
        ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return False
    return True
