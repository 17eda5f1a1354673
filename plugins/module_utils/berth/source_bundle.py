# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A source bundle: a folder as a ZIP file that is the same, to the byte, whenever the folder holds the same."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile

from .problems import BerthError

# Beanstalk's limit: https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/applications-sourcebundle.html
MOST_BYTES = 500 * 1024 * 1024
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(folder: str) -> bytes:
    """The bundle of a folder: names sorted, dates left out, modes reduced to executable or not. Links are followed.

    Raises :class:`BerthError` where the folder is none, is empty or is too large.
    """
    if not os.path.isdir(folder):
        raise BerthError(f"source: {folder} is not a directory; it has to hold the Dockerrun.aws.json and what it mounts")
    paths = []
    for where, folders, names in os.walk(folder):
        folders.sort()
        paths += [os.path.join(where, name) for name in sorted(names)]
    if not paths:
        raise BerthError(f"source: {folder} is empty; there is nothing to deploy")
    if sum(os.path.getsize(path) for path in paths) > MOST_BYTES:
        raise BerthError(f"source: {folder} holds more than the 500 MB that Beanstalk takes; leave data out of it")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(os.path.relpath(path, folder), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            with open(path, "rb") as file:
                archive.writestr(entry, file.read())
    return buffer.getvalue()


def digest(folder: str) -> str:
    """What tells one content from another: the SHA-256 of all names and contents, in hex."""
    found = hashlib.sha256()
    with zipfile.ZipFile(io.BytesIO(pack(folder))) as archive:
        for name in sorted(archive.namelist()):
            found.update(f"{name}\0{archive.getinfo(name).external_attr}\0".encode())
            found.update(hashlib.sha256(archive.read(name)).digest())
    return found.hexdigest()


def label(prefix: str, content: str) -> str:
    """A version's label: the release it is of, and which content, within Beanstalk's 100 characters and without slashes."""
    return f"{prefix.replace('/', '-')[:80]}-{content[:12]}" if prefix else content[:12]
