# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead what a container's command says of a backing service to where that lives now: where it waits for it, mostly. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .connections import ENGINE_PORTS, Connection
from .referring import Backing

# Not the host of a URL with a user in it, whose password would have to be written with it.
_BEFORE, _AFTER = r"(?<![\w.@-])", r"(?![\w.-])"


def led_words(words: Sequence[str], backing: Backing, connections: Mapping[str, Connection]) -> list[str]:
    """The words of a command, in which places such as ``db:5432``, ``nc -z db 5432`` and ``pg_isready -h db`` are those of the connections.

    What names a service in another way stays as it is.
    """
    led = list(words)
    for host, target in backing.names.items():
        if connection := connections.get(target):
            led = [_led(word, re.escape(host), ENGINE_PORTS.get(backing.engines[target], 0), connection) for word in led]
            led = _led_apart(led, host, connection)
    return led


def _led(word: str, host: str, port: int, connection: Connection) -> str:
    word = re.sub(rf"{_BEFORE}{host}:\d+(?!\d)", connection.address, word)
    word = re.sub(rf"{_BEFORE}{host} {port}(?!\d)", f"{connection.host} {connection.port}", word)
    if connection.port == port:
        word = re.sub(rf"((?<!\S)(?:-h|--host)[ =]){host}{_AFTER}", rf"\g<1>{connection.host}", word)
    return word


def _led_apart(words: Sequence[str], host: str, connection: Connection) -> list[str]:
    """Where the host is a word of its own: after an option, or before its port."""
    default = str(ENGINE_PORTS[connection.engine])
    led = list(words)
    for place, word in enumerate(words):
        if word != host:
            continue
        before, after = words[place - 1] if place else "", words[place + 1] if place + 1 < len(words) else ""
        if after == default:
            led[place], led[place + 1] = connection.host, str(connection.port)
        elif before in ("-h", "--host") and str(connection.port) == default:
            led[place] = connection.host
    return led
