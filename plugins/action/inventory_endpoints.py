# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Another inventory's answers, by a run of its own: its variables and this run's do not mix."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_ROOT = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of the module ``inventory_endpoints``."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, given = self.validate_argument_spec(
            {
                "inventory": {"type": "str", "required": True},
                "playbook": {"type": "str", "required": True},
                "close": {"type": "bool", "default": False},
            }
        )
        inventory = str(given["inventory"])
        if not (_ROOT / inventory).exists():
            known = ", ".join(sorted(f"inventories/{path.name}" for path in (_ROOT / "inventories").iterdir()))
            raise AnsibleActionFail(f"{inventory} is no inventory; there are {known}")
        with tempfile.TemporaryDirectory(prefix="berth-endpoints-") as folder:
            file = Path(folder) / "endpoints.json"
            words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", inventory, given["playbook"]]
            # Those of this run, and the file's name over them.
            own = {"endpoints_file": str(file), "endpoints_close": given["close"]}
            for each in [*context.CLIARGS.get("extra_vars", ()), json.dumps(own)]:
                words += ["-e", each]
            done = subprocess.run(words, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode != 0 or not file.is_file():
                said = [
                    line
                    for line in (done.stdout + done.stderr).splitlines()
                    if line.strip() and not line.startswith(("PLAY RECAP", "TASK", "ok:"))
                ]
                raise AnsibleActionFail(f"{inventory}: {given['playbook']} failed:\n" + "\n".join(said[-12:]))
            return {**result, "changed": False, **json.loads(file.read_text())}
