"""The rehearsal's server: ``python -m rehearsal.serve AWS_PORT DIGITALOCEAN_PORT SPACES_PORT``, started by ``python -m rehearsal up``."""

from __future__ import annotations

import sys
import threading

from werkzeug.serving import WSGIRequestHandler, make_server

from . import certificates, state
from .aws import serving
from .digitalocean import spaces
from .digitalocean.api import Api
from .digitalocean.faults import Faults
from .rules import Rules


def serve(aws_port: int, digitalocean_port: int, spaces_port: int) -> None:
    """Serve both clouds' APIs on ports of the loopback address, and Spaces on the rehearsal's network, until the process ends."""
    # DigitalOcean's client sends its token over nothing but TLS.
    certificate, key = certificates.issue("localhost", [])
    folder = state.folder("certificates")
    for name, content in (("api.pem", certificate), ("api.key", key)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    pair = (str(folder / "api.pem"), str(folder / "api.key"))
    rules = Rules()
    account = Faults(Api(), rules)
    second = make_server("127.0.0.1", digitalocean_port, account, threaded=True, request_handler=WSGIRequestHandler, ssl_context=pair)
    threading.Thread(target=second.serve_forever, daemon=True).start()
    application = serving.server(aws_port, rules)
    spaces.serve(spaces_port)
    application.serve_forever()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:4]))
