# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a module of Berth's within Ansible's worker where it would run on this very machine, under this very Python, anyway.

A module's own process costs half a second: it is packed, unpacked, and imports boto3 and the collection's utilities anew. Strategies load an
action's class before they fork, so what is imported here is there in every worker. The module itself is the same, its arguments and its
answer are the same JSON; ansible.netcommon's option ``import_modules`` does likewise for network devices.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import ansible.module_utils
import yaml  # noqa: F401  (here, so that no worker has to)
from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as core_version
from ansible.utils.display import Display

_UTILITIES = str(Path(__file__).resolve().parents[1] / "module_utils")
_PROFILE = "legacy"
display = Display()
# Whose inside this is written for. Under others a module has a process of its own, as ever.
_KNOWN_CORES = ("2.19.", "2.20.", "2.21.")


class InProcess(ActionBase):
    """An action whose module runs in this process where it can."""

    _arguments: dict[str, Any] | None = None
    _module_path: str = ""

    def _here(self, task_vars: dict[str, Any]) -> bool:
        task, connection = self._task, self._connection
        told = (task_vars.get("ansible_delegated_vars") or {}).get(task.delegate_to) or {} if task.delegate_to else task_vars
        interpreter = told.get("ansible_python_interpreter")
        return bool(
            core_version.startswith(_KNOWN_CORES)
            and connection.transport in ("local", "ansible.builtin.local")
            and not connection.become
            and not task.async_val
            and not any(task.environment or ())
            and not os.environ.get("ANSIBLE_KEEP_REMOTE_FILES")
            and interpreter
            and os.path.realpath(str(self._templar.template(interpreter))) == os.path.realpath(sys.executable)
            and sys.prefix == str(Path(str(self._templar.template(interpreter))).parent.parent)
        )

    def _execute_module(self, *arguments: Any, **given: Any) -> Any:
        self._arguments = {} if self._here(given.get("task_vars") or {}) else None
        return super()._execute_module(*arguments, **given)

    def _is_pipelining_enabled(self, *arguments: Any, **given: Any) -> bool:
        return True if self._arguments is not None else bool(super()._is_pipelining_enabled(*arguments, **given))

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> Any:
        if self._arguments is None:
            return super()._configure_module(module_name, module_args, task_vars)
        loader = self._shared_loader_obj.module_loader
        found = loader.find_plugin_with_context(module_name, ".py", collection_list=self._task.collections)
        self._module_path = found.plugin_resolved_path
        self._arguments = module_args
        nothing = {"has_environment": True, "has_async": False, "has_become": False, "process_result": None}
        bits = SimpleNamespace(
            module_style="new",
            shebang="#!python",
            b_module_data=b"",
            serialization_profile=_PROFILE,
            get_command_args=lambda *_path: ([], b""),
            **nothing,
        )
        return bits, self._module_path

    def _low_level_execute_command(self, *arguments: Any, **given: Any) -> Any:
        if self._arguments is None:
            return super()._low_level_execute_command(*arguments, **given)
        folder = tempfile.mkdtemp(prefix="berth-module-")
        encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
        words = json.dumps({"ANSIBLE_MODULE_ARGS": {**self._arguments, "_ansible_tmpdir": folder}}, cls=encoder)
        basic._ANSIBLE_ARGS, basic._ANSIBLE_PROFILE = words.encode(), _PROFILE
        said, complained, code = io.StringIO(), io.StringIO(), 0
        try:
            module = load(self._module_path)
            with listened(None if self._task.no_log else _show), contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
                module.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except Exception:
            complained.write(traceback.format_exc())
            code = 1
        finally:
            basic._ANSIBLE_ARGS = basic._ANSIBLE_PROFILE = None
            shutil.rmtree(folder, ignore_errors=True)
        out, err = said.getvalue(), complained.getvalue()
        return {"rc": code, "stdout": out, "stdout_lines": out.splitlines(), "stderr": err, "stderr_lines": err.splitlines()}


@contextlib.contextmanager
def listened(listener: Callable[[str], None] | None) -> Iterator[None]:
    """Have what a module says of its progress shown."""
    progress = importlib.import_module("ansible.module_utils.berth.progress")
    progress.listener = listener
    try:
        yield
    finally:
        progress.listener = None


def _show(text: str) -> None:
    display.display(f"  {time.strftime('%H:%M:%S', time.gmtime())} {text}")


def load(path: str) -> ModuleType:
    """A module of Ansible's, imported from its file, with our utilities where it looks for them."""
    if _UTILITIES not in ansible.module_utils.__path__:
        ansible.module_utils.__path__.append(_UTILITIES)
    specification = importlib.util.spec_from_file_location(f"berth_module_{Path(path).stem}", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
