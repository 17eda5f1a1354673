# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Berth's DigitalOcean modules and its inventory share: the client, lists of many pages, waiting, and errors that say what to do.

Source of names and shapes: https://docs.digitalocean.com/reference/api/digitalocean/
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from .problems import BerthError

try:
    import pydo
    from azure.core.exceptions import AzureError, HttpResponseError
except ImportError:
    pydo = None  # type: ignore[assignment]
    API_ERRORS: tuple[type[Exception], ...] = ()
else:
    API_ERRORS = (AzureError,)

_POLL_SECONDS = 1.0
_REMEDIES = {
    401: "DigitalOcean does not know this token; check DIGITALOCEAN_TOKEN",
    403: "the token in DIGITALOCEAN_TOKEN may not do this; make one with the scopes that docs/digitalocean.md lists",
    429: "too many requests in this hour; wait, and run again",
}
# Whose a droplet is, and what it is for, are told by tags.
STACK_TAG = "berth:{stack}"
GROUP_TAG = "berth:{stack}:{group}"
# What a load balancer sends visitors to. Apart from the group's tag, by which firewalls let the app reach the stores until it has ended.
FRONT_TAG = "berth:{stack}:app:front"


def stack_tag(stack: str) -> str:
    """The tag of everything of a stack."""
    return STACK_TAG.format(stack=stack)


def group_tag(stack: str, group: str) -> str:
    """The tag of a stack's droplets that do one thing: app, postgres, redis, accessories."""
    return GROUP_TAG.format(stack=stack, group=group)


def front_tag(stack: str) -> str:
    """The tag of the droplets that the load balancer serves."""
    return FRONT_TAG.format(stack=stack)


def name_problem(stack: str) -> str | None:
    """What is wrong with a stack's name, or None: it becomes part of droplets', volumes' and tags' names."""
    if re.fullmatch(r"[a-z](-?[a-z0-9])*", stack) and len(stack) <= 40:
        return None
    return (
        f"digitalocean_stack is {stack!r}; it names everything, and has to be 1 to 40 lower-case letters, digits and single hyphens, "
        "beginning with a letter. Set app_name, app_stage or digitalocean_stack"
    )


def client() -> Any:
    """pydo's client, for the account of DIGITALOCEAN_TOKEN. DIGITALOCEAN_API_URL leads it elsewhere.

    Raises :class:`BerthError` where pydo or the token is missing.
    """
    if pydo is None:
        raise BerthError("the Python package pydo is missing; pip install -r requirements.txt, or make, sets it up")
    token = os.environ.get("DIGITALOCEAN_TOKEN") or os.environ.get("DIGITALOCEAN_ACCESS_TOKEN")
    if not token:
        raise BerthError("DIGITALOCEAN_TOKEN is not set; make a token at https://cloud.digitalocean.com/account/api/tokens, and export it")
    url = os.environ.get("DIGITALOCEAN_API_URL")
    return pydo.Client(token, retry_total=4, timeout=60, **({"endpoint": url.rstrip("/")} if url else {}))


def problem(error: Exception, what: str) -> BerthError:
    """An error of pydo's as one message: what was tried, what DigitalOcean said, and what to do."""
    if isinstance(error, HttpResponseError) and error.response is not None:
        status = int(error.status_code or 0)
        try:
            said = str(json.loads(error.response.text()).get("message") or error.reason)
        except ValueError:
            said = str(error.reason)
        remedy = f" ({_REMEDIES[status]})" if status in _REMEDIES else ""
        return BerthError(f"{what}: DigitalOcean says: {said}{remedy}")
    return BerthError(f"{what}: DigitalOcean's API cannot be reached: {str(error).splitlines()[0][:300]}")


def ask(what: str, call: Callable[..., Any], *arguments: Any, **given: Any) -> Any:
    """One call. Raises :class:`BerthError`; also for a 404 that pydo returns as an answer."""
    try:
        answer = call(*arguments, **given)
    except API_ERRORS as error:
        raise problem(error, what) from None
    if isinstance(answer, dict) and set(answer) >= {"id", "message"} and len(answer) <= 3:
        raise BerthError(f"{what}: DigitalOcean says: {answer['message']}")
    return answer


def every(what: str, call: Callable[..., Any], key: str, **given: Any) -> list[dict[str, Any]]:
    """All entries of a list, of however many pages."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = ask(what, call, page=page, per_page=200, **given)
        found += answer.get(key) or []
        if not ((answer.get("links") or {}).get("pages") or {}).get("next"):
            return found
        page += 1


def wait_for(what: str, look: Callable[[], Any], seconds: float) -> Any:
    """The first truthy answer of ``look``. Raises :class:`BerthError` when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() >= end:
            raise BerthError(f"{what}: not through after {seconds:.0f} s; DigitalOcean goes on. Run again, or raise the timeout")
        time.sleep(_POLL_SECONDS)


def finished(account: Any, what: str, started: Mapping[str, Any], seconds: float) -> None:
    """Wait for an action to end. Raises :class:`BerthError` when it fails."""

    def look() -> bool:
        action = ask(what, account.actions.get, started["action"]["id"])["action"]
        if action["status"] == "errored":
            raise BerthError(f"{what}: DigitalOcean could not do it; run again, or look at the droplet's history in its control panel")
        return bool(action["status"] == "completed")

    wait_for(what, look, seconds)


def address(droplet: Mapping[str, Any], kind: str) -> str:
    """A droplet's public or private IPv4 address, or the empty string where it has none yet."""
    return next((str(each["ip_address"]) for each in droplet["networks"]["v4"] if each["type"] == kind), "")


def groups_of(droplet: Mapping[str, Any], stack: str) -> list[str]:
    """What a droplet is for, as its tags say."""
    prefix = stack_tag(stack) + ":"
    return sorted(tag.removeprefix(prefix) for tag in droplet["tags"] if tag.startswith(prefix) and ":" not in tag.removeprefix(prefix))


def short_name(full: str, stack: str) -> str:
    """A droplet's name within its stack."""
    return full.removeprefix(f"{stack}-")
