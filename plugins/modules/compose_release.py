#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a release into service beside the running one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_release
short_description: Bring a release into service on this machine, without a gap
description:
  - A release is a Compose project of its own. It is pulled and started next to the running one, has to become healthy, then the edge
    (Caddy) leads new requests to it; requests in flight end where they began, and the old project is stopped and removed.
  - Where the new one does not come up, it is taken away, and the old one goes on serving.
  - All of it is one call, so that a connection that breaks leaves no half of it for long; run again, it ends in the same state.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  state:
    description: V(found) only looks. V(fetched) pulls the images, and changes nothing else. V(absent) takes all containers of the app away, and the edge; its named volumes only with O(volumes_too).
    type: str
    choices: [present, absent, found, fetched]
    default: present
  release:
    description: The release, as M(compose_release_file) named it.
    type: str
  definition:
    description: The release's Compose file. It holds passwords, and is kept so that only root reads it.
    type: str
  images:
    description: The images that it runs.
    type: list
    elements: str
    default: []
  auths:
    description: Credentials to pull with, as in Docker's C(config.json). They are kept nowhere.
    type: dict
    default: {}
  authorities:
    description: Certificates of authorities, in PEM, that containers trust beside those of this machine.
    type: str
    default: ""
  front_door:
    description: The service to which visitors are led.
    type: str
  port:
    description: Its port.
    type: int
  health_path:
    description: A path that it answers with success; asked through the edge before the old release is stopped.
    type: str
    default: /
  domain:
    description: Name under which visitors come. With it the edge gets a certificate, and answers HTTPS.
    type: str
  email:
    description: Whom the certificate's authority writes to.
    type: str
  edge_image:
    description: Image of the edge.
    type: str
    default: caddy:2.10.2
  wait_timeout:
    description: For how many seconds the release may take to become healthy.
    type: int
    default: 300
  drain:
    description: For how many seconds at most requests in flight may end on the old release, which is stopped when none is left.
    type: int
    default: 30
  keep:
    description: How many old releases stay on the machine, to go back to without a registry.
    type: int
    default: 3
  volumes_too:
    description: With O(state=absent), whether the app's named volumes are removed.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows the release that serves and the one that would.
    support: full
requirements:
  - docker and docker compose
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Bring the release into service
  compose_release:
    app: shop
    release: "{{ rendered.release }}"
    definition: "{{ lookup('ansible.builtin.file', '/tmp/release/compose.json') }}"
    front_door: "{{ rendered.front_door }}"
    port: "{{ rendered.port }}"
"""

RETURN = r"""
release:
  description: The release that serves, or the empty string.
  type: str
  returned: success
containers:
  description: Its containers - C(name), C(state) and C(status).
  type: list
  elements: dict
  returned: success
seconds:
  description: How long each part took.
  type: dict
  returned: when it was brought into service
"""

import http.client
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import draining, registries, release_model
from ansible.module_utils.berth.machine_docker import Docker, last_words, meaning
from ansible.module_utils.berth.problems import BerthError

_ROOT = Path("/srv/berth")
_EDGE = Path("/etc/berth/edge")
_TAIL = "20"
_LOOK_SECONDS = 0.2
_QUIET_LOOKS = 2
_SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def write(path: Path, text: str, mode: int = 0o600) -> bool:
    """Write a file in one step, unless it is so already. Returns whether it was not."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
    return True


