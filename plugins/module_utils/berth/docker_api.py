# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a machine's Docker is asked by its API, where Docker's client would take ten times as long: https://docs.docker.com/reference/api/engine/."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any

from .problems import BerthError
from .unix_http import UnixConnection

_SOCKET = "/var/run/docker.sock"
# As long as a machine may be busy that starts containers.
_SECONDS = 60
_OK, _NOT_FOUND = 200, 404


def ask(path: str) -> Any:
    """What Docker has at a path of its API, such as ``/containers/web/json``; None where it has no such thing. Raises :class:`BerthError`."""
    host = os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    if not host.startswith("unix://"):
        # Its client would ask that one, and what the two say is not of one machine.
        raise BerthError(f"DOCKER_HOST={host}: releases are kept by the machine's own Docker; unset it there")
    connection = UnixConnection(host.removeprefix("unix://"), _SECONDS)
    try:
        connection.request("GET", path, headers={"Host": "docker"})
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise BerthError(f"Docker does not answer on this machine: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status == _NOT_FOUND:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if answer.status != _OK or found is None:
        said = found.get("message") if isinstance(found, dict) else text.decode(errors="replace")
        raise BerthError(f"Docker answers {path.split('?')[0]} with HTTP {answer.status}: {said}")
    return found
