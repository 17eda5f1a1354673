# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signing in to a registry for the length of one piece of work, so that no credential stays anywhere."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .leftovers import sweep
from .problems import BerthError

_PREFIX = "berth-docker-"


def auths(registry: str, username: str, password: str) -> dict[str, Any]:
    """Credentials as Docker's configuration holds them."""
    word = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {registry.split("/", 1)[0]: {"auth": word}}


def passwords(entries: Mapping[str, Any]) -> list[str]:
    """The secrets in such credentials, so that they can be kept out of what is printed."""
    found = []
    for entry in entries.values():
        word = str(entry.get("auth") or "")
        found += [word, base64.b64decode(word).decode(errors="replace").partition(":")[2]]
    return [each for each in found if each]


@contextlib.contextmanager
def signed_in(entries: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """An environment in which Docker's client has these credentials beside its own configuration, which stays as it is.

    Raises :class:`BerthError` for a configuration that cannot be read.
    """
    if not entries:
        yield {}
        return
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    sweep(_PREFIX)
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    try:
        document: dict[str, Any] = {}
        try:
            document = json.loads((own / "config.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise BerthError(f"{own / 'config.json'} cannot be read: {error}") from None
        # A helper for credentials would be asked before what is given here.
        document.pop("credsStore", None)
        document["auths"] = {**(document.get("auths") or {}), **entries}
        handle = os.open(f"{folder}/config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file)
        for name in ("cli-plugins", "contexts", "buildx"):
            if (own / name).is_dir():
                (Path(folder) / name).symlink_to(own / name)
        yield {"DOCKER_CONFIG": folder}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
