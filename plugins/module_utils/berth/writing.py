# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a file in one step, so that a reader finds the old or the new one, never a half."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from .problems import BerthError


def current_text(path: str) -> str | None:
    """What a file holds, or None where there is none. Raises :class:`BerthError` for one that cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise BerthError(f"dest: {path} exists and is no text; it is left alone") from None
    except OSError as error:
        raise BerthError(f"dest: {path} cannot be read: {error.strerror}") from None


def check_writable(path: str) -> None:
    """Raise :class:`BerthError` where a file cannot be written, before anything else is done."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise BerthError(f"dest: the directory {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK) or (os.path.exists(path) and not os.access(path, os.W_OK)):
        raise BerthError(f"dest: {path} cannot be written: permission denied")


def replace(path: str, text: str, mode: int) -> None:
    """Replace a file whole and at once, also across a power cut, with these permissions. Raises :class:`OSError`."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".berth-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write(path: Path, text: str, mode: int = 0o600) -> bool:
    """Write a file in one step, unless it is so already. Returns whether it was not."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace(str(path), text, mode)
    return True


def write_atomically(module: Any, path: str, text: str) -> None:
    """Replace a file through a temporary one that nobody else can read; ``module`` is the AnsibleModule that moves it."""
    try:
        handle, temporary = tempfile.mkstemp(dir=module.tmpdir)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        module.fail_json(msg=f"dest: {path} cannot be written: {error.strerror}")
    else:
        module.atomic_move(temporary, path)
