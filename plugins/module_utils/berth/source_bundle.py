# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A source bundle: files as a ZIP file that is the same, to the byte, whenever they are the same."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from .problems import BerthError

# Beanstalk's limit: https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/applications-sourcebundle.html
MOST_BYTES = 500 * 1024 * 1024
_ABOVE = ".above"
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Entry(NamedTuple):
    """A file of a bundle: what it holds, and whether it is a program."""

    content: bytes
    executable: bool = False


# Name, with slashes, to what is there.
Entries = Mapping[str, Entry]


def entries(folder: str, paths: Sequence[str] | None = None, texts: Mapping[str, str] | None = None) -> dict[str, Entry]:
    """The files of a folder, or those of its ``paths`` (files and folders, relative to it) alone, with ``texts`` (name to content) over
    them. Links are followed.

    Raises :class:`BerthError` where the folder is none or lacks a path, and where all of it is nothing or too large.
    """
    if not os.path.isdir(folder):
        raise BerthError(f"source: {folder} is not a directory; it has to hold the Dockerrun.aws.json and what it mounts")
    found: dict[str, Entry] = {}
    size = 0
    for path in files(folder, paths):
        size += os.path.getsize(path)
        if size > MOST_BYTES:
            raise BerthError(f"source: {folder} holds more than the 500 MB that Beanstalk takes; leave data out of it")
        with open(path, "rb") as file:
            found[placed(os.path.relpath(path, folder))] = Entry(file.read(), os.access(path, os.X_OK))
    found |= {name: Entry(text.encode()) for name, text in (texts or {}).items()}
    if not found:
        raise BerthError(f"source: {folder} is empty; there is nothing to deploy")
    return found


def placed(relative: str) -> str:
    """Where a path of the project lies in what is delivered: one above the project's folder, of the same repository, in a folder in its place."""
    return os.path.normpath(os.path.join(*(_ABOVE if part == ".." else part for part in relative.split("/"))))


def files(folder: str, paths: Sequence[str] | None) -> Iterator[str]:
    """All files of a folder, or of its ``paths``. Raises :class:`BerthError` where it lacks one of these."""
    for start in [folder] if paths is None else [os.path.normpath(os.path.join(folder, path)) for path in paths]:
        if os.path.isfile(start):
            yield start
        elif os.path.isdir(start):
            for where, _folders, names in os.walk(start, followlinks=True):
                yield from (os.path.join(where, name) for name in names)
        else:
            raise BerthError(
                f"source: {start} is not there, and containers mount it; put it there, or leave it out of what they mount (volumes: in the Compose file)"
            )


def pack(files: Entries) -> bytes:
    """The bundle of files: names sorted, dates left out, modes reduced to executable or not."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (content, executable) in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = _mode(executable)
            archive.writestr(entry, content)
    return buffer.getvalue()


def _mode(executable: bool) -> int:
    return (0o100755 if executable else 0o100644) << 16


def digest(files: Entries) -> str:
    """What tells one content from another: the SHA-256 of all names and contents, in hex."""
    found = hashlib.sha256()
    for name, (content, executable) in sorted(files.items()):
        found.update(f"{name}\0{_mode(executable)}\0".encode())
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()


def label(prefix: str, content: str) -> str:
    """A version's label: the release it is of, and which content, within Beanstalk's 100 characters and without slashes."""
    return f"{prefix.replace('/', '-')[:80]}-{content[:12]}" if prefix else content[:12]
