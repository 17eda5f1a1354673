# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a release's accessories come up before it does, on the machine that keeps them, and how its containers find them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import release_model
from .writing import write

if TYPE_CHECKING:
    from .release_machine import Machine


def accompany(machine: Machine, model: dict[str, Any]) -> dict[str, Any]:
    """Let the wanted release's accessories run, where this machine keeps them. Returns the release's ``model`` without them.

    Raises :class:`BerthError` where they do not come up; they run as before then.
    """
    release, serving = machine.params["release"], machine.serving()
    given = model.pop(release_model.ACCESSORIES, None)
    if not machine.params.get("accessories_here", True):
        return release_model.led(model, given or {})
    if given:
        write(machine.accessories_file(release), json.dumps(given))
    wanted = machine.wanted_accessories(release)
    services = wanted.get("services") or {}
    if services and machine.docker("image", "inspect", *sorted({str(each["image"]) for each in services.values()}))[0] != 0:
        machine.fetch()
    held = machine.wanted_accessories(serving).get("services") or {} if serving != release else {}
    releases = machine.found() if services or held else {}
    # Of a release that had them as services of its own.
    rivals = [each["name"] for mine in releases.values() for each in mine if each["service"] in services and each["state"] == "running"]
    back = machine.params.get("state") == "back"
    try:
        machine.accessories.bring(wanted, held, rivals, back=back, seconds=machine.params["wait_timeout"])
    finally:
        # What was made anew, or as it was before, is found by those that run.
        for each in releases:
            machine.accessories.join(*machine.joining(each))
    return model


def let_find(machine: Machine) -> None:
    """Let the containers of the wanted release, which have not been started yet, find its accessories."""
    release = machine.params["release"]
    if machine.wanted_accessories(release):
        machine.docker.check("The release's networks cannot be made", *machine.compose(release, "create", "--no-build"))
        machine.accessories.join(*machine.joining(release))


def is_accompanied(machine: Machine, release: str) -> bool:
    """Whether all accessories are well, and the containers of a release find its own."""
    return not machine.accessories.problem() and not machine.accessories.missing(*machine.joining(release))
