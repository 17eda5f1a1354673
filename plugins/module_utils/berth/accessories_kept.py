# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's accessories on a machine: a Compose project beside its releases, whose containers join each release's networks.

They begin before the first release that has them, are made anew where a release says something else of them, and end with the deploy after
the last release that has them. Their volumes are the app's, and stay.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import brought_files, standing
from .machine_docker import Docker, reason
from .problems import BerthError
from .release_model import ACCESSORY_LABEL, RELEASE_LABEL, digest, project_name
from .writing import write

_LOOK_SECONDS = 0.2
# Docker waits ever longer in between: some three seconds have passed by then.
_MOST_RESTARTS = 5
# A server that refuses its settings or its data says so within that, also on a busy machine. A release's containers are believed sooner: its
# front door is asked itself, and they take no data with them.
_SETTLE_SECONDS = 5
_STOP_SECONDS = "60"
# Published ports lead to a container by its first network, by name, so the one that stays comes before those of releases: else the connections of
# other machines break whenever a release comes or goes. https://docs.docker.com/engine/network/#connecting-to-multiple-networks
_FIRST = "0-berth-accessories-"
# What services need of a Compose model beside themselves.
_NEEDED = ("volumes", "secrets", "configs")


class Accessories:
    """Those of an app on this machine. ``folder``: where their Compose file lies; ``docker``: the machine's."""

    def __init__(self, app: str, folder: Path, docker: Docker) -> None:
        self._app, self._docker, self.folder = app, docker, folder
        self._project = project_name(app, "accessories")
        self._file = folder / "compose.json"
        # A digest of that when it had come up: a run that is killed in between leaves it behind.
        self._up = folder / "up"

    def model(self) -> dict[str, Any]:
        """Their Compose model; nothing where there are none."""
        return json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}

    def found(self) -> list[dict[str, Any]]:
        """Their containers: name, service, state, status."""
        if not self._file.is_file():
            return []
        return [each for found in self._docker.projects(ACCESSORY_LABEL, self._app, RELEASE_LABEL).values() for each in found]

    def problem(self) -> str:
        """Which of them is not well, and why; the empty string where all are."""
        if not self._file.is_file():
            return ""
        return _told(*standing.look(self.model().get("services") or {}, self.found()))

    def bring(self, wanted: Mapping[str, Any], held: Iterable[str], rivals: Iterable[str], *, back: bool, seconds: int) -> None:
        """Let those that a release wants run. Raises :class:`BerthError`; then they run as they did before, where they can.

        ``wanted``: what the release's model has of them; ``held``: those of the release that serves, which stay. ``rivals``: containers that
        have the same volumes, which are stopped first. ``back``: those that run stay as they are.
        """
        before = self.model()
        model = merged(before, wanted, held, back=back)
        if not model.get("services"):
            if before:
                self.remove()
            return
        model["networks"] = {"default": {"name": f"{_FIRST}{self._app}"}}
        self._same_images(model)
        if self._is_up(model) and not self.problem():
            return
        stopped = list(rivals)
        if stopped:
            self._docker.check("docker stop", "stop", "-t", _STOP_SECONDS, *stopped)
        try:
            self._run(model, seconds)
        except BerthError as problem:
            if before and before != model:
                self._place(before)
                self._docker(*self._compose("up", "--detach", "--no-build"))
                write(self._up, digest(before))
            if stopped:
                self._docker("start", *stopped)
            raise BerthError(f"an accessory, which keeps data over all releases, does not come up: {problem}") from None

    def _run(self, model: Mapping[str, Any], seconds: int) -> None:
        self._place(model)
        code, out, err = self._docker(*self._compose("up", "--detach", "--no-build", "--remove-orphans"))
        if code != 0:
            raise BerthError(reason(out, err))
        end = time.monotonic() + seconds
        while True:
            found = self.found()
            waiting, failed = standing.look(model["services"], found, settle=_SETTLE_SECONDS)
            if not waiting and not failed:
                break
            if failed or self._docker.ended(found, _MOST_RESTARTS) or time.monotonic() > end:
                raise BerthError(self._docker.with_log(_told(waiting, failed), self._compose("logs", "--no-color"), failed or waiting))
            time.sleep(_LOOK_SECONDS)
        write(self._up, digest(model))

    def _is_up(self, model: Mapping[str, Any]) -> bool:
        return self._up.is_file() and self._up.read_text(encoding="utf-8") == digest(model)

    def _place(self, model: Mapping[str, Any]) -> None:
        brought_files.place(self.folder, model.get(brought_files.KEY) or {})
        write(self._file, json.dumps(model))

    def _same_images(self, model: dict[str, Any]) -> None:
        """An image that was built anew and came out the same is no reason to begin anew."""
        running = {each["service"]: each["name"] for each in self.found()}
        for name, service in (model.get("services") or {}).items():
            if name in running:
                shown = self._docker("inspect", "--format", "{{.Image}} {{.Config.Image}}", running[name])[1].split()
                wanted = self._docker("image", "inspect", "--format", "{{.Id}}", service["image"])[1].strip()
                if len(shown) == 2 and shown[0] == wanted:
                    service["image"] = shown[1]

    def join(self, project: str, joins: Mapping[str, Mapping[str, list[str]]], networks: Mapping[str, Any]) -> None:
        """Let a release's containers find them. ``project``: the release's; ``joins``: see ``accessory_model.part``; ``networks``: of its model."""
        for container, called, names in self.missing(project, joins, networks):
            aliases = [word for name in names for word in ("--alias", name)]
            code, out, err = self._docker("network", "connect", *aliases, called, container)
            # A release that was ending has gone meanwhile, with its networks.
            if code != 0 and not re.search(rf"network {re.escape(called)} not found", err):
                raise BerthError(f"{container} cannot join {called}: {reason(out, err)}")

    def missing(
        self, project: str, joins: Mapping[str, Mapping[str, list[str]]], networks: Mapping[str, Any]
    ) -> list[tuple[str, str, list[str]]]:
        """Of which of a release's networks which of them is no part: container, network, names. The parameters are those of :meth:`join`."""
        found = []
        for each in self.found() if joins else []:
            there = self._networks(each["name"])
            for network, names in (joins.get(each["service"]) or {}).items():
                called = real_name(project, network, networks)
                if called not in there:
                    found.append((each["name"], called, names))
        return found

    def leave(self, project: str, joins: Mapping[str, Mapping[str, list[str]]], networks: Mapping[str, Any]) -> None:
        """Leave the networks that a release takes with it."""
        for each in self.found():
            for network in joins.get(each["service"]) or {}:
                called = real_name(project, network, networks)
                if called == f"{project}_{network}":
                    self._docker("network", "disconnect", "--force", called, each["name"])

    def _networks(self, container: str) -> Mapping[str, Any]:
        found = json.loads(self._docker.check("docker inspect", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container))
        return found if isinstance(found, dict) else {}

    def remove(self) -> None:
        """Stop and remove their containers. Their volumes stay."""
        for each in self.found():
            self._docker("stop", "-t", _STOP_SECONDS, each["name"])
            self._docker.check(f"{each['name']} cannot be removed", "rm", "--force", each["name"])
        if self._file.is_file():
            self._docker.check("The accessories cannot be removed", *self._compose("down", "--remove-orphans"))
            self._file.unlink()
            self._up.unlink(missing_ok=True)

    def _compose(self, *words: str) -> tuple[str, ...]:
        named = ("--file", str(self._file), "--project-directory", str(self.folder), "--project-name", self._project)
        return ("compose", "--ansi", "never", *named, *words)


def _told(waiting: Mapping[str, str], failed: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {why}" for name, why in {**waiting, **failed}.items())


def merged(before: Mapping[str, Any], wanted: Mapping[str, Any], held: Iterable[str], *, back: bool) -> dict[str, Any]:
    """The Compose model of accessories: what is ``wanted``, and of those before what is ``held``. ``back``: those before are as they were."""
    old, new = before.get("services") or {}, wanted.get("services") or {}
    stay = {name: service for name, service in old.items() if name in held and name not in new}
    if back:
        stay |= {name: service for name, service in old.items() if name in new}
    services = {**new, **stay}
    model: dict[str, Any] = {}
    for key in (*_NEEDED, brought_files.KEY):
        found = {**(wanted.get(key) or {}), **(before.get(key) or {})} if back else {**(before.get(key) or {}), **(wanted.get(key) or {})}
        if not stay:
            found = wanted.get(key) or {}
        if found:
            model[key] = found
    return {**model, "services": services} if services else {}


def real_name(project: str, network: str, networks: Mapping[str, Any]) -> str:
    """What Docker calls a network of a Compose project. ``networks``: of its model."""
    return str((networks.get(network) or {}).get("name") or f"{project}_{network}")
