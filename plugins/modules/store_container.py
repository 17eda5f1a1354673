#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a store's container on this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: store_container
short_description: Keep the container of a store, and interrupt it only where it has to be
description:
  - Starts a store's Compose project and waits until it is healthy. Its container is made anew only where its project or its image is another
    one; a configuration that changed is read by the running server, which is restarted only for settings that it cannot change so.
  - What the server has read last is noted beside the project, so a run that is killed before the server reads leaves nothing forgotten.
options:
  project:
    description: The Compose file.
    type: path
    required: true
  container:
    description: Name of the container.
    type: str
    required: true
  image:
    description: Its image.
    type: str
    required: true
  user:
    description: The user that the server is, in the image.
    type: str
    required: true
  key:
    description: The private key, which has to belong to that user.
    type: path
  owned:
    description: Further files that have to belong to that user.
    type: list
    elements: path
    default: []
  configuration:
    description: Folders whose files the server reads.
    type: list
    elements: path
    default: []
  reload_command:
    description: What lets the server read its configuration again, run in the container as O(user).
    type: list
    elements: str
  pending_command:
    description: What says which settings need a restart, run likewise. No output means none.
    type: list
    elements: str
  restart_files:
    description: Files of O(configuration) that O(reload_command) does not cover. One that changed restarts the server.
    type: list
    elements: path
    default: []
  data_command:
    description:
      - What fails where the data is none that the server of O(image) can read. Run before another image takes over, in a container of that image
        with the running one's volumes, read only. The running one goes on where it fails.
    type: list
    elements: str
  reload_environment:
    description: Variables of both commands, each with the file that holds its value, which so stands in no process list.
    type: dict
    default: {}
  interrupt:
    description:
      - Whether the server may be stopped. Where it may not, it is told what it can be told while it runs, and RV(waits) says that there is more.
    type: bool
    default: true
  ready_command:
    description: What succeeds once the server is what it has to be, in the container like O(reload_command), which comes first.
    type: list
    elements: str
  wait_timeout:
    description: For how many seconds it may take to become healthy, and to be ready.
    type: int
    default: 120
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows the image that runs and the one that would.
    support: full
requirements:
  - docker and docker compose
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: The server runs
  store_container:
    project: /etc/berth/postgres/compose.yaml
    container: berth-postgres
    image: postgres:17.7
    user: postgres
    key: /etc/berth/postgres/tls/server.key
"""

RETURN = r"""
image:
  description: The image that runs.
  type: str
  returned: success
restarted:
  description: Whether the server was stopped and started.
  type: bool
  returned: success
waits:
  description: Whether something is left that the server has to be stopped for.
  type: bool
  returned: success
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth.machine_docker import Docker, last_words, reason
from ansible.module_utils.berth.problems import BerthError
from ansible.module_utils.berth.writing import replace

_SHOWN = "{{.Id}} {{.Config.Image}} {{.State.StartedAt}} {{.State.Running}}"


def look(docker: Docker, name: str) -> list[str]:
    """Identifier, image, start and running of a container; empty where there is none."""
    code, out, _err = docker("inspect", "--format", _SHOWN, name)
    return out.split() if code == 0 else []


def own(docker: Docker, params: dict[str, Any]) -> None:
    """Let the server's user, whose number is the image's affair, own the key and what else is private to it."""
    files = [each for each in (params["key"], *params["owned"]) if each and os.stat(each).st_uid == 0]
    if not files:
        return
    words = ("run", "--rm", "--network", "none", "--entrypoint", "id", params["image"], "-u", params["user"])
    number = docker.check(f"image {params['image']} has no user {params['user']}", *words).strip()
    for each in files:
        os.chown(each, int(number), int(number))


def readable(docker: Docker, params: dict[str, Any], before: str) -> None:
    """Refuse an image whose server cannot read what another one's has written."""
    program, *words = params["data_command"]
    inside = ("--rm", "--network", "none", "--volumes-from", f"{params['container']}:ro", "--user", params["user"], "--entrypoint", program)
    code, out, err = docker("run", *inside, params["image"], *words)
    if code != 0:
        raise BerthError(
            f"image {params['image']} cannot read what {before} has written: {last_words(out, err)}. The latter goes on; set it back, and let "
            "the other one take over beside it: docs/upgrades.md"
        )


def start(docker: Docker, params: dict[str, Any]) -> None:
    """Start the project, and wait until it is healthy."""
    words = ("compose", "--file", params["project"], "up", "--detach", "--wait", "--wait-timeout", str(params["wait_timeout"]))
    code, out, err = docker(*words)
    if code != 0:
        fail(docker, params, f"does not become healthy: {reason(out, err)}")


