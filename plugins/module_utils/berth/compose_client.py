# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Compose is run: by itself where it is found, since Docker's client starts it once more each time, only to ask what it is."""

from __future__ import annotations

import os
from pathlib import Path

_NAME = "docker-compose"
# Where Docker's client looks for what it does not do itself, after the user's own folder:
# https://docs.docker.com/compose/install/linux/#install-the-plugin-manually
_FOLDERS = tuple(Path(each) for each in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec"))


def compose_command(folders: tuple[Path, ...] = _FOLDERS) -> list[str]:
    """The words that run Compose, such as ``docker compose``. ``folders``: where the machine's programs keep their own."""
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    for path in (own / "cli-plugins" / _NAME, *(each / "docker" / "cli-plugins" / _NAME for each in folders)):
        if os.access(path, os.X_OK) and path.is_file():
            return [str(path)]
    return ["docker", "compose"]
