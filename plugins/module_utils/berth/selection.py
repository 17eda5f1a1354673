# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a Compose project to the services that stay containers, with their images and bound environments, whatever the format."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from . import advice, store_advice
from .bindings import Bindings, add_pgssl, bind
from .bound_files import bind_files, mounted, of_stores
from .bound_within import bind_within
from .commands import led_words, run_celery
from .compose import Project
from .composed import Composed
from .connections import Connection
from .databases import beside
from .dockerfiles import packages
from .doors import chosen_door
from .images import parse
from .keepers import keeper
from .label_proxy import told_at_start
from .notes import Notes
from .plain_http import serve_plainly, without_certificate
from .problems import BerthError, listed, refuse
from .referring import Backing, Reference
from .serving import is_template
from .store_setup import remarks
from .stores_given import connected
from .topology import backing_of, check_names, names_of
from .variables import override

# The options that the documentation fragment ``berth.selection`` describes.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "keep": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "front_door": {"type": "str"},
    "environment": {"type": "dict", "default": {}},
}
NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


class Options(NamedTuple):
    """What a rendering is asked for; the parameters of the module ``dockerrun``, which documents them."""

    images: Mapping[str, str] = {}
    connections: Mapping[str, Mapping[str, Any]] | None = None
    keep: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    default_memory: int = 128
    default_reservation: int | None = None
    execution_role_arn: str | None = None
    authentication: Mapping[str, str] | None = None
    repository_credentials: str | None = None
    front_port: int | None = None
    front_door: str | None = None
    environment: Mapping[str, Any] = {}
    awslogs: Mapping[str, str] | None = None
    delivered: bool = False
    text_secret: str | None = None


class Selection(NamedTuple):
    """The services that stay containers, in alphabetical order, each with its image and bindings, and the one visitors reach.

    ``files``: service to path in the container to content, of its secrets and configs where these were read. ``hosts``: service to each name by which
    it knew a backing service to the host where that lives now. ``trusted``: service to the certificates of who signs what stores
    show, PEM, where it is led to one of these. ``composed``: what the secret for texts with passwords in them has to hold, as :class:`composed.Composed`
    has it.
    """

    services: dict[str, dict[str, Any]]
    images: dict[str, str]
    bindings: dict[str, Bindings]
    front_door: str | None
    notes: Notes
    files: dict[str, dict[str, str]]
    hosts: dict[str, dict[str, str]]
    trusted: dict[str, str]
    composed: dict[str, dict[str, Any]]

    @property
    def bound(self) -> list[dict[str, str]]:
        """What was re-bound, over all services: {service, variable, field, backing} each."""
        return [entry for bindings in self.bindings.values() for entry in bindings.bound]

    @property
    def unbound(self) -> list[dict[str, str]]:
        """What could not be, over all services: {service, variable, backing, reason, remedy} each."""
        return [entry for bindings in self.bindings.values() for entry in bindings.unbound]


