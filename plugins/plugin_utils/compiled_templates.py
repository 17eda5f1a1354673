# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps what Jinja compiles of this project's own templates and conditions, which Ansible compiles anew for each use in each task.

That takes three quarters of a millisecond for each, and a task of a role may have dozens. Of what users write nothing is kept: a template of theirs may have a
password in it.
"""

from __future__ import annotations

import contextlib
import marshal
import os
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from ansible._internal._datatag._tags import Origin
from ansible._internal._templating import _jinja_bits
from jinja2.environment import TemplateExpression

# All of this project's tests leave 1,265. What was kept of files that have changed is in the way of nobody, until there is much of it.
_MOST = 10_000


class Templates:
    """What was compiled of templates whose files are in ``folders``.

    ``kept``: the file of those that runs before have compiled; ``noted``: a folder of this run's, in which each process notes its own.
    """

    def __init__(self, folders: Iterable[Path], kept: Path, noted: Path) -> None:
        self._folders = tuple(f"{each}{os.sep}" for each in folders)
        self._kept, self._noted = kept, noted
        self._known = read(kept)
        self._expression = ""

    def begin(self) -> None:
        """From now on Ansible's environment asks here before it compiles. Raises AttributeError where it is another one than is known."""
        theirs, kind = self, _jinja_bits.AnsibleEnvironment
        compile_source, compile_expression = kind.compile, kind.compile_expression

        def compiled(self: Any, source: Any, *arguments: Any, **given: Any) -> Any:
            plain = not arguments and not given
            key = theirs.key(self, "template", source) if plain and isinstance(source, str) else theirs._expression
            if not key or not plain:
                return compile_source(self, source, *arguments, **given)
            return theirs.known(key) or theirs.note(key, compile_source(self, source))

        def expression(self: Any, source: str, undefined_to_none: bool = True) -> Any:
            key = theirs.key(self, "expression", source)
            if code := theirs.known(key) if key else None:
                template = self.template_class.from_code(self, code, self.make_globals(None), None)
                return TemplateExpression(template, undefined_to_none)
            # It is parsed before it is compiled, and its text is known to nobody then.
            theirs._expression = key
            try:
                return compile_expression(self, source, undefined_to_none)
            finally:
                theirs._expression = ""

        if not kind._debuggable_template_source:
            kind.compile, kind.compile_expression = compiled, expression

    def key(self, environment: jinja2.Environment, what: str, source: str) -> str:
        """Under what the code of a template is kept, by all that it depends on beside Ansible and Jinja; empty where it is none of ours."""
        origin = Origin.get_tag(source)
        if origin is None or not str(origin.path).startswith(self._folders):
            return ""
        context = _jinja_bits._TemplateCompileContext.current(optional=True)
        settings = [getattr(environment, each) for each in _jinja_bits._TEMPLATE_OVERRIDE_FIELD_NAMES]
        return f"{what} {context and context.escape_backslashes} {settings} {source}"

    def known(self, key: str) -> CodeType | None:
        """What was compiled of a template, or None."""
        found = self._known.get(key)
        return marshal.loads(found) if found else None

    def note(self, key: str, code: CodeType) -> CodeType:
        """Note what was compiled of a template, for this process and the runs to come."""
        self._known[key] = marshal.dumps(code)
        with contextlib.suppress(OSError), (self._noted / str(os.getpid())).open("ab") as file:
            marshal.dump((key, self._known[key]), file)
        return code

    def keep(self) -> None:
        """Keep what the processes of this run have noted. Raises OSError."""
        known, new = read(self._kept), dict[str, bytes]()
        for each in self._noted.iterdir():
            new |= entries(each)
        if new.keys() <= known.keys():
            return
        known |= new
        self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._kept.with_name(f".{self._kept.name}.{os.getpid()}")
        part.write_bytes(marshal.dumps(known if len(known) <= _MOST else new))
        part.rename(self._kept)
        # What other versions of the packages have compiled.
        for other in self._kept.parent.glob("[!.]*"):
            if other != self._kept:
                other.unlink(missing_ok=True)


def read(path: Path) -> dict[str, bytes]:
    """What is kept in a file; nothing where there is none, or half of one."""
    try:
        found = marshal.loads(path.read_bytes())
    except (OSError, ValueError, EOFError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def entries(path: Path) -> dict[str, bytes]:
    """What a process has noted, but for what it was about to note when it was killed."""
    found: dict[str, bytes] = {}
    with path.open("rb") as file, contextlib.suppress(EOFError, ValueError, TypeError):
        while True:
            key, code = marshal.load(file)
            found[key] = code
    return found
