# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be said of a deployment before there is anything: it is rendered as if its images were built and its stores were there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from . import compose, dockerrun_rendering, release_rendering, source_bundle
from .databases import beside
from .release import repository_of
from .selection import Options
from .topology import backing_of, backing_services

# In its place: no store has it, so nothing is led there by mistake. https://www.rfc-editor.org/rfc/rfc2606#section-2
_HOST = "{slot}.invalid"
_SECRET = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:foreseen"
_ENGINES = {"postgres": {"postgres"}, "redis": {"redis", "valkey"}}


def foreseen(params: Mapping[str, Any], project: compose.Project, run: compose.Run) -> dict[str, Any]:
    """What the module compose_app_check returns: ``unbound`` and ``accessories``.

    ``params``: that module's parameters. Raises :class:`BerthError` for what cannot be deployed.
    """
    services = project.services
    beanstalk = params["home"] == "beanstalk"
    found = {name: engine.name if engine else "" for name, engine in backing_services(services, params["images"], ()).items()}
    leave = {name: engine for name, engine in found.items() if name not in {*params["keep"], *params["exclude"]}}
    asked = beside(services, [name for name in services if name not in found], backing_of(services, found))
    databases = params["databases"] or sorted({name for names in asked.values() for name in names})
    wanted = set(params["stores"] or found.values())
    connections = {slot: _connection(slot, databases, refers=beanstalk) for slot in params["slots"] if _ENGINES[slot] & wanted}
    built = {name: f"foreseen/{name}:1" for name, each in services.items() if each.get("build") and name not in leave}
    images = {**built, **params["images"]}
    if beanstalk:
        options = Options(
            images=images,
            connections=connections,
            keep=tuple(params["keep"]),
            exclude=tuple(params["exclude"]),
            front_port=80,
            front_door=params["front_door"],
            environment=params["environment"],
            delivered=True,
            text_secret=_SECRET,
        )
        project = project._replace(repository=repository_of(project.directory, run))
        _texts, selection, _apart = dockerrun_rendering.render(project, options, "2", hoisted=True)
        # Raises where one is not there.
        for _path in source_bundle.files(project.directory, selection.notes.bundled):
            pass
        return {"unbound": selection.unbound, "accessories": []}
    keys = ("keep", "exclude", "front_door", "environment", "accessories", "machines", "env_files")
    given = {"app": "foreseen", "release": "foreseen", "images": images, "connections": connections, "trust": [], "on_machine": []}
    # Of several machines one keeps accessories for the others.
    given["accessories_address"] = "192.0.2.1" if params["machines"] > 1 else ""
    _model, told = release_rendering.render({**{key: params[key] for key in keys}, **given}, project, run)
    return {"unbound": told["unbound"], "accessories": told["accessories"]}


def _connection(slot: str, databases: Iterable[str], *, refers: bool) -> dict[str, Any]:
    """A connection that leaves nothing to be wished. ``refers``: its password is one that is referred to."""
    found: dict[str, Any] = {"engine": slot, "host": _HOST.format(slot=slot), "tls": True}
    if slot == "postgres":
        found |= {"database": "foreseen", "username": "foreseen", "databases": list(databases)}
    return found | ({"password_ref": _SECRET, "url_ref": _SECRET} if refers else {"password": "foreseen"})
