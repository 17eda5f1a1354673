# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases that end while the next one serves already: each in a process of its own, which outlives the call that began it.

Each has a file in a folder. The process holds a lock on it, which the kernel takes back however the process ends; takes the file away when it
is done; and leaves in it why it could not be.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Container
from pathlib import Path

from .problems import BerthError

_LOOK_SECONDS = 0.1


class Endings:
    """What ends on this machine. ``folder``: where that is noted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def noted(self) -> bool:
        """Whether anything is ending, or could not be ended."""
        return bool(self._noted())

    def under_way(self) -> list[str]:
        """The releases that are ending."""
        return [each.name for each in self._noted() if not _free(each)]

    def problems(self, releases: Container[str]) -> dict[str, str]:
        """Why some of these releases could not be ended: release to reason."""
        found = {}
        for each in self._noted():
            if each.name in releases and _free(each) and each.is_file():
                found[each.name] = each.read_text(encoding="utf-8").strip()
        return {release: reason for release, reason in found.items() if reason}

    def begin(self, release: str, end: Callable[[Callable[[], bool]], None]) -> None:
        """Let a release that is not ending yet end in a process of its own. ``end`` is called there, with what says whether that is still
        wanted.
        """
        path = self._folder / release
        path.unlink(missing_ok=True)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        child = os.fork()
        if child:
            os.close(handle)
            os.waitpid(child, 0)
            return
        # Nobody is left to wait for it, or to be waited for: it keeps nothing open that a connection would wait for.
        try:
            os.setsid()
            if os.fork():
                os._exit(0)
            nothing = os.open(os.devnull, os.O_RDWR)
            for each in range(3):
                os.dup2(nothing, each)
            os.chdir("/")
            try:
                end(path.exists)
            except (BerthError, OSError) as problem:
                os.write(handle, str(problem).encode())
            else:
                path.unlink(missing_ok=True)
        finally:
            os._exit(0)

    def recall(self, release: str, seconds: float) -> None:
        """Let a release go on, if that is still possible, and return when nothing is done to it any more.

        Raises :class:`BerthError` where that takes more than ``seconds``.
        """
        path = self._folder / release
        if path.is_file():
            self._wait(path, seconds, recalled=True)

    def wait(self, seconds: float) -> None:
        """Return when nothing is ending any more. Raises :class:`BerthError` where that takes more than ``seconds``."""
        for each in self._noted():
            self._wait(each, seconds, recalled=False)

    def _noted(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []

    def _wait(self, path: Path, seconds: float, *, recalled: bool) -> None:
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            if recalled:
                path.unlink(missing_ok=True)
            end = time.monotonic() + seconds
            while not _lock(handle):
                if time.monotonic() > end:
                    raise BerthError(f"release {path.name} has been ending for more than {seconds:.0f} s; see what keeps Docker from it")
                time.sleep(_LOOK_SECONDS)
        finally:
            os.close(handle)


def _free(path: Path) -> bool:
    """Whether nobody works on what a file stands for."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        return _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
