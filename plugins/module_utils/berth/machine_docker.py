# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker's client on a machine, and what its complaints mean."""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from .compose_client import compose_command
from .docker_api import ask
from .problems import BerthError, with_log

Run = Callable[..., tuple[int, str, str]]
# The kernel's names to Docker's, of what droplets have; others are asked of Docker.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MEANINGS = (
    (r"no space left on device", "the machine's disk is full; `docker system df` on it says of what, and a larger size or volume helps"),
    (r"no matching manifest for (\S+)", "the image is for another architecture than the machine's; build it with its platform"),
    (r"exec format error", "the image is for another architecture than the machine's; build it with its platform"),
    (r"unauthorized|authentication required|denied", "the registry refuses; check app_registry_username and app_registry_password"),
    (
        r"manifest unknown|not found: manifest|manifest for .* not found",
        "the registry has no such image any more; deploy again, which builds it",
    ),
    (r"connection refused|no such host|i/o timeout|TLS handshake", "the machine cannot reach the registry"),
    (r"port is already allocated|address already in use", "something else on the machine has the port"),
    (
        r"non-overlapping IPv4 address pool|fully subnetted",
        "Docker has no addresses left for another network; `docker network prune` on the machine takes away those that nothing uses",
    ),
    (r"bind source path does not exist", "what a container mounts is not on the machine"),
)


def meaning(said: str) -> str:
    """What an error of Docker's comes to, or the empty string."""
    return next((words for pattern, words in _MEANINGS if re.search(pattern, said, re.IGNORECASE)), "")


def last_words(out: str, err: str) -> str:
    """What of a command's output says why it failed."""
    lines = [line.strip() for line in [*out.splitlines(), *err.splitlines()] if line.strip()]
    errors = [
        line
        for line in lines
        if re.search(r"error|failed|denied|not found|unhealthy|exited|no space|mismatch|fatal|panic", line, re.IGNORECASE)
    ]
    return "; ".join(dict.fromkeys((errors or lines)[-3:]))


def reason(out: str, err: str) -> str:
    """Why a command of Docker's failed, in its words, and what that comes to where it is known."""
    known = meaning(f"{out}\n{err}")
    return last_words(out, err) + (f" ({known})" if known else "")


def command(*words: str) -> list[str]:
    """A command of Docker's, as an argument vector. ``words``: what follows ``docker``."""
    return [*compose_command(), *words[1:]] if words[:1] == ("compose",) else ["docker", *words]


class Docker:
    """Docker's client. ``run``: ``AnsibleModule.run_command``."""

    def __init__(self, run: Run, environment: Mapping[str, str] | None = None) -> None:
        self.run, self._environment = run, dict(environment or {})

    def with_log(self, problem: str, command: Sequence[str], names: Iterable[str], lines: int = 30) -> str:
        """A problem, and what the containers or services say last. ``command``: such as ``logs``."""
        _code, out, err = self(*command, "--tail", str(lines), *names)
        return with_log(problem, (out + err).splitlines()[-lines:])

    def __call__(self, *words: str, data: str | None = None) -> tuple[int, str, str]:
        """Run a command. Returns its code and what it said."""
        return self.run(command(*words), data=data, environ_update=self._environment)

    def check(self, what: str, *words: str, data: str | None = None) -> str:
        """Run a command. Raises :class:`BerthError` with what it comes to."""
        code, out, err = self(*words, data=data)
        if code != 0:
            raise BerthError(f"{what}: {reason(out, err)}")
        return out

    def listed(self, *words: str) -> list[dict[str, Any]]:
        """What a command lists in JSON, one object a line."""
        out = self.check(f"docker {words[0]}", *words, "--format", "json")
        found = [json.loads(line) for line in out.splitlines() if line.strip()]
        return found[0] if found and isinstance(found[0], list) else found

    def projects(self, label: str, value: str, release: str) -> dict[str, list[dict[str, Any]]]:
        """Compose projects of an app on this machine: release to containers, each with name, state, status, project and service."""
        found: dict[str, list[dict[str, Any]]] = {}
        query = urllib.parse.urlencode({"all": "true", "filters": json.dumps({"label": [f"{label}={value}"]})})
        for each in ask(f"/containers/json?{query}") or []:
            labels = each.get("Labels") or {}
            container = {
                # The others are what containers that are linked to it call it.
                "name": min(each["Names"], key=lambda name: name.count("/")).removeprefix("/"),
                "state": each["State"],
                "project": labels.get("com.docker.compose.project", ""),
                "status": each["Status"],
                "service": labels.get("com.docker.compose.service", ""),
            }
            found.setdefault(labels.get(release, ""), []).append(container)
        return found

    def container(self, name: str) -> dict[str, Any]:
        """What Docker has of a container, as its API has it; nothing where there is none."""
        found: dict[str, Any] = ask(f"/containers/{urllib.parse.quote(name)}/json") or {}
        return found

    def ended(self, containers: Iterable[Mapping[str, str]], least: int, states: Collection[str] = ("restarting",)) -> dict[str, int]:
        """Which of these containers, in these states, were started again, by their names, and how often each has ended: ``least`` times at least."""
        counts = {each["name"]: int(self.container(each["name"]).get("RestartCount", 0)) for each in containers if each["state"] in states}
        return {name: count for name, count in counts.items() if count >= least}

    def architectures(self, images: Sequence[str]) -> dict[str, str] | None:
        """For which architecture each of these images is; None where one of them is not there."""
        found = {image: ask(f"/images/{urllib.parse.quote(image, safe='/:@')}/json") for image in images}
        return None if None in found.values() else {image: str(each.get("Architecture") or "") for image, each in found.items()}

    def architecture_problem(self, images: Mapping[str, str]) -> str:
        """Which image is for another architecture than this machine's, or the empty string. ``images``: see :meth:`architectures`."""
        kernel = os.uname().machine
        machine = _ARCHITECTURES.get(kernel) or self.check("docker version", "version", "--format", "{{.Server.Arch}}").strip()
        for image, theirs in images.items():
            if theirs and theirs != machine:
                return f"{image} is for {theirs}, and this machine is {machine}; build it for linux/{machine}"
        return ""
