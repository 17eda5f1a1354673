# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accessories: services such as MySQL or RabbitMQ, which keep data that there is once, and stay while releases come and go. Pure.

Two of them cannot have one volume: the second finds it locked, or, as Postgres in containers, spoils it. So they are no part of a release: see
:mod:`accessory_model`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .images import basename, engine_of
from .keepers import KEEPERS, PORTS, keeper
from .problems import BerthError, listed
from .standing import one_shots
from .topology import check_names

# How a command says where data is: Typesense's, Prometheus' and MongoDB's options, and MinIO's words.
_TOLD = re.compile(r"(?:--?data-?dir|--storage\.tsdb\.path|--dbpath|(?:^|\s)server)[ =](/\S+)")


def kept(services: Mapping[str, Mapping[str, Any]], images: Mapping[str, str], named: Iterable[str], door: str | None) -> dict[str, str]:
    """The services that are accessories: name to what runs in it, such as ``mysql``.

    ``services``: those that stay containers, as ``docker compose config`` has them; ``images``: theirs; ``named``: those that are accessories
    whatever their image. The front ``door``, what runs to an end and what shares another container's network or volumes are none.
    """
    named = list(named)
    check_names("accessories", named, services)
    once = one_shots(services)
    found = {}
    for name, service in services.items():
        what = keeper(service, images[name]) or (basename(images[name]) if name in named else "")
        if not what:
            continue
        reason = _bound_to(name, services, door, once)
        if not reason:
            found[name] = what
        elif name in named:
            raise BerthError(f"app_accessories: {name} {reason}, so it comes and goes with each release; take it out of there")
    return found


def _bound_to(name: str, services: Mapping[str, Mapping[str, Any]], door: str | None, once: Collection[str]) -> str:
    """Why a service has to be a part of each release; the empty string where it need not."""
    if name == door:
        return "is where visitors are led to"
    if name in once:
        return "runs to an end"
    for one, other in ((name, None), *((each, name) for each in services if each != name)):
        service = services[one]
        shares = [str(service.get(key) or "") for key in ("network_mode", "pid", "ipc")]
        shares = [each.split(":")[1] for each in shares if each.startswith(("service:", "container:"))]
        shares += [str(each).split(":")[0] for each in service.get("volumes_from") or []]
        if shares and (other is None or other in shares):
            return "shares what another container has"
    return ""


def ports(services: Mapping[str, Mapping[str, Any]], found: Mapping[str, str]) -> dict[str, list[int]]:
    """The TCP ports at which accessories answer: those that their services name, and what their kind is known for. ``found``: see :func:`kept`."""
    result = {}
    for name, what in found.items():
        named = [str(port["target"]) for port in services[name].get("ports") or [] if (port.get("protocol") or "tcp") == "tcp"]
        named += [str(each).removesuffix("/tcp") for each in services[name].get("expose") or []]
        result[name] = sorted({int(each) for each in named if each.isdigit()} | PORTS.get(what, frozenset()))
    return result


def check_ports(found: Mapping[str, list[int]]) -> None:
    """Raise :class:`BerthError` where several machines could not tell two accessories from one another. ``found``: see :func:`ports`."""
    owners: dict[int, list[str]] = {}
    for name, numbers in found.items():
        if not numbers:
            raise BerthError(
                f"services.{name} keeps data, and the other app machines have to find it: say at which ports it answers, with expose: [PORT] in the Compose file"
            )
        for number in numbers:
            owners.setdefault(number, []).append(name)
    for number, names in sorted(owners.items()):
        if len(names) > 1:
            raise BerthError(
                f"services {listed(names)} keep data, and answer at port {number}, of which the machine that keeps them has one for the other app machines: "
                "let all but one answer at another port, or use one app machine"
            )


def with_volumes(model: dict[str, Any], found: Mapping[str, str]) -> dict[str, Any]:
    """The model, in which each accessory whose data would be in its container alone has a named volume for it. ``found``: see :func:`kept`."""
    services, volumes = dict(model["services"]), dict(model.get("volumes") or {})
    for name, what in found.items():
        service = services[name]
        folder = _folder(what, service)
        mounted = [str(each["target"]).rstrip("/") for each in service.get("volumes") or []]
        if not folder or "PGDATA" in (service.get("environment") or {}) or any(_touch(each, folder) for each in mounted):
            continue
        services[name] = {
            **service,
            "volumes": [*(service.get("volumes") or []), {"type": "volume", "source": f"data-{name}", "target": folder}],
        }
        volumes[f"data-{name}"] = {}
    return {**model, "services": services, **({"volumes": volumes} if volumes else {})}


def _folder(what: str, service: Mapping[str, Any]) -> str:
    told = _TOLD.search(" ".join(str(word) for word in service.get("command") or []))
    if told:
        return told[1]
    image = str(service["image"])
    if re.search(r"(^|/)bitnami\w*/", image):
        return f"/bitnami/{what}"
    engine = engine_of(image)
    if engine and engine.name == "postgres":
        major = (engine.version or "18").split(".")[0]
        return "/var/lib/postgresql/data" if int(major) < 18 else "/var/lib/postgresql"
    return KEEPERS.get(what, "")


def _touch(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _lasts(service: Mapping[str, Any]) -> bool:
    """Whether anything that a service writes is there after its container."""
    volumes = [each for each in service.get("volumes") or [] if not each.get("read_only")]
    return any(each["type"] == "bind" or (each["type"] == "volume" and each.get("source")) for each in volumes)


def _called(name: str, what: str) -> str:
    return name if name == what else f"{name} ({what})"


def on_instances(services: Mapping[str, Mapping[str, Any]], images: Mapping[str, str], door: str | None) -> list[str]:
    """What is told of services that keep data where Beanstalk may replace an instance at any time. The parameters are those of :func:`kept`."""
    said = []
    for name, what in kept(services, images, (), door).items():
        where = "on each instance, where it ends with the instance"
        if not _lasts(services[name]):
            where = "in its container alone, where it ends with the next deployment"
        said.append(
            f"{_called(name, what)} keeps data {where}; let a managed service keep it: leave {name} out (exclude), and lead the app there"
        )
    return said


def remarks(found: Mapping[str, str], services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is told of accessories. ``services``: of the model that has volumes for them."""
    if not found:
        return []
    shown = listed(_called(name, what) for name, what in found.items())
    many = len(found) > 1
    bare = [
        f"{name}: what it keeps is in its container alone, and ends when it begins anew; give it a volume in the Compose file"
        for name in found
        if not _lasts(services[name])
    ]
    return [
        f"{shown} {'keep' if many else 'keeps'} data, so {'they run' if many else 'it runs'} on over all releases; "
        f"{'their' if many else 'its'} volumes are backed up where backup_bucket is set",
        *bare,
    ]
