# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Things that are waited for at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def for_each(action: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """What an action returns for each of some things, in their order, each in a thread. All are waited for; then the first problem is raised."""
    with ThreadPoolExecutor() as pool:
        begun = [pool.submit(action, each) for each in things]
    return [each.result() for each in begun]