class Machine:
    """An app on this machine."""

    def __init__(self, module: Any) -> None:
        self.params = module.params
        self.docker = Docker(module.run_command)
        self.run = module.run_command
        self.folder = _ROOT / module.params["app"]

    def found(self) -> dict[str, list[dict[str, Any]]]:
        """Every release that has containers here."""
        return self.docker.projects(release_model.APP_LABEL, self.params["app"], release_model.RELEASE_LABEL)

    def serving(self) -> str:
        """The release that was last brought into service, or the empty string."""
        try:
            return str(json.loads((self.folder / "current.json").read_text(encoding="utf-8"))["release"])
        except (FileNotFoundError, ValueError, KeyError):
            return ""

    def project(self, release: str) -> str:
        """A release's Compose project."""
        return release_model.project_name(self.params["app"], release)

    def file(self, release: str) -> Path:
        """A release's Compose file."""
        return self.folder / "releases" / release / "compose.json"

    def compose(self, release: str, *words: str) -> tuple[str, ...]:
        """A command of Compose's, on a release."""
        path = self.file(release)
        named = ("--file", str(path), "--project-directory", str(path.parent)) if path.is_file() else ()
        return ("compose", "--ansi", "never", *named, "--project-name", self.project(release), *words)

    def is_up(self, release: str, found: dict[str, list[dict[str, Any]]]) -> bool:
        """Whether each service of a release has a container that runs, and none is unhealthy."""
        try:
            services = json.loads(self.file(release).read_text(encoding="utf-8"))["services"]
        except (FileNotFoundError, ValueError, KeyError):
            return False
        mine = found.get(release, [])
        return len(mine) >= len(services) and all(each["state"] == "running" and "unhealthy" not in each["status"] for each in mine)

    def caddyfile(self) -> str:
        """What leads visitors to the wanted release."""
        upstream = f"{self.project(self.params['release'])}:{self.params['port']}"
        return release_model.caddyfile(upstream, self.params["domain"], self.params["email"])

    def leads(self) -> bool:
        """Whether the edge leads to the wanted release."""
        if not self.params["front_door"]:
            return True
        try:
            text = (_EDGE / "Caddyfile").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return text == self.caddyfile() and self.edge_runs()

    def edge_runs(self) -> bool:
        """Whether the edge runs, of the wanted image."""
        code, out, _err = self.docker("inspect", "--format", "{{.State.Running}} {{.Config.Image}}", release_model.EDGE_NETWORK)
        return code == 0 and out.split() == ["true", self.params["edge_image"]]

    def fetch(self) -> None:
        """Pull the images, so that the release starts at once when its turn comes."""
        with registries.signed_in(self.params["auths"]) as environment:
            docker = Docker(self.run, environment)
            for image in [*self.params["images"], self.params["edge_image"]]:
                if docker("image", "inspect", image)[0] != 0:
                    docker.check(f"{image} cannot be pulled", "pull", "--quiet", image)

    def start(self) -> None:
        """Pull the release, start it, and wait until it is healthy; else take it away again."""
        release = self.params["release"]
        write(self.file(release), self.params["definition"])
        if self.params["authorities"]:
            self.trust()
        with registries.signed_in(self.params["auths"]) as environment:
            Docker(self.run, environment).check(
                "The images cannot be pulled", *self.compose(release, "pull", "--quiet", "--policy", "missing")
            )
        problem = self.docker.architecture_problem(self.params["images"])
        if problem:
            raise BerthError(problem)
        if self.params["front_door"]:
            self.network()
        words = self.compose(release, "up", "--detach", "--wait", "--wait-timeout", str(self.params["wait_timeout"]), "--no-build")
        code, out, err = self.docker(*words)
        if code != 0:
            _code, logs, more = self.docker(*self.compose(release, "logs", "--no-color", "--tail", _TAIL))
            known = meaning(f"{out}\n{err}")
            tail = "\n".join((logs + more).splitlines()[-30:])
            raise BerthError(f"{last_words(out, err)}{f' ({known})' if known else ''}\nLast log lines:\n{tail}")

    def trust(self) -> None:
        """Write which authorities containers trust. In place, since those that run have the file mounted."""
        path = Path(release_model.AUTHORITIES)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        own = _SYSTEM_AUTHORITIES.read_text(encoding="utf-8") if _SYSTEM_AUTHORITIES.is_file() else ""
        text = f"{own.rstrip()}\n{self.params['authorities'].strip()}\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            path.chmod(0o644)

    def network(self) -> None:
        """Have the network on which the edge finds front doors."""
        if self.docker("network", "inspect", release_model.EDGE_NETWORK)[0] != 0:
            self.docker.check("The edge's network", "network", "create", release_model.EDGE_NETWORK)

    def lead(self) -> None:
        """Let the edge lead to the release, and see that it answers there. Raises :class:`BerthError`, the edge as it was."""
        path = _EDGE / "Caddyfile"
        before = path.read_text(encoding="utf-8") if path.is_file() else None
        # Caddy runs as root without the right to pass over permissions.
        _EDGE.mkdir(parents=True, exist_ok=True, mode=0o755)
        model = _ROOT / "edge" / "compose.json"
        other = write(model, json.dumps(release_model.edge_model(self.params["edge_image"])))
        write(path, self.caddyfile(), 0o644)
        project = ("compose", "--file", str(model), "--project-name", release_model.EDGE_NETWORK)
        within = ("exec", release_model.EDGE_NETWORK, "caddy", "reload", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile")
        reload = (*within, "--address", "unix//run/caddy-admin.sock")
        try:
            if other or not self.edge_runs():
                self.docker.check("The edge", *project, "up", "--detach", "--quiet-pull", "--wait")
            self.docker.check("The edge", *reload)
            self.see()
        except BerthError:
            if before is not None:
                write(path, before, 0o644)
                self.docker(*reload)
            raise

    def see(self) -> None:
        """Ask the front door through the edge."""
        end, said = time.monotonic() + 20, ""
        while time.monotonic() < end:
            connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
            try:
                connection.request("GET", self.params["health_path"], headers={"Host": self.params["domain"] or "localhost"})
                status = connection.getresponse().status
                if status < 500:
                    return
                said = f"HTTP {status}"
            except OSError as error:
                said = str(error)
            finally:
                connection.close()
            time.sleep(0.3)
        raise BerthError(f"through the edge {self.params['health_path']} answers {said}")

    def drain(self, releases: list[str]) -> None:
        """Wait until the edge speaks to these releases no more: requests that began there end there, for as long as they may."""
        _code, out, _err = self.docker("inspect", "--format", "{{.State.Pid}}", release_model.EDGE_NETWORK)
        shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}"
        names = [each["name"] for release in releases for each in self.found().get(release, [])]
        addresses = set(self.docker("inspect", "--format", shown, *names)[1].split()) if names else set()
        end, quiet = time.monotonic() + self.params["drain"], 0
        # Twice, since a request may be between the edge's door and the release's.
        while quiet < _QUIET_LOOKS and time.monotonic() < end:
            tables = [Path(f"/proc/{out.strip()}/net/{name}") for name in ("tcp", "tcp6")]
            speaks = addresses & {peer for table in tables if table.is_file() for peer in draining.peers(table.read_text())}
            quiet = 0 if speaks else quiet + 1
            time.sleep(_LOOK_SECONDS)

    def stop(self, release: str) -> None:
        """Stop and remove a release's containers. Their named volumes stay, since the next release has them."""
        self.docker.check(f"Release {release} cannot be stopped", *self.compose(release, "down", "--remove-orphans"))

    def forget(self) -> None:
        """Remove the files and images of releases that nobody will go back to."""
        folders = [each for each in (self.folder / "releases").iterdir() if each.is_dir()] if (self.folder / "releases").is_dir() else []
        folders.sort(key=lambda each: each.stat().st_mtime, reverse=True)
        held = [each for each in folders if each.name == self.params["release"]]
        held += [each for each in folders if each.name != self.params["release"]][: self.params["keep"]]
        images = {image for each in held for image in images_of(each)}
        for each in folders:
            if each not in held:
                for image in images_of(each) - images:
                    self.docker("image", "rm", image)
                shutil.rmtree(each, ignore_errors=True)


