# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What templates of Berth's roles compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleFilterError

_UTILITIES = str(Path(__file__).resolve().parents[1] / "module_utils")
if _UTILITIES not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(_UTILITIES)

from ansible.module_utils.berth import databases, postgres_tuning, production, redis_members  # noqa: E402
from ansible.module_utils.berth.problems import BerthError  # noqa: E402


def postgres_settings(memory: Any, cores: Any = 1, connections: Any = 100, disk: Any = 10) -> dict[str, str]:
    """PostgreSQL's settings for MiB of memory, cores, connections and GiB of disk."""
    try:
        return postgres_tuning.settings(int(memory), int(cores), int(connections), int(disk))
    except ValueError as problem:
        raise AnsibleFilterError(f"postgres_settings: {problem}") from None


def production_files(project: Any) -> list[str]:
    """The Compose files that count in production, of those in a project's directory; none where those do that Compose finds by itself."""
    return production.production_files(str(project))


def redis_primary(members: Any, hosts: Any, addresses: Any) -> dict[str, str]:
    """Which of several machines' Redis takes writes: ``name``, or ``problem`` where that cannot be told."""
    try:
        return {"name": redis_members.primary(list(hosts), dict(members), dict(addresses)), "problem": ""}
    except BerthError as problem:
        return {"name": "", "problem": str(problem)}


def believed_authorities(machines: Any, known: Any) -> list[str]:
    """The authorities that sign on any of these machines; those of one that could not be looked at stay believed, as far as they are known."""
    signers = [machine.get("machine_signers") for machine in machines]
    found = [each for one in signers for each in one or ()]
    return list(dict.fromkeys([*found, *(known if None in signers else ())]))


def misnamed_databases(given: Any) -> list[str]:
    """What of a list is no name that a database can be given here."""
    return databases.misnamed(given)


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {
            "believed_authorities": believed_authorities,
            "misnamed_databases": misnamed_databases,
            "postgres_settings": postgres_settings,
            "production_files": production_files,
            "redis_primary": redis_primary,
        }
