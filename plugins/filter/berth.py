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

from ansible.module_utils.berth import postgres_tuning  # noqa: E402


def postgres_settings(memory: Any, cores: Any = 1, connections: Any = 100, disk: Any = 10) -> dict[str, str]:
    """PostgreSQL's settings for MiB of memory, cores, connections and GiB of disk."""
    try:
        return postgres_tuning.settings(int(memory), int(cores), int(connections), int(disk))
    except ValueError as problem:
        raise AnsibleFilterError(f"postgres_settings: {problem}") from None


class FilterModule:
    """The filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Name to function."""
        return {"postgres_settings": postgres_settings}
