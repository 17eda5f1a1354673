# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What long work says while it goes on, where somebody listens: the action that runs a module in Ansible's own process."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds between two words of one meter.
_OFTEN = 10.0
listener: Callable[[str], None] | None = None


def say(text: str) -> None:
    """Say one thing."""
    if listener:
        listener(text)


class Meter:
    """How far one piece of work is, said now and then; nothing where it is quick."""

    def __init__(self, what: str) -> None:
        self.what, self._begun = what, time.monotonic()
        self._next = self._begun + _OFTEN

    def at(self, amount: str) -> None:
        """``amount``: how much is done."""
        if (now := time.monotonic()) >= self._next:
            self._next = now + _OFTEN
            say(f"{self.what}: {amount} in {now - self._begun:.0f} s")
