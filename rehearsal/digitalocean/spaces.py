"""Spaces, which speak S3: moto's, behind TLS, at an address that droplets reach. Objects are of this process: they go with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from .. import certificates, containers, state

ACCESS_KEY, SECRET_KEY = "DO801REHEARSAL7QKX2M", "c2VjcmV0LW9mLXRoZS1yZWhlYXJzYWw-never-of-use-0a1b"
PASSPHRASE = "a-passphrase-of-the-rehearsal-3f9c1d"
BUCKET = "berth-rehearsal"
# Buckets of an account of its own, which AWS's rehearsal does not list.
_ACCOUNT = "210987654321"
_FAULT = "spaces.json"
_ANSWERS = {
    "full": ("403 Forbidden", "QuotaExceeded", "The storage quota is used up"),
    "gone": ("503 Service Unavailable", "ServiceUnavailable", "Reduce your request rate"),
    "denied": ("403 Forbidden", "InvalidAccessKeyId", "The access key is not known"),
}
Start = Callable[..., Any]


class Spaces:
    """Refuses whoever has not the account's key, and does what a fault says."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        fault = (state.read(_FAULT) or {}).get("kind", "")
        if f"Credential={ACCESS_KEY}/" not in environ.get("HTTP_AUTHORIZATION", ""):
            fault = "denied"
        if fault == "full" and environ["REQUEST_METHOD"] not in ("PUT", "POST"):
            fault = ""
        if not fault:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = _ACCOUNT
            found: Iterable[bytes] = self._application(environ, start)
            return found
        status, code, message = _ANSWERS[fault]
        body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        # Read, so that the connection can be used again.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]


def fail(kind: str = "") -> None:
    """Let Spaces be ``full``, ``gone`` or ``denied`` from now on; without a kind, let them be well again."""
    if kind and kind not in _ANSWERS:
        raise ValueError(f"{kind} is none of {', '.join(_ANSWERS)}")
    state.write(_FAULT, {"kind": kind})


def serve(port: int) -> None:
    """Serve on the address by which droplets reach this machine, in the background."""
    address = containers.gateway()
    certificate, key = certificates.issue("spaces", [address])
    folder = state.folder("certificates")
    for name, content in (("spaces.pem", certificate), ("spaces.key", key)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    server = wsgi.Server((address, port), Spaces(DomainDispatcherApplication(create_backend_app)), numthreads=16)
    # moto's own development server breaks off uploads of pgBackRest.
    server.ssl_adapter = BuiltinSSLAdapter(str(folder / "spaces.pem"), str(folder / "spaces.key"))
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()


def environment(port: int) -> dict[str, str]:
    """What leads backups there."""
    return {
        "BERTH_BACKUP_ENDPOINT": f"{containers.gateway()}:{port}",
        "BERTH_BACKUP_BUCKET": BUCKET,
        "BERTH_BACKUP_ACCESS_KEY": ACCESS_KEY,
        "BERTH_BACKUP_SECRET_KEY": SECRET_KEY,
        "BERTH_BACKUP_PASSPHRASE": PASSPHRASE,
        "BERTH_BACKUP_AUTHORITY": str(certificates.authority()),
    }