def fail(docker: Docker, params: dict[str, Any], what: str) -> NoReturn:
    """Say what is wrong with the container, and what it said last. Raises :class:`BerthError`."""
    raise BerthError(docker.with_log(f"{params['container']} {what}", ["logs"], [params["container"]], 15))


def await_ready(docker: Docker, params: dict[str, Any]) -> None:
    """Wait until the server is what it has to be."""
    end = time.monotonic() + params["wait_timeout"]
    while True:
        code, out, err = docker("exec", "--user", params["user"], params["container"], *params["ready_command"])
        if code == 0:
            return
        if time.monotonic() > end:
            fail(docker, params, f"is not ready after {params['wait_timeout']} s: {last_words(out, err)}")
        time.sleep(0.5)


def another(docker: Docker, params: dict[str, Any]) -> bool:
    """Whether Compose would make the running container anew."""
    shown = '{{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}}'
    there = docker.check(f"{params['container']}", "inspect", "--format", shown, params["container"]).split()
    image = docker.check(f"image {params['image']}", "image", "inspect", "--format", "{{.Id}}", params["image"]).strip()
    wanted = docker.check(params["project"], "compose", "--file", params["project"], "config", "--hash", "*").split()
    return there != [image, wanted[1]]


def reload(docker: Docker, params: dict[str, Any], changed: set[str]) -> bool:
    """Let the server read its configuration, of which these files changed. Returns whether that took a restart."""
    given = {name: Path(path).read_text().rstrip("\n") for name, path in params["reload_environment"].items()}
    told = Docker(docker.run, given)
    names = [word for name in given for word in ("--env", name)]
    within = ("exec", *names, "--user", params["user"], params["container"])
    if params["reload_command"] and not changed & set(params["restart_files"]):
        told.check("The configuration cannot be read again", *within, *params["reload_command"])
        if not params["pending_command"] or not told.check("The server", *within, *params["pending_command"]).strip():
            return False
    docker.check("The server cannot be restarted", "compose", "--file", params["project"], "restart")
    start(docker, params)
    return True


def digests(folders: list[str]) -> dict[str, str]:
    """Of each file that the server reads."""
    files = sorted(each for folder in folders for each in Path(folder).glob("*") if each.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def noted(note: Path) -> dict[str, str]:
    """What the server has read last; nothing where that was not noted, or in another form."""
    try:
        found = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "project": {"type": "path", "required": True},
            "container": {"type": "str", "required": True},
            "image": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "key": {"type": "path", "no_log": False},
            "owned": {"type": "list", "elements": "path", "default": []},
            "configuration": {"type": "list", "elements": "path", "default": []},
            "reload_command": {"type": "list", "elements": "str"},
            "pending_command": {"type": "list", "elements": "str"},
            "restart_files": {"type": "list", "elements": "path", "default": []},
            "data_command": {"type": "list", "elements": "str"},
            "reload_environment": {"type": "dict", "default": {}},
            "interrupt": {"type": "bool", "default": True},
            "ready_command": {"type": "list", "elements": "str"},
            "wait_timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params, docker = module.params, Docker(module.run_command)
    note = Path(params["project"]).with_name("read")
    restarted = waits = False
    try:
        before = look(docker, params["container"]) if module.get_bin_path("docker") else []
        runs = bool(before) and before[3] == "true"
        wanted, known = digests(params["configuration"]), noted(note)
        unread = {path for path in {*wanted, *known} if wanted.get(path) != known.get(path)}
        if module.check_mode:
            changed = not runs or before[1] != params["image"] or bool(unread)
        else:
            if docker("image", "inspect", params["image"])[0] != 0:
                docker.check(f"image {params['image']} cannot be pulled", "pull", "--quiet", params["image"])
            if before and before[1] != params["image"] and params["data_command"]:
                readable(docker, params, before[1])
            own(docker, params)
            waits = runs and not params["interrupt"] and another(docker, params)
            if not waits:
                start(docker, params)
            after = look(docker, params["container"])
            restarted = bool(before) and after[2] != before[2]
            changed = after != before
            held = unread & set(params["restart_files"]) if not changed and not params["interrupt"] else set()
            waits = waits or bool(held)
            if unread - held:
                if not changed:
                    restarted, changed = reload(docker, params, unread - held), True
                replace(str(note), json.dumps(wanted | {path: known.get(path, "") for path in held}, indent=2) + "\n", 0o600)
            if params["ready_command"]:
                await_ready(docker, params)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    was = before[1] if runs else "not running"
    module.exit_json(
        changed=changed,
        image=params["image"],
        restarted=restarted,
        waits=waits,
        diff={"before": f"{was}\n", "after": f"{params['image']}\n" if changed else f"{was}\n"},
    )


if __name__ == "__main__":
    main()