def select(project: Project, options: Options, *, literal: bool = False, texts: Mapping[str, Mapping[str, str]] | None = None) -> Selection:
    """Leave out what does not stay a container, and bind what does.

    ``literal``: plain passwords may be written (see :func:`bindings.bind`). ``texts``: what is in the secrets and configs that are carried,
    kind to name to content (see :mod:`bound_files`). Raises :class:`BerthError` for options that name what is
    not there, for unusable images and names, and where nothing is left.
    """
    services, notes = project.services, Notes()
    for told in project.advice:
        notes.advise(told)
    for option, given in (("images", options.images), ("keep", options.keep), ("exclude", options.exclude)):
        check_names(option, given, services)
    for name, image in options.images.items():
        if not isinstance(image, str) or not image:
            refuse(f"images.{name}: {image!r} is not an image reference (registry/name:tag)")
    services, engines, connections = connected(
        services, options.images, options.connections or {}, keep=options.keep, exclude=options.exclude
    )
    stays = _staying(services, engines, options.exclude, notes)
    stays = told_at_start(stays, options.keep, notes, visited=options.front_port is not None)
    # Another image stands in for what was built.
    replaced = {name for name, service in stays.items() if services.get(name, {}).get("build") and not service.get("build")}
    given = {name: image for name, image in _shared(services, options.images).items() if name not in replaced}
    images = _images(stays, given, bool(project.warnings), notes)
    stays = {name: dict(service) for name, service in stays.items() if name in images}
    if not stays:
        why = "; ".join(notes.warnings) or "all services are backing or excluded"
        if services and set(services) <= set(engines):
            why = f"it has stores alone ({listed(services)}); the app's own service has to stand beside them (build: . and ports:)"
        raise BerthError(f"{', '.join(project.files)}: no container is left to render: {why}")
    for name in stays:
        if not literal and not NAME.fullmatch(name):
            raise BerthError(
                f"services.{name}: ECS takes letters, digits, hyphens and underscores in a container's name; rename the service"
            )
    backing = backing_of(services, engines)
    for store, asked in beside({**services, **stays}, stays, backing).items():
        if store in connections:
            unkept = tuple(sorted(set(asked) - set(connections[store].databases)))
            connections[store] = connections[store]._replace(unkept=unkept)
    seen = {name: backing.seen_by(service) for name, service in stays.items()}
    composed = Composed(options.text_secret) if options.text_secret and not literal else None
    bindings, contents = _led(stays, seen, of_stores(services, backing), connections, texts or {}, composed, literal=literal)
    bindings = {name: override(each, _given(options.environment, name, services), literal=literal) for name, each in bindings.items()}
    for name, service in stays.items():
        service["environment"] = bindings[name].environment
        for key in ("command", "entrypoint"):
            if service.get(key):
                service[key] = led_words([str(word) for word in service[key]], seen[name], connections)
        advice.mentions(name, service, contents[name], seen[name], notes)
        advice.unread(name, bindings[name], seen[name], notes)
        advice.own_machine(name, service, bindings[name], notes)
        advice.as_file(name, service, backing, notes)
        store_advice.without_password(name, bindings[name], connections, notes, literal=literal)
        store_advice.without_tls(name, service, bindings[name], connections, notes)
        store_advice.without_names(name, bindings[name], connections, _all_given(options.environment), notes)
    advice.for_development(stays, bindings, notes)
    advice.express(stays, bindings, notes)
    advice.nowhere(bindings, engines.values(), any(keeper(each, images[name]) for name, each in stays.items()), notes)
    everyone = {alias for name in stays for alias in names_of(name, stays[name])}
    advice.nobody(
        stays, bindings, {name: everyone | theirs.names.keys() for name, theirs in seen.items()}, _all_given(options.environment), notes
    )
    store_advice.unled(stays, bindings, connections, _all_given(options.environment), notes)
    door = chosen_door(stays, images, options.front_door, notes, visited=options.front_port is not None)
    if options.front_port is not None:
        without_certificate(bindings, _all_given(options.environment), notes)
    if door and options.front_port is not None:
        serve_plainly(door, stays[door], images[door], bindings[door], _all_given(options.environment), notes)
    for entry in (entry for each in bindings.values() for entry in each.unbound):
        notes.advise(f"{entry['service']}: {entry['variable']} is unbound: {entry['reason']}; {entry['remedy']}")
    hosts = {
        name: {alias: connections[target].host for alias, target in theirs.names.items() if target in connections}
        for name, theirs in seen.items()
    }
    signers = {target: each.ca for target, each in connections.items() if each.ca and each.encrypted}
    trusting = [name for name, each in bindings.items() if any(entry["backing"] in signers for entry in each.bound)]
    trusted = dict.fromkeys(trusting, "".join(dict.fromkeys(signers.values())))
    texts_kept = composed.referred_to(ref for each in bindings.values() for ref in each.secrets.values()) if composed else {}
    return Selection(stays, images, bindings, door, notes, contents, hosts, trusted, texts_kept)


