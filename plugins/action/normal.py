# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stands before every module that has no action of its own, as Ansible's action of this name does, and hands all to it but AWS's modules.

Those of amazon.aws and community.aws run in Ansible's own process, like ours: half of what each takes is the start of a process and the
import of boto3.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import ansible.plugins
from ansible.plugins.loader import action_loader

_PLUGINS = str(Path(__file__).resolve().parents[1])
if _PLUGINS not in ansible.plugins.__path__:
    ansible.plugins.__path__.append(_PLUGINS)

from ansible.plugins.plugin_utils.in_process import InProcess  # noqa: E402

_COLLECTIONS = ("amazon.aws.", "community.aws.")
# By the loader, since an import of its name would find this very file.
_Normal: Any = action_loader.get("ansible.builtin.normal", class_only=True)


class ActionModule(InProcess, _Normal):
    """The action that stands before the module."""

    def _here(self, task_vars: dict[str, Any]) -> bool:
        here = self._task.action.startswith(_COLLECTIONS) and super()._here(task_vars)
        if here:
            importlib.import_module("ansible.plugins.plugin_utils.aws_sdk")
        return here
