"""What AWS's protocols look like on the wire: which operation a request asks for, and what an error is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
# Signing names that are not what botocore calls the service.
_SERVICES = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2", "email": "ses"}
_REST = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "POST": "Post", "DELETE": "Delete"}


class Request(NamedTuple):
    """Who is asked for what. ``text``: the body, for the names in it."""

    service: str
    operation: str
    text: str

    @property
    def changes(self) -> bool:
        """Whether the operation makes, changes or removes something, as its name tells."""
        return not self.operation.startswith(("Describe", "List", "Get", "Head", "Check", "Filter", "Lookup", "BatchGet"))


class Fault(NamedTuple):
    """An error as a service would answer it."""

    status: int
    code: str
    message: str


def identify(environ: Mapping[str, Any], body: bytes) -> Request:
    """The service and operation of a request, from its signature and its body. A request that is not signed has an empty service."""
    text = body.decode("utf-8", "replace")
    signed = _SCOPE.search(str(environ.get("HTTP_AUTHORIZATION", "")))
    name = signed.group(1) if signed else ""
    service = _SERVICES.get(name, name)
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if target:
        return Request(service, target.rpartition(".")[2], text)
    form = parse_qs(text) if str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded") else {}
    if form.get("Action"):
        return Request(service, form["Action"][0], text)
    parts = [part for part in str(environ.get("PATH_INFO", "")).split("/") if part]
    query = str(environ.get("QUERY_STRING", "")).partition("=")[0].partition("&")[0]
    what = "Object" if len(parts) > 1 else f"Bucket{query.title()}"
    return Request(service, _REST.get(str(environ.get("REQUEST_METHOD")), "Get") + what, f"{environ.get('PATH_INFO', '')}\n{text}")


def answer(request: Request, environ: Mapping[str, Any], fault: Fault) -> tuple[bytes, str]:
    """An error's body and content type, in the protocol that the request speaks."""
    code, message = fault.code, fault.message
    if environ.get("HTTP_X_AMZ_TARGET"):
        return json.dumps({"__type": code, "message": message}).encode(), str(environ.get("CONTENT_TYPE") or "application/x-amz-json-1.1")
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if request.service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>rehearsed</RequestID></Response>"
    elif request.service == "s3":
        text = f"<Error>{inner}<RequestId>rehearsed</RequestId></Error>"
    else:
        kind = "Sender" if fault.status < 500 else "Receiver"
        text = f"<ErrorResponse><Error><Type>{kind}</Type>{inner}</Error><RequestId>rehearsed</RequestId></ErrorResponse>"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(), "text/xml"
