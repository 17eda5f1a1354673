"""A certificate authority that speaks ACME, as Let's Encrypt does: Pebble, on the network of the droplets' public addresses."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path
from typing import NamedTuple

from .. import certificates, containers, images

_IMAGE = "berth/rehearsed-authority"
_FOLDER = "etc/pebble"
_DIRECTORY, _MANAGEMENT = 14000, 15000
_DAY = 86400


class Authority(NamedTuple):
    """``directory``: the ACME server's URL; ``server``: the authority, in PEM, of its own certificate; ``root``: that of what it issues."""

    directory: str
    server: str
    root: str


def start(seconds: int = 90 * _DAY) -> Authority:
    """Start an authority anew, whose certificates last so many seconds."""
    images.build(_IMAGE, Path(__file__).parent / "authority")
    address = containers.free_address()
    certificate, key = certificates.issue("acme.example.com", [address])
    settings = {
        "listenAddress": f"0.0.0.0:{_DIRECTORY}",
        "managementListenAddress": f"0.0.0.0:{_MANAGEMENT}",
        "certificate": f"/{_FOLDER}/server.pem",
        "privateKey": f"/{_FOLDER}/server.key",
        "httpPort": 80,
        "tlsPort": 443,
        "certificateValidityPeriod": seconds,
    }
    files = {
        f"{_FOLDER}/config.json": (json.dumps({"pebble": settings}).encode(), 0o644, 0),
        f"{_FOLDER}/server.pem": (certificate, 0o644, 0),
        f"{_FOLDER}/server.key": (key, 0o600, 0),
    }
    # It would wait for up to 15 s before it asks a domain.
    containers.create(
        "authority", _IMAGE, kind="authority", owner="acme", address=address, files=files, environment={"PEBBLE_VA_NOSLEEP": "1"}
    ).start()
    server = certificates.authority().read_text(encoding="utf-8")
    context = ssl.create_default_context(cadata=server)

    def root() -> str:
        with urllib.request.urlopen(f"https://{address}:{_MANAGEMENT}/roots/0", context=context, timeout=5) as answer:
            return str(answer.read().decode())

    return Authority(f"https://{address}:{_DIRECTORY}/dir", server, containers.wait_until(root, 30, "the authority does not answer"))


def resolve(domain: str, address: str) -> None:
    """Let the authority find a domain at an address, as a DNS record would."""
    container = containers.find("authority")[0]
    # In place, since Docker has mounted the file.
    script = f"sed '/ {domain}$/d' /etc/hosts > /tmp/hosts; echo '{address} {domain}' >> /tmp/hosts; cat /tmp/hosts > /etc/hosts"
    containers.run_in(container, ["sh", "-c", script])
