# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app's releases on a machine: their containers, the edge that leads visitors to one of them, and what is noted of them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import draining, registries, release_model, standing, written
from .accessories_kept import Accessories
from .edge import Edge
from .ending import Endings
from .machine_docker import Docker, Run
from .problems import listed
from .writing import write

_ROOT = Path("/srv/berth")
_LOOK_SECONDS = 0.2
_QUIET_LOOKS = 10
# How long the containers of a release may take to stop, once nothing is in flight.
_STOP_SECONDS = 120
# How visitors are led to a release and what one machine runs for all, noted beside its Compose file.
_DOOR = "door.json"
_STOPPED = ("exited", "dead", "created")


def read(path: Path) -> dict[str, Any]:
    """What a file of JSON holds; nothing where there is none, or half of one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Machine:
    """An app on this machine. ``params``: the parameters of the module compose_release; ``run``: ``AnsibleModule.run_command``."""

    def __init__(self, params: Mapping[str, Any], run: Run) -> None:
        self.params = dict(params)
        self.docker = Docker(run)
        self.run = run
        self.folder: Path = _ROOT / str(params["app"])
        self.edge = Edge(self.params, run)
        self.endings = Endings(self.folder / "ending")
        self.accessories = Accessories(str(params["app"]), self.folder / "accessories", self.docker)

    def found(self) -> dict[str, list[dict[str, Any]]]:
        """Every release that has containers here."""
        return self.docker.projects(release_model.APP_LABEL, self.params["app"], release_model.RELEASE_LABEL)

    def current(self) -> dict[str, str]:
        """What serves (``release``), what served before (``before``), and what a rollback left (``after``); what there is of it."""
        return {key: str(value) for key, value in read(self.folder / "current.json").items()}

    def serving(self) -> str:
        """The release that was last brought into service, or the empty string."""
        return self.current().get("release", "")

    def standing_by(self) -> set[str]:
        """The releases whose containers are kept when they have stopped: a rollback starts them again, and what they said can be read until then."""
        noted = self.current()
        return {noted[each] for each in ("before", "after") if noted.get(each)}

    def active(self, found: Mapping[str, list[dict[str, Any]]]) -> set[str]:
        """Which of the releases that were ``found`` are more than such stopped containers."""
        standing_by = self.standing_by()
        return {each for each, mine in found.items() if each not in standing_by or any(one["state"] not in _STOPPED for one in mine)}

    def serves(self, **noted: str) -> None:
        """Note which release serves now."""
        write(self.folder / "current.json", json.dumps(noted))

    def door_file(self, release: str) -> Path:
        """Where it is noted how visitors are led to a release, and what one machine runs for all of them."""
        return self.file(release).with_name(_DOOR)

    def kept(self) -> list[str]:
        """The releases that could be started again without a registry, the newest first."""
        places = list((self.folder / "releases").glob(f"*/{_DOOR}"))
        return [each.parent.name for each in sorted(places, key=lambda each: each.stat().st_mtime, reverse=True)]

    def take_up(self, release: str) -> None:
        """Let a release that is kept be the wanted one. Nothing is run again that all machines share, such as an old migration on newer tables."""
        self.params |= read(self.door_file(release))
        self.params |= {"release": release, "definition": self.file(release).read_text(encoding="utf-8"), "once_elsewhere": True}

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

    def services(self, release: str) -> dict[str, dict[str, Any]]:
        """The services of a release's Compose file."""
        return read(self.file(release)).get("services") or {}

    def accessories_file(self, release: str) -> Path:
        """Where it is noted which accessories a release has."""
        return self.file(release).with_name("accessories.json")

    def wanted_accessories(self, release: str) -> dict[str, Any]:
        """What a release's model has of accessories (see ``accessory_model.part``)."""
        return read(self.accessories_file(release))

    def is_up(self, release: str, found: dict[str, list[dict[str, Any]]]) -> bool:
        """Whether each service of a release has a container that runs, or has run to its end, and none is unhealthy."""
        services = self.services(release)
        return bool(services) and standing.look(services, found.get(release, [])) == ({}, {})

    def told(self, release: str, found: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """A release's containers, and which of them run to an end."""
        once = standing.one_shots(self.services(release)) | set(read(self.door_file(release)).get("once") or [])
        return [{**each, "once": each["service"] in once} for each in found.get(release, [])]

    @property
    def upstream(self) -> str:
        """Where the wanted release's front door answers to the edge."""
        return f"{self.project(self.params['release'])}:{self.params['port']}"

    def leads(self) -> bool:
        """Whether the edge leads to the wanted release."""
        return not self.params["front_door"] or self.edge.leads(self.upstream)

    def fetch(self) -> None:
        """Pull the images, so that the release starts at once when its turn comes."""
        with registries.signed_in(self.params["auths"]) as environment:
            docker = Docker(self.run, environment)
            for image in [*self.params["images"], self.params["edge_image"]]:
                if docker("image", "inspect", image)[0] != 0:
                    docker.check(f"{image} cannot be pulled", "pull", "--quiet", image)

    def make_way(self) -> bool:
        """Have nothing end any more, since a machine has room for two releases; the wanted one goes on if it was about to end.

        Returns whether anything was ending.
        """
        noted = self.endings.noted()
        self.endings.recall(self.params["release"], _STOP_SECONDS)
        self.all_ended()
        return noted

    def all_ended(self) -> None:
        """Return when nothing is ending any more."""
        self.endings.wait(self.params["drain"] + _STOP_SECONDS)

    def volumes(self) -> list[str]:
        """The named volumes, and folders of the machine, that hold what this app keeps here."""
        return sorted(written.called(read(self.file(self.serving()))) | written.called(self.accessories.model()))

    def joining(self, release: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """How accessories join a release: its project, which of them join which network by which names, and the networks of its model."""
        return self.project(release), self.wanted_accessories(release).get("joins") or {}, read(self.file(release)).get("networks") or {}

    def keep_up(self) -> None:
        """Let what comes back after a restart of the machine be as the wanted release says: for containers of it that ended, or were about to.

        Those that ended by themselves, and wait ever longer to be started again, are started now, and counted anew: what they lacked may be there.
        """
        release = self.params["release"]
        services = self.services(release)
        named: dict[str, list[str]] = {}
        mine = [each for each in self.found().get(release, []) if each["service"] in services]
        for each in mine:
            named.setdefault(services[each["service"]].get("restart") or "no", []).append(each["name"])
        for policy, names in named.items():
            self.docker.check(f"{listed(names)} cannot be kept up", "update", "--restart", policy, *names)
        if ended := [each["name"] for each in mine if each["state"] == "restarting"]:
            self.docker.check(f"{listed(ended)} cannot be started again", "restart", *ended)

    def end(self, release: str) -> None:
        """Stop a release once nothing is in flight to it, and forget what nobody will go back to, beside what is done next."""

        def ends(wanted: Callable[[], bool]) -> None:
            mine = self.found().get(release, [])
            # A restart of the machine, then or later, brings back what serves alone.
            self.docker("update", "--restart", "no", *(each["name"] for each in mine))
            running = [each["name"] for each in mine if each["state"] == "running"]
            if self.params["front_door"] and running:
                self.drain(running, wanted)
            if wanted():
                (self.halt if release in self.standing_by() else self.stop)(release)
                self.forget()

        self.endings.begin(release, ends)

    def drain(self, names: list[str], wanted: Callable[[], bool]) -> None:
        """Wait until the edge speaks to these containers no more: requests that began there end there, for as long as they may."""
        _code, out, _err = self.docker("inspect", "--format", "{{.State.Pid}}", release_model.EDGE_NETWORK)
        shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}"
        addresses = set(self.docker("inspect", "--format", shown, *names)[1].split()) if names else set()
        end, quiet = time.monotonic() + self.params["drain"], 0
        # For two seconds, since a request may be between the edge's door and the release's, and a machine may be short of processors.
        while quiet < _QUIET_LOOKS and time.monotonic() < end and wanted():
            tables = [Path(f"/proc/{out.strip()}/net/{name}") for name in ("tcp", "tcp6")]
            speaks = addresses & {peer for table in tables if table.is_file() for peer in draining.peers(table.read_text())}
            quiet = 0 if speaks else quiet + 1
            time.sleep(_LOOK_SECONDS)

    def halt(self, release: str) -> None:
        """Stop a release's containers, and keep them."""
        self.docker.check(f"Release {release} cannot be stopped", *self.compose(release, "stop"))

    def stop(self, release: str) -> None:
        """Stop and remove a release's containers. Their named volumes stay, since the next release has them."""
        if self.wanted_accessories(release):
            # Until they have stopped they may need them.
            self.docker(*self.compose(release, "stop"))
            self.accessories.leave(*self.joining(release))
        mounts = [volume for service in self.services(release).values() for volume in service.get("volumes") or []]
        if any(each["type"] == "volume" and not each.get("source") for each in mounts):
            # They are filled from the image, anew for each release.
            self.docker(*self.compose(release, "rm", "--force", "--stop", "--volumes"))
        self.docker.check(f"Release {release} cannot be stopped", *self.compose(release, "down", "--remove-orphans"))

    def forget(self) -> None:
        """Remove the files and images of releases that nobody will go back to."""
        folders = [each for each in (self.folder / "releases").iterdir() if each.is_dir()] if (self.folder / "releases").is_dir() else []
        folders.sort(key=lambda each: each.stat().st_mtime, reverse=True)
        # What served before is kept however old it is: a rollback goes there. What is ending has its images in use.
        release, standing_by = self.params["release"], self.standing_by()
        folders.sort(key=lambda each: (each.name != release, each.name not in standing_by))
        ending = self.endings.under_way()
        held = [each for place, each in enumerate(folders) if place <= self.params["keep"] or each.name in ending]
        images = {image for each in [*held, self.accessories.folder] for image in images_of(each)}
        for each in folders:
            if each not in held:
                for image in images_of(each) - images:
                    self.docker("image", "rm", image)
                shutil.rmtree(each, ignore_errors=True)

    def forget_others(self, release: str) -> None:
        """Remove the files and images of every release but this one, which serves."""
        self.params |= {"release": release, "keep": 0}
        self.all_ended()
        self.serves(release=release)
        for each in set(self.found()) - {release}:
            self.stop(each)
        self.forget()

    def remove(self, *, volumes_too: bool) -> None:
        """Take the app away."""
        for each in self.endings.under_way():
            self.endings.recall(each, _STOP_SECONDS)
        for each in self.found():
            self.stop(each)
        self.accessories.remove()
        if volumes_too:
            _code, out, _err = self.docker("volume", "ls", "--quiet", "--filter", f"name=^{self.params['app']}_")
            for name in out.split():
                self.docker.check(f"Volume {name}", "volume", "rm", name)
        self.edge.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def images_of(folder: Path) -> set[str]:
    """The images that a release runs."""
    return {str(each["image"]) for each in read(folder / "compose.json").get("services", {}).values()}
