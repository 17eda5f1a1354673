"""The id of the request that is being answered: events bear it, and clients follow a change by it."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar
from typing import Any

from ..unrehearsed import SaysWhatIsMissing

current: ContextVar[str] = ContextVar("current", default="")
# The answer's own id, and not that of an event in it.
_OWN = re.compile(r"(?<=<RequestId>)[^<]*(?=</RequestId>\s*</(?:ResponseMetadata|ErrorResponse)>)")


class Identified(SaysWhatIsMissing):
    """A part of the dispatcher: the answer to a request, and the events that it leads to, have one id."""

    def call_action(self) -> Any:
        """Answer the request."""
        token = current.set(str(uuid.uuid4()))
        try:
            return super().call_action()
        finally:
            current.reset(token)

    @staticmethod
    def _enrich_response(headers: dict[str, str], body: Any) -> tuple[dict[str, str], Any]:
        if "status" in headers:
            headers["status"] = str(headers["status"])
        headers["x-amzn-requestid"] = current.get()
        return headers, _OWN.sub(current.get(), body) if isinstance(body, str) else body
