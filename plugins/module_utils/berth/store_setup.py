# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Compose file sets up in its own stores, and nobody sets up where these live from now on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from .problems import listed

# Where the images of Postgres look for what a new database begins with.
_BEGINNINGS = "/docker-entrypoint-initdb.d"
# What a slot answers for itself, by the machine's memory, its backups and who may come in.
_OWN = {
    "postgres": re.compile(
        r"listen_addresses|port|(shared|wal|temp)_buffers|effective_\w+|(maintenance_)?work_mem|wal_\w+|archive_\w+|(max|min)_wal_\w+|checkpoint_\w+|"
        r"(hba|config)_file|data_directory|ssl\w*|log\w*|\w+_page_cost|max_\w*workers\w*|password_encryption|fsync|synchronous_commit|huge_pages"
    ),
    "redis": re.compile(
        r"requirepass|masterauth|append\w*|save|port|bind|protected-mode|dir|dbfilename|user|aclfile|tls-.*|log.*|daemonize|replica.*|maxmemory"
    ),
}


def remarks(name: str, service: Mapping[str, Any], family: str) -> list[str]:
    """What of a store's service is not carried to where it lives now, as warnings. ``family``: postgres or redis."""
    found = []
    scripts = [str(each.get("source") or "") for each in service.get("volumes") or [] if str(each["target"]).startswith(_BEGINNINGS)]
    if scripts:
        found.append(
            f"{name}: {listed(scripts)} sets up its database when that is new, and is not run where it lives now; run it there once, or move the data "
            "with playbooks/migrate.yml"
        )
    told = [each for each in dict.fromkeys(_settings(service, family)) if not _OWN[family].fullmatch(each)]
    if told:
        found.append(f"{name}: its command sets {listed(told)}, which is not carried to where it lives now; set it for the slot")
    return found


def _settings(service: Mapping[str, Any], family: str) -> list[str]:
    try:
        # A shell's words are one of Compose's.
        words = [word for given in service.get("command") or [] for word in shlex.split(str(given))]
    except ValueError:
        return []
    if family == "redis":
        return [word[2:].split("=")[0] for word in words if word.startswith("--")]
    pairs = [following for word, following in pairwise(words) if word == "-c"]
    pairs += [word.removeprefix("-c").removeprefix("--") for word in words if re.match(r"(-c|--)\w+=", word)]
    return [pair.split("=")[0].lower() for pair in pairs]
