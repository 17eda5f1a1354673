"""How the edge is asked to take a configuration, with one that answers what it is told to."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from berth.edge_admin import load

TEXT = ":80 {\n\trespond hello\n}\n"


class Caddy(http.server.BaseHTTPRequestHandler):
    """Notes what it is asked, and answers ``status`` with ``body``."""

    status, body = 200, b""
    asked: tuple[str, str, str, str]

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        type(self).asked = (self.path, self.headers["Host"], self.headers["Content-Type"], sent)
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def address_string(self) -> str:
        return "here"

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[Any]:
    with socketserver.UnixStreamServer(str(tmp_path / "admin.sock"), type("Told", (Caddy,), {})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_it_takes_the_text_as_it_is(caddy: Any):
    assert load(caddy.server_address, TEXT) == ""
    # A name in Host would be held against those that may ask.
    assert caddy.RequestHandlerClass.asked == ("/load", "", "text/caddyfile", TEXT)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b'{"error":"adapting config: Caddyfile:1: unrecognized directive: respnd"}\n',
            "adapting config: Caddyfile:1: unrecognized directive: respnd",
        ),
        (b"not an object of JSON", "HTTP 400: not an object of JSON"),
        (b"[]", "HTTP 400: []"),
    ],
)
def test_what_is_wrong_with_it_is_said(caddy: Any, body: bytes, said: str):
    caddy.RequestHandlerClass.status, caddy.RequestHandlerClass.body = 400, body
    assert load(caddy.server_address, TEXT) == said


def test_where_nobody_answers_that_is_an_error_of_the_system(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        load(str(tmp_path / "admin.sock"), TEXT)