def images_of(folder: Path) -> set[str]:
    """The images that a release runs."""
    try:
        services = json.loads((folder / "compose.json").read_text(encoding="utf-8"))["services"]
    except (FileNotFoundError, ValueError, KeyError):
        return set()
    return {str(each["image"]) for each in services.values()}


def deploy(machine: Machine, found: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Bring the release into service. Returns how long the parts took, in seconds."""
    params, begin = machine.params, time.monotonic()
    release, before, took = params["release"], machine.serving(), {}
    others = [each for each in found if each != release]
    try:
        machine.start()
        took["start"] = time.monotonic() - begin
        if params["front_door"]:
            machine.lead()
        took["lead"] = time.monotonic() - begin - took["start"]
    except BerthError as problem:
        if release != before:
            machine.docker(*machine.compose(release, "down", "--remove-orphans", "--timeout", "10"))
            shutil.rmtree(machine.file(release).parent, ignore_errors=True)
        goes_on = f"{before} goes on serving" if before and before != release else "nothing else serves"
        raise BerthError(f"release {release} was not brought into service, and {goes_on}: {problem}") from None
    write(machine.folder / "current.json", json.dumps({"release": release, "before": before if before != release else ""}))
    if others:
        if params["front_door"]:
            machine.drain(others)
        for each in others:
            machine.stop(each)
    took["drain and stop"] = time.monotonic() - begin - took["start"] - took["lead"]
    machine.forget()
    return {key: round(value, 2) for key, value in took.items()}


def remove(machine: Machine, found: dict[str, list[dict[str, Any]]]) -> None:
    """Take the app away."""
    for each in found:
        machine.stop(each)
    if machine.params["volumes_too"]:
        _code, out, _err = machine.docker("volume", "ls", "--quiet", "--filter", f"name=^{machine.params['app']}_")
        for name in out.split():
            machine.docker.check(f"Volume {name}", "volume", "rm", name)
    edge = _ROOT / "edge" / "compose.json"
    if edge.is_file():
        machine.docker.check("The edge", "compose", "--file", str(edge), "--project-name", release_model.EDGE_NETWORK, "down")
        machine.docker("network", "rm", release_model.EDGE_NETWORK)
        shutil.rmtree(edge.parent)
        shutil.rmtree(_EDGE, ignore_errors=True)
    shutil.rmtree(machine.folder, ignore_errors=True)


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "found", "fetched"], "default": "present"},
            "release": {"type": "str"},
            "definition": {"type": "str", "no_log": True},
            "images": {"type": "list", "elements": "str", "default": []},
            "auths": {"type": "dict", "no_log": True, "default": {}},
            "authorities": {"type": "str", "default": ""},
            "front_door": {"type": "str"},
            "port": {"type": "int"},
            "health_path": {"type": "str", "default": "/"},
            "domain": {"type": "str"},
            "email": {"type": "str"},
            "edge_image": {"type": "str", "default": "caddy:2.10.2"},
            "wait_timeout": {"type": "int", "default": 300},
            "drain": {"type": "int", "default": 30},
            "keep": {"type": "int", "default": 3},
            "volumes_too": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ("release", "definition"))],
        supports_check_mode=True,
    )
    params, machine = module.params, Machine(module)
    module.no_log_values.update(registries.passwords(params["auths"]))
    took: dict[str, float] = {}
    try:
        found, serving = machine.found(), machine.serving()
        changed = False
        if params["state"] == "fetched" and not module.check_mode:
            machine.fetch()
        if params["state"] == "absent":
            changed = bool(found) or machine.folder.is_dir()
            if changed and not module.check_mode:
                remove(machine, found)
                found, serving = {}, ""
        elif params["state"] == "present":
            up = serving == params["release"] and machine.is_up(serving, found) and machine.leads() and set(found) == {serving}
            changed = not up
            before, after = serving, params["release"]
            if changed and not module.check_mode:
                took = deploy(machine, found)
                found, serving = machine.found(), machine.serving()
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    answer: dict[str, Any] = {"changed": changed, "release": serving, "containers": found.get(serving, []), "seconds": took}
    if params["state"] == "present" and changed:
        answer["diff"] = {"before": f"release {before or 'none'}\n", "after": f"release {after}\n"}
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
