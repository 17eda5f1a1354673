# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a command gets to run beside a store, on this machine or another, without a password in any list of processes."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import progress
from .problems import refuse


def last_words(text: str) -> str:
    """The end of what a program said, on one line."""
    return " ".join(line.strip() for line in text.strip().splitlines()[-4:])[-600:] or "it said nothing"


def called(what: str, words: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. ``environment``: more of it, for what no list of processes may show. Raises :class:`BerthError`."""
    more = {**os.environ, **(environment or {})}
    done = subprocess.run(words, input=stdin, env=more, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        refuse(f"{what}: {last_words(done.stderr + done.stdout)}")
    return done.stdout


class Beside:
    """A place. ``title``, for people. ``inside``: how a command runs beside the store there, such as the words of docker exec. ``shell``: what
    is said to a shell there first, which reads passwords where they are. ``reach``: the words of ssh, empty for this machine.
    ``before``: what is said to the other machine's shell first, for passwords that are kept there. ``environment``: what this machine's
    own command gets, for passwords that it knows.
    """

    def __init__(
        self,
        title: str,
        inside: Sequence[str],
        shell: str = ":",
        *,
        reach: Sequence[str] = (),
        before: str = ":",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.title, self._inside, self._shell, self._reach, self._before = title, list(inside), shell, list(reach), before
        self.environment = {**os.environ, **(environment or {})}

    def words(self, *command: str) -> list[str]:
        """A command there, as this machine runs it."""
        there = [*self._inside, "sh", "-c", f'{self._shell}; exec "$@"', "sh", *command]
        # What is said to another machine goes through its shell.
        return [*self._reach, f"{self._before}; {shlex.join(there)}"] if self._reach else there

    def ask(self, *command: str, stdin: str = "") -> str:
        """What a command there prints. Raises :class:`BerthError` with its last words."""
        return called(self.title, self.words(*command), stdin, self.environment)

    def _run(self, command: Sequence[str], **given: Any) -> bytes:
        done = subprocess.run(self.words(*command), env=self.environment, stderr=subprocess.PIPE, check=False, **given)
        if done.returncode != 0:
            refuse(f"{self.title}: {command[0]} failed: {last_words(((done.stdout or b'') + done.stderr).decode(errors='replace'))}")
        return done.stdout or b""

    def tell(self, content: bytes, *command: str) -> bytes:
        """What a command there prints that reads bytes. Raises :class:`BerthError`."""
        return self._run(command, input=content, stdout=subprocess.PIPE)

    def write(self, path: Path, *command: str) -> None:
        """Keep what a command there prints in a file of this machine. Raises :class:`BerthError`."""
        with path.open("wb") as file:
            self._run(command, stdin=subprocess.DEVNULL, stdout=file)

    def feed(self, path: Path, *command: str) -> None:
        """Let a command there read a file of this machine. Raises :class:`BerthError`."""
        with path.open("rb") as file:
            self._run(command, stdin=file, stdout=subprocess.DEVNULL)

    def pipe(self, command: Sequence[str], other: Beside, reader: Sequence[str]) -> int:
        """Let a command of ``other`` read what one here prints. Returns the bytes that went over. Raises :class:`BerthError`."""
        sent, meter = 0, progress.Meter(f"{self.title} → {other.title}")
        # What they complain of goes into files: nobody reads it before they have ended.
        with tempfile.TemporaryFile() as ours, tempfile.TemporaryFile() as theirs:
            begin = subprocess.Popen(
                self.words(*command), env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=ours
            )
            end = subprocess.Popen(
                other.words(*reader), env=other.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs
            )
            assert begin.stdout
            assert end.stdin
            try:
                while block := begin.stdout.read(1 << 20):
                    end.stdin.write(block)
                    sent += len(block)
                    meter.at(f"{sent / 1e6:.0f} MB")
                end.stdin.close()
            except BrokenPipeError:
                begin.kill()
            for place, process, said in ((other, end, theirs), (self, begin, ours)):
                if process.wait() != 0:
                    begin.kill()
                    said.seek(0)
                    refuse(f"{place.title}: the copy broke off: {last_words(said.read().decode(errors='replace'))}")
        return sent
