# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a container's labels or variables ask of a proxy, whichever that is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .dockerfiles import exposed_port
from .label_rules import Match
from .problems import BerthError


class GuardError(BerthError):
    """What guards a route, and is not carried."""


class UnknownError(GuardError):
    """What may guard a route, and is described elsewhere."""


class Router(NamedTuple):
    """``rule`` reads what it matches, and which prefixes that takes off; ``rest`` which others are taken off, and the port.

    Both raise :class:`BerthError` for what is not carried, and :class:`GuardError` where that may guard what is behind it. ``weight``: of two that
    match, the heavier one. ``scheme``: http or https, where visitors come in by that alone, or the empty string.
    """

    name: str
    weight: int
    rule: Callable[[], tuple[list[Match], list[str]]]
    rest: Callable[[], tuple[list[str], int | None]]
    scheme: str = ""

    @property
    def is_guarded(self) -> bool:
        """Whether something guards it that is not carried."""
        try:
            self.rest()
        except GuardError:
            return True
        except BerthError:
            return False
        return False


def labels_of(service: Mapping[str, Any]) -> dict[str, str]:
    """The labels that a proxy sees: the container's, and those of a service of Swarm's."""
    found: dict[str, str] = {}
    for labels in ((service.get("deploy") or {}).get("labels") or {}, service.get("labels") or {}):
        pairs = labels.items() if isinstance(labels, Mapping) else (str(each).partition("=")[::2] for each in labels)
        found |= {str(label): str(text) for label, text in pairs}
    return found


def port_of(service: Mapping[str, Any], told: Any) -> int | None:
    """The port in its container: as it is told, else the lowest that is exposed."""
    if told:
        return int(told) if str(told).isdigit() else None
    exposed = [str(each).removesuffix("/tcp") for each in service.get("expose") or []]
    exposed += [str(each["target"]) for each in service.get("ports") or []]
    numbers = sorted(int(each) for each in exposed if each.isdigit())
    return numbers[0] if numbers else exposed_port(service.get("build") or {})
