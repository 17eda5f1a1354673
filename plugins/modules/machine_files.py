#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the files and services of this machine, in one step."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_files
short_description: Keep folders, passwords, files and services of a machine in one step
description:
  - Does in one call what would take a task for each file and a handler for each service, since each call costs a round trip and a Python.
  - All files are validated before the first is written. What makes a file count is run when the file is another one than the last that was
    made to count, so a run that is killed between the two leaves nothing forgotten.
options:
  folders:
    description: Folders that have to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder.
        type: path
        required: true
      mode:
        description: Its mode, as octal digits. One that is made without it is for all to read, and one that is there stays as it is.
        type: str
  passwords:
    description: Files that hold a random password each, made where there is none and never made anew. Root alone reads them.
    type: list
    elements: path
    default: []
  passwords_passing:
    description: Further such files, which are there only while a password takes another one's place. They are told of, and never made.
    type: list
    elements: path
    default: []
  files:
    description: Files that have to be there.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: What it holds.
        type: str
        required: true
      mode:
        description: Its mode, as octal digits.
        type: str
        default: "0644"
      validate:
        description: Command that accepts a file of this kind, named C(%s).
        type: list
        elements: str
      apply:
        description: Command that makes the file count. Files that name the same one are applied together, once.
        type: list
        elements: str
  units:
    description: Units of systemd.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The unit.
        type: str
        required: true
      enabled:
        description: Whether it starts with the machine.
        type: bool
        default: true
      started:
        description: Whether to start it where it does not run.
        type: bool
        default: false
  notes:
    description: Folder where the module notes what it has applied.
    type: path
    default: /var/lib/berth/applied
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows how each file changes. A password is never shown.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: SSH takes keys alone
  machine_files:
    files:
      - path: /etc/ssh/sshd_config.d/00-berth.conf
        content: "{{ lookup('ansible.builtin.template', 'sshd.j2') }}"
        validate: [/usr/sbin/sshd, -t, -f, "%s"]
        apply: [systemctl, reload, ssh]
"""

RETURN = r"""
written:
  description: Folders, passwords and files that were made or changed.
  type: list
  elements: str
  returned: success
digests:
  description: SHA-256 of each password that is there, by its file; what a server may be told that needs to know it and not to say it.
  type: dict
  returned: success
applied:
  description: Commands that were run to make them count.
  type: list
  elements: str
  returned: success
"""

import hashlib
import os
import secrets
import stat
import tempfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth.problems import BerthError
from ansible.module_utils.berth.writing import replace


def read(path: str) -> str | None:
    """What a file holds, or None where there is none. Bytes that are no text are shown as what they are not."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None


