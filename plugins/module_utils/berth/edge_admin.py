# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Caddy is asked by who administers it: https://caddyserver.com/docs/api."""

from __future__ import annotations

import json

from .unix_http import UnixConnection

_OK = 200
# A configuration is taken in less than a second, but for one that has to be fetched first.
_SECONDS = 60


def load(path: str, caddyfile: str) -> str:
    """Have Caddy take a configuration. ``path``: its socket's.

    Returns what is wrong with the configuration, which leaves Caddy with the one that it has; empty where nothing is. Raises OSError where
    nobody answers.
    """
    connection = UnixConnection(path, _SECONDS)
    try:
        connection.request("POST", "/load", caddyfile.encode(), {"Content-Type": "text/caddyfile"})
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status == _OK:
        return ""
    try:
        return str(json.loads(said)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {answer.status}: {said.strip()}"
