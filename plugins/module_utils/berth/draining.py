# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which requests are still in flight: the kernel's table of a process's connections, as /proc/PID/net/tcp and tcp6 show it.

Source: https://docs.kernel.org/networking/proc_net_tcp.html
"""

from __future__ import annotations

import ipaddress

_ESTABLISHED = "01"


def peers(table: str) -> set[str]:
    """The remote addresses of all established connections of a table."""
    found = set()
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == _ESTABLISHED:
            found.add(_address(words[2].split(":")[0]))
    return found


def _address(text: str) -> str:
    """An address that is written as words of the machine's own byte order, which is the little one where Docker runs."""
    raw = bytes.fromhex(text)
    swapped = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    address = ipaddress.ip_address(swapped)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