def mode_of(path: str) -> int | None:
    """Permissions of a file or folder, or None where there is none."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return None


class Keeper:
    """What is kept, what of it changed, and how that is shown."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.dry: bool = module.check_mode
        self.written: list[str] = []
        self.applied: list[str] = []
        self.digests: dict[str, str] = {}
        self.diff: list[dict[str, str]] = []

    def run(self, words: list[str], problem: str) -> str:
        code, out, err = self.module.run_command(words)
        if code != 0:
            said = "\n".join((out + err).strip().splitlines()[-5:])
            raise BerthError(f"{problem}: {' '.join(words)} says: {said}")
        return str(out)

    def show(self, path: str, before: str, after: str) -> None:
        self.written.append(path)
        self.diff.append({"before_header": path, "after_header": path, "before": before, "after": after})

    def folders(self) -> None:
        for each in self.params["folders"]:
            there = mode_of(each["path"])
            wanted = int(each["mode"], 8) if each["mode"] else 0o755 if there is None else there
            if there == wanted:
                continue
            self.show(each["path"], "" if there is None else f"mode {there:04o}\n", f"mode {wanted:04o}\n")
            if not self.dry:
                os.makedirs(each["path"], exist_ok=True)
                os.chmod(each["path"], wanted)

    def passwords(self) -> None:
        for path in self.params["passwords"]:
            if not read(path):
                self.show(path, "", "a new password\n")
                if self.dry:
                    continue
                replace(path, secrets.token_hex(24), 0o600)
            self.digests[path] = hashlib.sha256((read(path) or "").encode()).hexdigest()
        for path in self.params["passwords_passing"]:
            if there := read(path):
                self.digests[path] = hashlib.sha256(there.encode()).hexdigest()

    def validate(self) -> None:
        for each in self.params["files"]:
            if not each["validate"] or read(each["path"]) == each["content"]:
                continue
            if self.dry and self.module.get_bin_path(each["validate"][0]) is None:
                continue
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="berth-") as file:
                file.write(each["content"])
                file.flush()
                words = [word.replace("%s", file.name) for word in each["validate"]]
                self.run(words, f"{each['path']} would not be valid, and nothing was written")

    def files(self) -> None:
        for each in self.params["files"]:
            wanted, before = int(each["mode"], 8), read(each["path"])
            if before == each["content"] and mode_of(each["path"]) == wanted:
                continue
            self.show(each["path"], before or "", each["content"])
            if not self.dry:
                replace(each["path"], each["content"], wanted)

    def apply(self) -> None:
        groups: dict[tuple[str, ...], Any] = {}
        for each in self.params["files"]:
            if each["apply"]:
                digest = groups.setdefault(tuple(each["apply"]), hashlib.sha256())
                digest.update("\0".join((each["path"], each["mode"], each["content"], "")).encode())
        for words, digest in groups.items():
            # The names say nothing; what is in a note tells which command it is.
            note = os.path.join(self.params["notes"], hashlib.sha256("\0".join(words).encode()).hexdigest()[:16])
            wanted = f"{' '.join(words)}\n{digest.hexdigest()}\n"
            if read(note) == wanted:
                continue
            self.applied.append(" ".join(words))
            if not self.dry:
                self.run(list(words), "What was written does not count yet, and the next run tries again")
                os.makedirs(self.params["notes"], mode=0o700, exist_ok=True)
                replace(note, wanted, 0o600)

    def units(self) -> None:
        names = [each["name"] for each in self.params["units"]]
        if not names:
            return
        _code, out, _err = self.module.run_command(["systemctl", "show", "--property=UnitFileState,ActiveState", *names])
        states = [dict(line.split("=", 1) for line in part.splitlines()) for part in out.strip().split("\n\n")]
        for each, state in zip(self.params["units"], states, strict=True):
            verbs = []
            if (state["UnitFileState"] == "enabled") != each["enabled"]:
                verbs.append("enable" if each["enabled"] else "disable")
            if each["started"] and state["ActiveState"] not in ("active", "activating", "reloading"):
                verbs.append("start")
            for verb in verbs:
                self.applied.append(f"systemctl {verb} {each['name']}")
                if not self.dry:
                    self.run(["systemctl", verb, each["name"]], f"{each['name']} cannot be kept")


def main() -> None:
    """Run the module as Ansible calls it."""
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "list", "elements": "str"},
        "apply": {"type": "list", "elements": "str"},
    }
    folder = {"path": {"type": "path", "required": True}, "mode": {"type": "str"}}
    unit = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool", "default": True},
        "started": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "folders": {"type": "list", "elements": "dict", "default": [], "options": folder},
            "passwords": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "passwords_passing": {"type": "list", "elements": "path", "default": [], "no_log": False},
            "files": {"type": "list", "elements": "dict", "default": [], "options": file},
            "units": {"type": "list", "elements": "dict", "default": [], "options": unit},
            "notes": {"type": "path", "default": "/var/lib/berth/applied"},
        },
        supports_check_mode=True,
    )
    keeper = Keeper(module)
    try:
        keeper.validate()
        keeper.folders()
        keeper.passwords()
        keeper.files()
        keeper.apply()
        keeper.units()
    except (BerthError, OSError, ValueError) as problem:
        module.fail_json(msg=str(problem), changed=bool(keeper.written), written=keeper.written, applied=keeper.applied)
    module.exit_json(
        changed=bool(keeper.written or keeper.applied),
        written=keeper.written,
        applied=keeper.applied,
        digests=keeper.digests,
        diff=keeper.diff,
    )


if __name__ == "__main__":
    main()
