# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that travel in a release's Compose model, and lie beside its Compose file on a machine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

# Of the model, where Compose does not read it: path beside the Compose file to what is there, text or base64, and mode.
KEY = "x-berth-files"


def packed(content: bytes) -> dict[str, str]:
    """A file's content, as JSON may have it."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def place(folder: Path, files: Mapping[str, Mapping[str, str]]) -> None:
    """Write what a release brings along beside its Compose file, in ``folder``, which its owner alone may enter. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for name, entry in files.items():
        path = folder / name
        for each in reversed([each for each in path.parents if folder in each.parents]):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)
        content = base64.b64decode(entry["base64"]) if "base64" in entry else entry["text"].encode()
        if not path.is_file() or path.read_bytes() != content:
            # In place: containers of this very release may have it mounted.
            path.write_bytes(content)
        path.chmod(int(entry["mode"], 8))
