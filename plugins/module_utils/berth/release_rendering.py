# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a Compose project to a release of it, for machines that Berth keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import accessories, accessory_model, compose, compose_file, release_files, release_model, secret_texts, standing, topology, written
from .problems import listed
from .release import repository_of
from .selection import Options, select
from .variables import summary


def render(params: Mapping[str, Any], project: compose.Project, run: compose.Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """The release's Compose model, and what is told of it: what the module compose_release_file returns, and ``warnings``.

    ``params``: that module's parameters. Raises :class:`BerthError` for what no release can be made of.
    """
    options = Options(
        images=params["images"],
        connections=params["connections"],
        keep=tuple(params["keep"]),
        exclude=tuple(params["exclude"]),
        front_door=params["front_door"],
        environment=params["environment"],
        # A front door that is open to the developers' own machine alone is opened, through the edge.
        front_port=80,
    )
    project = project._replace(repository=repository_of(project.directory, run))
    texts = secret_texts.read_texts(project, run, params["env_files"] or ())
    selection = select(project, options, literal=True, texts=texts.found)
    model = compose_file.production(project, selection, delivered=True)
    model = release_files.bring(model, project, selection, texts)
    door = selection.front_door
    behind = selection.services.get(door or "") or {}
    port = release_model.door_port(behind) if door else None
    kept = accessories.kept(selection.services, selection.images, params["accessories"], door)
    model = accessory_model.without_additions(accessories.with_volumes(model, kept), kept, project.services, params["environment"])
    ports = accessories.ports(selection.services, kept)
    if params["accessories_address"]:
        accessories.check_ports(ports)
    once = standing.once_for_all(model["services"])
    elsewhere = set(project.services) - set(selection.services) | set(kept if params["accessories_address"] else ())
    model, lost = release_model.beside(
        params["app"],
        model,
        door,
        trust=params["trust"],
        on_machine=params["on_machine"],
        hosts=selection.hosts,
        accessories=kept,
        led_out=topology.neighbours(project.services, elsewhere) & set(selection.services) - set(kept),
    )
    with_accessories = model["services"]
    model = accessory_model.part(params["app"], model, kept, ports, params["accessories_address"])
    lost += accessories.remarks(kept, with_accessories)
    lost += written.scattered(model, params["machines"])
    open_to = [each for each, service in selection.services.items() if topology.published(service, loopback=True)]
    if not door and open_to:
        lost.append(
            f"visitors are led nowhere: {listed(open_to)} publish ports, and none is clearly the front door; name it (app_front_door)"
        )
    name = release_model.identifier(params["release"], model)
    told = {
        "release": name,
        "front_door": door,
        "port": port,
        "health_path": topology.health_path(behind) or "/",
        "bound_summary": summary(selection.bound),
        "unbound": selection.unbound,
        "once": sorted(once),
        "accessories": sorted(kept),
        "volumes": sorted(written.written(model)),
        "images": sorted(set(selection.images.values())),
        "warnings": list(dict.fromkeys([*project.warnings, *selection.notes.warnings, *lost])),
    }
    return release_model.named(model, params["app"], name), told