def _staying(services: Mapping[str, Any], engines: Mapping[str, str], exclude: Collection[str], notes: Notes) -> dict[str, Any]:
    """The services that stay containers, in alphabetical order; of the others it is noted why they do not."""
    stays = {name: service for name, service in sorted(services.items()) if name not in engines and name not in exclude}
    templates = {name for name in stays if is_template(name, stays)}
    for name in sorted(services):
        if name in engines:
            notes.leave_out(name, f"a backing service ({engines[name]}) lives outside the containers")
            notes.advice += remarks(name, services[name], "postgres" if engines[name] == "postgres" else "redis")
        elif name in exclude:
            notes.leave_out(name, "excluded")
        elif name in templates:
            notes.leave_out(name, "nothing says what it runs, and others run its image: it lends them what it says")
    return {name: service for name, service in stays.items() if name not in templates}


def _led(
    stays: Mapping[str, Any],
    seen: Mapping[str, Backing],
    stores: Mapping[tuple[str, str], Reference],
    connections: Mapping[str, Connection],
    texts: Mapping[str, Mapping[str, str]],
    composed: Composed | None,
    *,
    literal: bool,
) -> tuple[dict[str, Bindings], dict[str, dict[str, str]]]:
    """What the services are told, led to the connections: service to bindings, and to path in the container to content.

    ``seen``: the backing services as each finds them; ``stores``: what the stores' own images read from files; the others as :func:`select` has them.
    """
    bindings: dict[str, Bindings] = {}
    contents: dict[str, dict[str, str]] = {}
    celery = run_celery(stays)
    for name, service in stays.items():
        environment, brought = service.get("environment") or {}, mounted(service, texts)
        bindings[name] = bind(
            name, environment, seen[name], connections, literal=literal, files=brought, celery=name in celery, composed=composed
        )
        bind_within(name, seen[name], connections, bindings[name], literal=literal, composed=composed)
        if "postgres" in packages(service.get("build") or {}):
            add_pgssl(bindings[name])
        contents[name] = bind_files(name, environment, brought, stores, seen[name], connections, bindings[name])
    return bindings, contents


def _given(environment: Mapping[str, Any], service: str, services: Mapping[str, Any]) -> dict[str, Any]:
    """The variables that are set from outside for one service: those of all, and over them its own."""
    tables = {name: value for name, value in environment.items() if isinstance(value, Mapping)}
    check_names("environment", tables, services)
    found = {name: value for name, value in environment.items() if name not in tables} | dict(tables.get(service, {}))
    for name, value in found.items():
        if not isinstance(value, (str, int, float, bool, type(None))):
            refuse(f"environment.{name}: {type(value).__name__} is no text; give a text, or a table under a service's name")
    return found


def _all_given(environment: Mapping[str, Any]) -> set[str]:
    """The variables that are set from outside, for whichever service."""
    return {variable for name, value in environment.items() for variable in (value if isinstance(value, Mapping) else (name,))}


def _shared(services: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """The images that are given, also for services that run what another one builds, under the name that it is built as (``image:``)."""
    builders = {str(each["image"]): name for name, each in services.items() if each.get("build") and each.get("image") and name in given}
    named = {name: str(each.get("image")) for name, each in services.items() if not each.get("build")}
    return {**{name: given[builders[image]] for name, image in named.items() if image in builders}, **given}


def _images(stays: Mapping[str, Any], given: Mapping[str, str], unset: bool, notes: Notes) -> dict[str, str]:
    """``unset``: a variable of the Compose file had no value, which leaves holes such as ``/shop:`` in an image's name."""
    images = {}
    for name, service in stays.items():
        image = given.get(name) or service.get("image")
        if not image:
            notes.lose(name, None, f"it is built, and no image of it is named; give images: {{{name}: …}}")
        elif unset and name not in given and re.search(r"^[/:@]|//|[:/@]$|/:", str(image)):
            notes.lose(name, None, f"its image is {image!r} while a variable is not set; set it, or give images: {{{name}: …}}")
        elif parse(str(image)) is None:
            raise BerthError(f"services.{name}.image: {image!r} is not an image reference (registry/name:tag)")
        else:
            images[name] = str(image)
            if service.get("build") and name not in given:
                notes.advise(f"{name} is built: {image} has to be in its registry before a deployment")
    return images
