# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module of the same name in slices, and shows an environment's events while it changes: minutes without a word worry people."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import ansible.plugins
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.utils.display import Display

_PLUGINS = str(Path(__file__).resolve().parents[1])
if _PLUGINS not in ansible.plugins.__path__:
    ansible.plugins.__path__.append(_PLUGINS)

from ansible.plugins.plugin_utils import aws_sdk  # noqa: E402
from ansible.plugins.plugin_utils.in_process import InProcess  # noqa: E402

display = Display()
aws_sdk.prepare("beanstalk_environment")
_SLICE_SECONDS = 8


class ActionModule(InProcess):
    """The action that stands before the module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Start the change, follow it, and return the last answer with the first one's difference."""
        del tmp
        given = dict(self._task.args)
        patient = boolean(given.get("wait", True)) and not self._task.check_mode and given.get("state") != "absent"
        if not patient:
            answer: dict[str, Any] = self._execute_module(module_args=given, task_vars=task_vars)
            return answer
        end = time.monotonic() + float(given.get("wait_timeout") or 1800)
        first = answer = self._execute_module(module_args={**given, "wait_slice": _SLICE_SECONDS}, task_vars=task_vars)
        seen = self._show(answer, 0)
        while answer.get("pending") and not answer.get("failed"):
            # The last slice is the module's own: it says that time is up.
            left = end - time.monotonic()
            last = {"wait_timeout": 1} if left <= 0 else {"wait_slice": _SLICE_SECONDS}
            follow = {"since": first["since"], "version_label": first["version"] or None, "left": first["left"]}
            answer = self._execute_module(module_args={**given, **last, **follow}, task_vars=task_vars)
            seen = self._show(answer, seen)
        if not answer.get("failed"):
            answer.update({"changed": first["changed"], "diff": first.get("diff", {})})
        return answer

    @staticmethod
    def _show(answer: dict[str, Any], seen: int) -> int:
        events = answer.get("events") or []
        for event in events[seen:]:
            display.display(f"  {event['date'][11:19]} {event['severity']:5} {event['message']}")
        return len(events)
