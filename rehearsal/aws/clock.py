"""Time in the rehearsal: what takes AWS minutes takes a configurable while here, in the background."""

from __future__ import annotations

import itertools
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator

_turns: dict[str, Iterator[str]] = {}
_turning = threading.Lock()


def seconds(what: str) -> float:
    """How long a change lasts at least.

    ``BERTH_REHEARSAL_SECONDS`` gives all of them (default 2), ``BERTH_REHEARSAL_SECONDS_RDS`` and the like one service's. Several numbers
    (``10,11,12``) take turns.
    """
    given = os.environ.get(f"BERTH_REHEARSAL_SECONDS_{what.upper()}") or os.environ.get("BERTH_REHEARSAL_SECONDS") or "2"
    with _turning:
        return max(0.0, float(next(_turns.setdefault(f"{what} {given}", itertools.cycle(given.split(","))))))


def later(work: Callable[[], None], *, lasting: float = 0.0, failed: Callable[[Exception], None] | None = None) -> threading.Thread:
    """Do ``work`` in the background; it calls :func:`at_least` itself where a state has to be seen for a while.

    ``failed`` is told what went wrong; without it the trace goes to the server's log.
    """

    def run() -> None:
        started = time.monotonic()
        try:
            work()
            time.sleep(max(0.0, lasting - (time.monotonic() - started)))
        except Exception as error:
            traceback.print_exc()
            if failed:
                failed(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


class Stopwatch:
    """Makes a state last: ``wait`` returns when at least so many seconds have passed since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def wait(self, lasting: float) -> None:
        """Sleep for what is left of ``lasting`` seconds."""
        time.sleep(max(0.0, lasting - (time.monotonic() - self._started)))
