# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The note of where a move is, which outlives each run of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .problems import refuse

# The phase of a move that there is not.
NONE = ""


class Note:
    """In a file. ``state``: the ``phase``, from and to where, and what its next run has to know."""

    def __init__(self, path: Path, source: str, target: str) -> None:
        self.note, self._way = path, {"from": source, "to": target}
        try:
            self.state: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            self.state = {"phase": NONE}
        if self.state["phase"] and {key: self.state[key] for key in self._way} != self._way:
            refuse(
                f"a move from {self.state['from']} to {self.state['to']} is {self.state['phase']}; end it first with -e migrate=finish or "
                f"-e migrate=back ({path})"
            )

    def keep(self, phase: str, **known: Any) -> None:
        """Write down where the move is, in one step."""
        self.state = {**self.state, "phase": phase, **self._way, **known}
        self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.note.with_suffix(".new")
        fresh.write_text(json.dumps(self.state))
        fresh.replace(self.note)
