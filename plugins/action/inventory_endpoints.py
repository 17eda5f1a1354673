# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Other inventories' answers, by runs of their own: their variables and this run's do not mix."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
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
                "inventories": {"type": "list", "elements": "str", "required": True},
                "playbook": {"type": "str", "required": True},
                "close": {"type": "bool", "default": False},
            }
        )
        for each in given["inventories"]:
            if not (_ROOT / each.partition("@")[0]).exists():
                known = ", ".join(sorted(f"inventories/{path.name}" for path in (_ROOT / "inventories").iterdir()))
                raise AnsibleActionFail(f"{each} is no inventory; there are {known}")
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(_told, each, given["playbook"], close=given["close"]) for each in given["inventories"]]
            answers = [each.result() for each in asked]
        # Also of those that answered where another did not: the ways that they opened have to be closed.
        result.update({"changed": False, "told": [each for each in answers if "problem" not in each]})
        if problems := [each["problem"] for each in answers if "problem" in each]:
            result.update({"failed": True, "msg": "\n".join(problems)})
        return result


def _told(inventory: str, playbook: str, *, close: bool) -> dict[str, Any]:
    """What the playbook wrote with an inventory, or as ``problem`` why it did not."""
    with tempfile.TemporaryDirectory(prefix="berth-endpoints-") as folder:
        file = Path(folder) / "endpoints.json"
        path, at, stage = inventory.partition("@")
        words = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", path, playbook]
        # Those of this run, and over them the file's name, and the stage where one is named.
        own = {"endpoints_file": str(file), "endpoints_close": close} | ({"app_stage": stage} if at else {})
        for each in [*context.CLIARGS.get("extra_vars", ()), json.dumps(own)]:
            words += ["-e", each]
        done = subprocess.run(words, cwd=_ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not file.is_file():
            said = [
                line
                for line in (done.stdout + done.stderr).splitlines()
                if line.strip() and not line.startswith(("PLAY RECAP", "TASK", "ok:"))
            ]
            return {"problem": f"{inventory}: {playbook} failed:\n" + "\n".join(said[-12:])}
        return {"inventory": inventory, **json.loads(file.read_text())}
