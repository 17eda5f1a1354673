# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP over a socket in the file system, as daemons of a machine speak it to who administers them."""

from __future__ import annotations

import http.client
import socket


class UnixConnection(http.client.HTTPConnection):
    """A connection to a daemon. ``path``: its socket's; ``timeout``: seconds. Raises OSError where nobody answers there."""

    def __init__(self, path: str, timeout: float) -> None:
        # A name that leads nowhere. The standard has nothing for what has no host, and daemons take that for one who is on the machine.
        super().__init__("", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
