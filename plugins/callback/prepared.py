# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has done once, before any task, what Ansible would do in each task's process, or in each run, anew."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import os
import shutil
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import ansible.plugins
import ansible.release
from ansible import constants
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, lookup_loader, test_loader

DOCUMENTATION = """
name: prepared
type: aggregate
short_description: What every task needs is made ready once
description:
  - Loads filters, tests and lookups before tasks are forked, of which each would load them for itself.
  - Keeps this project's own modules, and Ansible's, as Ansible packs them for machines in C(.cache/modules), where each run would pack them anew. They
    are packed anew when a file of the project's, or Ansible, has changed.
  - Keeps what Jinja compiles of the templates and conditions in C(playbooks) and C(roles) in C(.cache/templates), where each task would compile them anew.
  - Keeps what was loaded before the tasks out of their processes' garbage collections, as Python's C(gc.freeze) is meant for.
  - Says nothing. Where nothing can be kept, Ansible packs them as ever.
author: Berth contributors
"""

_PLUGINS = Path(__file__).resolve().parents[1]
_KEPT = _PLUGINS.parent / ".cache" / "modules"
# By which the variables of most tasks are looked up.
_LOOKUPS = ("ansible.builtin.env", "ansible.builtin.pipe")
# Whose names of packed modules these are: before the name, the project's and Ansible's own, and after it the compression and what else is packed.
_KNOWN_CORES = ("2.19.", "2.20.", "2.21.")
_BEFORE, _BUILTIN = "ansible.legacy.", "ansible.modules."
_AFTER = "-ZIP_DEFLATED-none"


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Begins before the first play and ends after the last."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "prepared"
    # The state of the files that this run's modules are packed of; empty where nothing is offered or kept.
    _state = ""
    _templates: Any = None

    def v2_playbook_on_start(self, playbook: Any) -> None:  # noqa: ARG002
        """Nothing has been forked yet."""
        for loader in (filter_loader, test_loader):
            list(loader.all())
        for name in _LOOKUPS:
            lookup_loader.get(name, class_only=True)
        if not ansible.release.__version__.startswith(_KNOWN_CORES):
            return
        with contextlib.suppress(OSError):
            self._state = fingerprint(_PLUGINS)
            offer(_KEPT / self._state, _packed_here())
        # Several playbooks may be one run.
        if self._templates:
            return
        with contextlib.suppress(OSError, ImportError, AttributeError):
            self._templates = templates(_PLUGINS.parent)
            self._templates.begin()

    def v2_playbook_on_play_start(self, play: Any) -> None:  # noqa: ARG002
        """What is there by now is no garbage of the tasks': where they looked through it, they would copy all of it, page by page."""
        gc.freeze()

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002
        """All is done, and Ansible's folder for this run is still there."""
        # What was packed while somebody changed a file may be of either state.
        with contextlib.suppress(OSError):
            if self._state and fingerprint(_PLUGINS) == self._state:
                keep(_PLUGINS, _KEPT / self._state, _packed_here())
        with contextlib.suppress(OSError):
            if self._templates:
                self._templates.keep()


def templates(project: Path) -> Any:
    """What runs before have compiled of the project's templates. Raises OSError, ImportError and AttributeError."""
    if str(_PLUGINS) not in ansible.plugins.__path__:
        ansible.plugins.__path__.append(str(_PLUGINS))
    module = importlib.import_module("ansible.plugins.plugin_utils.compiled_templates")
    noted = Path(constants.DEFAULT_LOCAL_TMP) / "templates"
    noted.mkdir(mode=0o700, parents=True, exist_ok=True)
    # The code has in it how filters are called, of which collections have some.
    requirements = (project / "requirements.txt").read_bytes()
    kinds = (ansible.release.__version__, metadata.version("jinja2"), sys.implementation.cache_tag, requirements)
    kept = project / ".cache" / "templates" / hashlib.sha256(repr(kinds).encode()).hexdigest()[:16]
    return module.Templates((project / "playbooks", project / "roles"), kept, noted)


def _packed_here() -> Path:
    return Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"


def offer(home: Path, run: Path) -> None:
    """Have a run find the packed modules that a run before has kept in ``home``. Raises OSError."""
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy(home.glob(f"ansible.*{_AFTER}"), run)


def keep(plugins: Path, home: Path, run: Path) -> None:
    """Keep in ``home`` what a run has packed of the project's own modules and Ansible's; what was packed of other files goes. Raises OSError."""
    packed = [run / f"{_BEFORE}{each.stem}{_AFTER}" for each in (plugins / "modules").glob("*.py")]
    packed += run.glob(f"{_BUILTIN}*{_AFTER}")
    new = [each for each in packed if each.exists() and not (home / each.name).exists()]
    if not new:
        return
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy(new, home)
    for other in home.parent.iterdir():
        if other != home:
            shutil.rmtree(other, ignore_errors=True)


def copy(files: Iterable[Path], folder: Path) -> None:
    """Copy files so that nobody meets half of one. Raises OSError."""
    for each in files:
        part = folder / f".{each.name}.{os.getpid()}"
        shutil.copyfile(each, part)
        part.rename(folder / each.name)


def fingerprint(plugins: Path) -> str:
    """What tells one state of the files that are packed from another: of the project's by name, size and time of change, of Ansible's by its version
    and when that was installed.

    Raises OSError.
    """
    files = [
        Path(ansible.release.__file__),
        *sorted(each for folder in ("modules", "module_utils") for each in (plugins / folder).rglob("*.py")),
    ]
    known = [(str(each), (found := each.stat()).st_size, found.st_mtime_ns) for each in files]
    return hashlib.sha256(repr((ansible.release.__version__, known)).encode()).hexdigest()[:16]
