# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backing services as a developer's Compose project runs them, reached through the engine: what they have in common."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from .problems import refuse
from .store_dumps import Backup


class Store:
    """A backing service whose container is known. ``found``: what ``docker inspect`` says about it."""

    engine: ClassVar[str]

    def __init__(self, project: str, service: str, found: Mapping[str, Any]) -> None:
        self.project, self.service, self.found = project, service, found
        self.container = str(found["Name"]).lstrip("/")
        self.environment = dict(each.split("=", 1) for each in found["Config"]["Env"] or [] if "=" in each)

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

    def take(self, stamp: str) -> str:
        """Let what was restored take the place of what is served, which is kept. Returns where."""
        raise NotImplementedError

    def discard(self) -> bool:
        """Remove what was restored beside. Returns whether there was something."""
        raise NotImplementedError

    def forget(self) -> list[str]:
        """Remove what was moved aside. Returns what."""
        raise NotImplementedError

    # Commands in the container

    def shell(self) -> str:
        """What is said to a shell in the container before each command."""
        return 'exec "$@"'

    def words(self, *command: str, options: tuple[str, ...] = ()) -> list[str]:
        """A command in the container, with what it needs to sign in: read there, so that no list of processes shows it."""
        return ["docker", "exec", "-i", *options, self.container, "sh", "-c", self.shell(), "sh", *command]

    def ask(self, *command: str, stdin: str = "", options: tuple[str, ...] = ()) -> str:
        """What a command in the container prints. Raises :class:`BerthError`."""
        return called(self.service, self.words(*command, options=options), stdin=stdin)

    def write(self, path: Path, *command: str) -> None:
        """Keep what a command in the container prints in a file."""
        with path.open("wb") as file:
            done = subprocess.run(self.words(*command), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            refuse(f"{self.service}: {command[0]} failed: {last_words(done.stderr.decode(errors='replace'))}")


def called(what: str, words: list[str], stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. ``environment``: more of it, for what no list of processes may show. Raises :class:`BerthError`."""
    more = {**os.environ, **(environment or {})}
    done = subprocess.run(words, input=stdin, env=more, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        refuse(f"{what}: {last_words(done.stderr + done.stdout)}")
    return done.stdout


def last_words(text: str) -> str:
    """The end of what a program said, on one line."""
    return " ".join(line.strip() for line in text.strip().splitlines()[-4:])[-600:] or "it said nothing"


def wait_until(what: str, answers: Callable[[], bool], seconds: int = 120) -> None:
    """Wait until a server answers. Raises :class:`BerthError` when it does not."""
    end = time.monotonic() + seconds
    while not answers():
        if time.monotonic() > end:
            refuse(f"{what} does not answer after {seconds} s")
        time.sleep(0.2)
