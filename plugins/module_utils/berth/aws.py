# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Berth's AWS modules share: tags, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

try:
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says that it is missing
    AWS_ERRORS: tuple[type[Exception], ...] = ()
else:
    AWS_ERRORS = (BotoCoreError, ClientError)

REMEDIES = {
    "ExpiredToken": "the session's token has expired; sign in again",
    "ExpiredTokenException": "the session's token has expired; sign in again",
    "RequestExpired": "the session's token has expired, or this machine's clock is wrong; sign in again",
    "InvalidClientTokenId": "AWS does not know these credentials; check AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "UnrecognizedClientException": "AWS does not know these credentials; check AWS_ACCESS_KEY_ID or AWS_PROFILE",
    "SignatureDoesNotMatch": "the secret key does not fit the access key; check AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "the credentials lack the permission; let an administrator grant the action that the message names",
    "AccessDeniedException": "the credentials lack the permission; let an administrator grant the action that the message names",
    "UnauthorizedOperation": "the credentials lack the permission; let an administrator grant the action that the message names",
}


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Tags as AWS's APIs take them."""
    return [{"Key": key, "Value": str(value)} for key, value in sorted((tags or {}).items())]


def tag_difference(current: Mapping[str, str], wanted: Mapping[str, str] | None) -> dict[str, str]:
    """The tags to set: those of ``wanted`` that are missing or other. Tags of others stay."""
    return {key: str(value) for key, value in sorted((wanted or {}).items()) if current.get(key) != str(value)}


def remedy(error: Any) -> str:
    """What to do about an error of botocore's, or the empty string where it says that itself."""
    code = error_code(error)
    if code in REMEDIES:
        return f" ({REMEDIES[code]})"
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError"):
        return " (no credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
    if name in ("EndpointConnectionError", "ConnectTimeoutError"):
        return " (is the region right, and is there a network?)"
    if name in ("ConnectionClosedError", "ReadTimeoutError"):
        return " (the network broke off, also when asked again; run it once more)"
    return ""


def fail_aws(module: Any, error: Exception, what: str) -> NoReturn:
    """End a module over an error of botocore's: what was tried, what AWS said, and what to do."""
    module.fail_json_aws(error, msg=f"{what} failed{remedy(error)}")
    raise AssertionError("fail_json_aws returned")


def error_code(error: Exception) -> str:
    """The code by which AWS names an error, or the empty string."""
    return _said(error, "Code")


def _said(error: Exception, what: str) -> str:
    # A connection that breaks is an error with a response that is None.
    return str((getattr(error, "response", None) or {}).get("Error", {}).get(what, ""))


# A request whose answer got lost is asked again by botocore, and then AWS says that the work is done.
_DONE_ALREADY = re.compile(r"AlreadyExists|AlreadyAssociated|Duplicate|Conflict|EntityAlreadyExists|ResourceExists|AlreadyOwnedByYou")
_GONE_ALREADY = re.compile(r"NotFound|NoSuchEntity|NoSuch")


def done_already(error: Exception) -> bool:
    """Whether AWS says that what a request makes is there."""
    return bool(_DONE_ALREADY.search(error_code(error)) or "already exists" in _said(error, "Message"))


def made(call: Callable[..., Any], **given: Any) -> Any:
    """Ask for a thing that was not there a moment ago. None where it is by now: the answer to the first time of asking got lost."""
    try:
        return call(**given)
    except AWS_ERRORS as error:
        if not done_already(error):
            raise
        return None


def looking_again(work: Callable[[], Any]) -> Any:
    """Do what looks first and then makes or removes, and once more where AWS says on the way that something is there, or gone, already."""
    try:
        return work()
    except AWS_ERRORS as error:
        if not (done_already(error) or _GONE_ALREADY.search(error_code(error))):
            raise
        return work()


def side_by_side(work: Callable[[Any], Any], things: Iterable[Any]) -> list[Any]:
    """Do the same for each thing, none waiting for another's answers. Returns the results in the things' order; the first error is raised."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(work, things))


def absent_as_none(module: Any, codes: tuple[str, ...], call: Callable[[], Any], what: str) -> Any:
    """What a call returns, or None where AWS answers with one of the codes that say there is no such thing."""
    try:
        return call()
    except AWS_ERRORS as error:
        if error_code(error) in codes:
            return None
        fail_aws(module, error, what)
