# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Temporary files and folders whose run was killed before it could remove them. Passwords may be in them."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time

# No run lasts as long, so what is older is nobody's.
_SECONDS = 24 * 3600


def sweep(prefix: str) -> None:
    """Remove this user's own temporary files and folders that begin with ``prefix`` and are older than a day."""
    folder = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if not entry.name.startswith(prefix) or entry.is_symlink():
                continue
            with contextlib.suppress(OSError):
                state = entry.stat(follow_symlinks=False)
                if state.st_uid != os.geteuid() or time.time() - state.st_mtime < _SECONDS:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)
