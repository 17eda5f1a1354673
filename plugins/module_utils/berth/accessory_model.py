# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release's Compose model has of its accessories (see :mod:`accessories`), and what is left of it for the release itself. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .bound_files import KINDS
from .brought_files import KEY as FILES
from .release_model import ACCESSORIES, ACCESSORY_LABEL, APP_LABEL, FILES_LABEL, RELEASE_LABEL, digest

_STOP_SECONDS = "1m0s"


def part(app: str, model: Mapping[str, Any], names: Collection[str], ports: Mapping[str, list[int]], address: str = "") -> dict[str, Any]:
    """A release's model without the accessories called ``names``, and under :data:`ACCESSORIES` what they are.

    There: services, volumes, secrets, configs and files as in a model; ``joins``, service to network of the release to the names
    by which the release's containers find it there; and ``address``, at which other machines find their ``ports``, service to those, where
    it is given.
    """
    if not names:
        return dict(model)
    services = {name: dict(service) for name, service in model["services"].items() if name not in names}
    theirs = {name: dict(model["services"][name]) for name in sorted(names)}
    there = {network for service in services.values() for network in service.get("networks") or {}}
    joins: dict[str, Any] = {}
    for name, service in theirs.items():
        networks = sorted((service.pop("networks", None) or {}).items())
        joins[name] = {network: [name, *((how or {}).get("aliases") or [])] for network, how in networks if network in there}
        links = [str(each) for each in service.pop("links", None) or [] if str(each).split(":")[0] in theirs]
        if links:
            service["links"] = links
        service["labels"] = {key: text for key, text in service["labels"].items() if key not in (APP_LABEL, RELEASE_LABEL)}
        files = _with_needs(model, {name: service}).get(FILES)
        # Another content of what is mounted is not read unless it begins anew.
        service["labels"] |= {ACCESSORY_LABEL: app, **({FILES_LABEL: digest(files)} if files else {})}
        waits = {other: how for other, how in (service.pop("depends_on", None) or {}).items() if other in theirs}
        if waits:
            service["depends_on"] = waits
        if not service.get("network_mode"):
            # RabbitMQ and its like keep what they have under the name of their host.
            service.setdefault("hostname", name)
        service.setdefault("stop_grace_period", _STOP_SECONDS)
        # Also after a restart of the machine, which ends it well.
        service["restart"] = "always" if service.get("restart") == "always" else "unless-stopped"
        if address:
            service["ports"] = [_open(number, address) for number in ports.get(name, [])]
        service["deploy"] = {key: how for key, how in (service.get("deploy") or {}).items() if key != "restart_policy"}
    for service in services.values():
        _let_go(service, joins)
    taken = _with_needs(model, theirs)
    taken |= {"joins": joins, "address": address}
    return {**_with_needs(model, services), ACCESSORIES: taken}


def _open(number: int, address: str) -> dict[str, Any]:
    return {"mode": "ingress", "target": number, "published": str(number), "protocol": "tcp", "host_ip": address}


def _let_go(service: dict[str, Any], joins: Mapping[str, Mapping[str, list[str]]]) -> None:
    """Let a service of the release neither wait for accessories nor be linked with them: they are there before it, under all their names.

    A link's other name stays the service's own (``external_links``): two may call two of them alike, as ``postgres``.
    """
    if "depends_on" in service:
        service["depends_on"] = {other: how for other, how in service["depends_on"].items() if other not in joins}
    links = [str(each) for each in service.get("links") or []]
    let_go = [each for each in links if each.split(":")[0] in joins]
    if let_go:
        service["links"] = [each for each in links if each not in let_go]
    if own := [each for each in let_go if ":" in each]:
        service["external_links"] = own


def _with_needs(model: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The model with some of its services alone, and what these need of its volumes, secrets, configs, networks and files."""
    result = {key: value for key, value in model.items() if key not in ("volumes", "networks", *KINDS, FILES)}
    result["services"] = services
    networks = {network for service in services.values() for network in service.get("networks") or {}}
    volumes = [volume for service in services.values() for volume in service.get("volumes") or []]
    wanted = {"networks": networks, "volumes": {volume.get("source") for volume in volumes if volume["type"] == "volume"}}
    for kind in KINDS:
        wanted[kind] = {entry["source"] for service in services.values() for entry in service.get(kind) or []}
    places = [volume["source"].removeprefix("./") for volume in volumes if volume["type"] == "bind"]
    for kind, names in wanted.items():
        declared = {name: how for name, how in (model.get(kind) or {}).items() if name in names}
        if declared:
            result[kind] = declared
        if kind in KINDS:
            places += [str(each.get("file") or "").removeprefix("./") for each in declared.values()]
    given = (model.get(FILES) or {}).items()
    files = {path: entry for path, entry in given if any(path == each or path.startswith(f"{each}/") for each in places)}
    if files:
        result[FILES] = files
    return result


def without_additions(
    model: dict[str, Any], names: Collection[str], services: Mapping[str, Mapping[str, Any]], additions: Mapping[str, Any]
) -> dict[str, Any]:
    """The model, in which accessories have no variable that is added for all services, and that they do not name: they would begin anew with it.

    ``services``: as the Compose file has them; ``additions``: variable to text, or service to such a table.
    """
    result = dict(model["services"])
    for name in names:
        own = {**(services[name].get("environment") or {}), **(additions[name] if isinstance(additions.get(name), Mapping) else {})}
        environment = {key: text for key, text in (result[name].get("environment") or {}).items() if key in own or key not in additions}
        result[name] = {
            **{key: how for key, how in result[name].items() if key != "environment"},
            **({"environment": environment} if environment else {}),
        }
    return {**model, "services": result}
