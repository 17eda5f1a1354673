# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backing services as a developer's Compose project runs them, reached through the engine: what they have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from .beside import Beside
from .problems import refuse
from .store_dumps import Backup


class Store:
    """A backing service whose container is known. ``found``: what ``docker inspect`` says about it."""

    engine: ClassVar[str]
    # What is said to a shell in the container before each command.
    shell: ClassVar[str] = ":"

    def __init__(self, project: str, service: str, found: Mapping[str, Any]) -> None:
        self.project, self.service, self.found = project, service, found
        self.container = str(found["Name"]).lstrip("/")
        self.environment = dict(each.split("=", 1) for each in found["Config"]["Env"] or [] if "=" in each)
        self.beside_it = Beside(service, ["docker", "exec", "-i", self.container], self.shell)

    def version(self) -> str:
        """Of the server that runs."""
        raise NotImplementedError

    def dump(self, folder: Path) -> dict[str, Any]:
        """Write all that it holds into a folder. Returns what a restore has to know."""
        raise NotImplementedError

    def restore(self, backup: Backup) -> str:
        """Bring a backup beside what is served. Returns how to look at it."""
        raise NotImplementedError

    def beside(self) -> str:
        """The backup that was restored beside what is served and is complete, or an empty string."""
        raise NotImplementedError

    def closed(self) -> bool:
        """Whether a move has kept what would be replaced from taking writes."""
        raise NotImplementedError

    def take(self, stamp: str) -> str:
        """Let what was restored take the place of what is served, which is kept. Returns where."""
        raise NotImplementedError

    def discard(self) -> bool:
        """Remove what was restored beside. Returns whether there was something."""
        raise NotImplementedError

    def forget(self) -> list[str]:
        """Remove what was moved aside. Returns what."""
        raise NotImplementedError


def wait_until(what: str, answers: Callable[[], bool], seconds: int = 120) -> None:
    """Wait until a server answers. Raises :class:`BerthError` when it does not."""
    end = time.monotonic() + seconds
    while not answers():
        if time.monotonic() > end:
            refuse(f"{what} does not answer after {seconds} s")
        time.sleep(0.2)
