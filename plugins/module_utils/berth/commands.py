# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead what a container's command says of a backing service to where that lives now: where it waits for it, mostly. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .connections import ENGINE_PORTS, Connection
from .dockerfiles import starts
from .referring import Backing

# Between the words of a command; no argument holds it.
_APART = "\0"
# Not the host of a URL with a user in it, whose password would have to be written with it.
_BEFORE, _AFTER = r"(?<![\w.@-])", r"(?![\w.-])"


def run_celery(services: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The services whose command, or what their Dockerfile starts, runs Celery, and those that are of the same image or build: what one of them reads, the other may, too."""

    def program(service: Mapping[str, Any]) -> tuple[Any, ...]:
        build = service.get("build") or {}
        return (build.get("context"), build.get("dockerfile"), build.get("target")) if build else (service.get("image"),)

    commands = {
        name: " ".join(str(word) for key in ("entrypoint", "command") for word in each.get(key) or []) or starts(each.get("build") or {})
        for name, each in services.items()
    }
    # Also by a script, such as /start-celeryworker.
    programs = {program(services[name]) for name, text in commands.items() if re.search(r"(?:^|[\s/;&|_-])celery(?![\w-]*\.)", text)}
    return {name for name, each in services.items() if program(each) in programs}


def led_words(words: Sequence[str], backing: Backing, connections: Mapping[str, Connection]) -> list[str]:
    """The words of a command, in which places such as ``db:5432``, ``nc -z db 5432`` and ``pg_isready -h db`` are those of the connections.

    What names a service in another way stays as it is.
    """
    text = _APART.join(words)
    for host, target in backing.names.items():
        if connection := connections.get(target):
            text = _led(text, re.escape(host), connection)
    return text.split(_APART)


def _led(text: str, host: str, connection: Connection) -> str:
    usual = ENGINE_PORTS[connection.engine]
    text = re.sub(rf"{_BEFORE}{host}:\d+(?!\d)", connection.address, text)
    text = re.sub(rf"{_BEFORE}{host}([ {_APART}]){usual}(?!\d)", rf"{connection.host}\g<1>{connection.port}", text)
    # Where no port is said, it is the usual one.
    if connection.port == usual:
        text = re.sub(rf"((?<![^\s{_APART}])(?:-h|--host)[ ={_APART}]){host}{_AFTER}", rf"\g<1>{connection.host}", text)
    return text
