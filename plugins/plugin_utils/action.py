# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of every module that runs in Ansible's own process: what is in plugins/action under their names are links to this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ansible.plugins

_PLUGINS = str(Path(__file__).resolve().parents[1])
if _PLUGINS not in ansible.plugins.__path__:
    ansible.plugins.__path__.append(_PLUGINS)

from ansible.plugins.plugin_utils.in_process import InProcess  # noqa: E402


class ActionModule(InProcess):
    """The action that stands before the module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> Any:
        """Run the module."""
        del tmp
        return self._execute_module(module_args=dict(self._task.args), task_vars=task_vars)
