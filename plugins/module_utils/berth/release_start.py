# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a release is laid out on a machine, fetched and started, until it is healthy."""

from __future__ import annotations

import json
from pathlib import Path

from . import brought_files, registries, release_model
from .accompanied import accompany, let_find
from .fixed_addresses import of_its_own
from .machine_docker import Docker
from .problems import BerthError
from .release_machine import Machine, images_of, read
from .release_up import come_up
from .writing import write

_DOOR_KEYS = ("front_door", "port", "health_path", "images", "once")
_SYSTEM_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def start(machine: Machine, *, begun: bool) -> None:
    """Pull the wanted release, start it, and wait until it is healthy. Raises :class:`BerthError` where it does not come to that.

    ``begun``: it has containers already, which are not to come back after a restart of the machine where they ended, or were about to.
    """
    params = machine.params
    release = params["release"]
    model, before = json.loads(params["definition"]), read(machine.file(release))
    # There already where a release is taken up again.
    brought_files.place(machine.file(release).parent, model.pop(brought_files.KEY, {}))
    model = accompany(machine, model)
    if params["once_elsewhere"]:
        model = release_model.without(model, params["once"])
    model = of_its_own(machine, model, before)
    write(machine.file(release), json.dumps(model))
    write(machine.door_file(release), json.dumps({key: params[key] for key in _DOOR_KEYS}))
    if params["authorities"]:
        _trust(params["authorities"])
    problem = bring_images(machine)
    if problem:
        raise BerthError(problem)
    if params["front_door"]:
        machine.edge.network()
    let_find(machine)
    if begun:
        machine.keep_up()
    if obstacle := come_up(machine):
        raise BerthError(machine.docker.with_log(obstacle.said, machine.compose(release, "logs", "--no-color"), obstacle.services))


def bring_images(machine: Machine) -> str:
    """Have what the wanted release runs here. Returns what keeps an image from running here, or the empty string."""
    release = machine.params["release"]
    images = sorted(images_of(machine.file(release).parent))
    theirs = machine.docker.architectures(images)
    if theirs is None:
        # Compose pulls several at once, and takes twice as long as Docker's client for one.
        alone = len(images) == 1 and not any(each.get("platform") for each in machine.services(release).values())
        words = ("pull", "--quiet", *images) if alone else machine.compose(release, "pull", "--quiet", "--policy", "missing")
        with registries.signed_in(machine.params["auths"]) as environment:
            Docker(machine.run, environment).check("The images cannot be pulled", *words)
        theirs = machine.docker.architectures(images) or {}
    return machine.docker.architecture_problem(theirs)


def _trust(authorities: str) -> None:
    """Write which authorities containers trust. In place, since those that run have the file mounted."""
    path = Path(release_model.AUTHORITIES)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    own = _SYSTEM_AUTHORITIES.read_text(encoding="utf-8") if _SYSTEM_AUTHORITIES.is_file() else ""
    text = f"{own.rstrip()}\n{authorities.strip()}\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
