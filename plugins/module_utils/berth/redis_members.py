# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several machines' Redis takes writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .problems import BerthError


def primary(hosts: Sequence[str], members: Mapping[str, Mapping[str, Any]], addresses: Mapping[str, str]) -> str:
    """The host whose Redis takes writes; the first where there is no data anywhere.

    ``hosts``: all that keep it, in the inventory's order. ``members``: what those hold that could be looked at, each with ``holds`` (whether
    there is data), ``role`` (``master``, ``slave``, or empty where none runs), ``leads`` and ``epoch`` (whom its Sentinel takes for the
    primary, by address, and since which election) and ``noted`` (whom it followed when it ran last). ``addresses``: of each host.
    Raises :class:`BerthError` where it cannot be told, since another beginning would pass for the data.
    """
    named = {address: host for host, address in addresses.items() if address}
    agreed = sorted((int(each["epoch"]), str(each["leads"])) for each in members.values() if each["leads"] in named)
    if agreed:
        return named[agreed[-1][1]]
    holding = [host for host in hosts if host in members and members[host]["holds"]]
    running = [host for host in holding if members[host]["role"] == "master"]
    leading = running or [host for host in holding if not members[host]["role"] and not members[host]["noted"]]
    if len(leading) == 1:
        return leading[0]
    if len(leading) > 1:
        raise BerthError(
            f"{' and '.join(leading)} hold data that no other one's is a copy of. Move the data of all but one of them aside, and run this again. "
            "Nothing was touched"
        )
    unseen = [host for host in hosts if host not in members]
    if holding or unseen:
        why = (
            f"{', '.join(unseen)} could not be looked at" if unseen else f"{', '.join(holding)} hold copies, and none of them takes writes"
        )
        raise BerthError(
            f"which of {', '.join(hosts)} takes Redis's writes cannot be told: {why}. No other Redis is begun. Bring the machine back"
        )
    return hosts[0]
