# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Traefik is told by files of its own, in the words in which labels tell it: https://doc.traefik.io/traefik/providers/file/."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from .dockerfiles import copied_to, read_text
from .problems import listed
from .references import read_url
from .topology import Services, names_of

# Where it looks for what it is told when it starts, unless it is told.
_STATIC = ("/etc/traefik/traefik.yml", "/etc/traefik/traefik.yaml", "/etc/traefik/traefik.toml")
_ENDINGS = (".yml", ".yaml", ".toml")


class Told(NamedTuple):
    """``settings``: what it is told when it starts, name in lower case to text; ``labels``: service to labels that say what files do; ``problems``: what
    they say that is carried nowhere, and why.
    """

    settings: dict[str, str]
    labels: dict[str, dict[str, str]]
    problems: list[tuple[str, str]]


def told_by_files(proxy: Mapping[str, Any], services: Services, settings: Mapping[str, str]) -> Told:
    """What the files of ``proxy``, one of the services, say. ``settings``: what its command and its variables say."""
    named = settings.get("configfile")
    static = next((found for path in ([named] if named else _STATIC) if (found := _read(proxy, path))), {})
    known = {**dict(_flat(static)), **settings}
    place = known.get("providers.file.filename") or known.get("providers.file.directory") or ""
    if not place:
        return Told(known, {}, [])
    documents = {path: _parsed(path) for path in _files(proxy, place)}
    unread = [(os.path.basename(path), "it cannot be read as YAML or TOML") for path, each in documents.items() if not each]
    http = [part for document in documents.values() if isinstance(part := _get(document, "http"), Mapping)]
    labels, problems = _labels(http, services)
    return Told(known, labels, unread + problems)


def leads_plain_http_on(settings: Mapping[str, str]) -> bool:
    """Whether who comes by plain HTTP is sent to HTTPS, whoever comes before it there."""
    plain = [
        name.split(".")[1]
        for name, text in settings.items()
        if name.startswith("entrypoints.") and name.endswith(".address") and text.partition("/")[0].endswith(":80")
    ]
    return any(f"entrypoints.{each}.http.redirections.entrypoint.to" in settings for each in plain)


def _labels(http: Sequence[Mapping[str, Any]], services: Services) -> tuple[dict[str, dict[str, str]], list[tuple[str, str]]]:
    owners = {alias: name for name, service in services.items() for alias in names_of(name, service)}
    labels: dict[str, dict[str, str]] = {}
    problems: list[tuple[str, str]] = []
    servers = {str(name): _servers(each) for document in http for name, each in _entries(document, "services")}
    for router, given in [each for document in http for each in _entries(document, "routers")]:
        told = {str(key).lower(): value for key, value in given.items()} if isinstance(given, Mapping) else {}
        wanted = str(told.get("service") or "").partition("@")[0]
        urls = [read_url(each) for each in servers.get(wanted, [])]
        places = {(owners.get(url.hosts[0], ""), url.port or "80", url.scheme) for url in urls if url}
        if len(places) != 1 or not urls or not all(urls) or not (place := next(iter(places)))[0] or place[2] != "http":
            where = listed(servers.get(wanted) or [wanted or "nobody"])
            problems.append((f"the router {router}", f"it leads to {where}, which is no one service of the project by plain HTTP"))
            continue
        owner, port, _scheme = place
        begin = f"traefik.http.routers.{router}"
        mine = labels.setdefault(owner, {"traefik.enable": "true"})
        mine |= {
            f"{begin}.rule": str(told.get("rule") or ""),
            f"{begin}.service": wanted,
            f"traefik.http.services.{wanted}.loadbalancer.server.port": port,
        }
        mine |= {
            f"{begin}.{key}": ",".join(map(str, told[key])) for key in ("entrypoints", "middlewares") if isinstance(told.get(key), list)
        }
        mine |= {f"{begin}.priority": str(told["priority"])} if told.get("priority") else {}
        mine |= {f"{begin}.tls": "true"} if "tls" in told else {}
    for name, options in [each for document in http for each in _entries(document, "middlewares")]:
        for mine in list(labels.values())[:1]:
            mine |= {f"traefik.http.middlewares.{name}.{option}": text for option, text in _flat(options)}
    return labels, problems


def _servers(service: Any) -> list[str]:
    balancer = _get(service, "loadbalancer") if isinstance(service, Mapping) else None
    given = _get(balancer, "servers") if isinstance(balancer, Mapping) else None
    return [str(each.get("url")) for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []


def _entries(document: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    found = _get(document, key)
    return [(str(name), each) for name, each in found.items()] if isinstance(found, Mapping) else []


def _get(document: Mapping[str, Any], key: str) -> Any:
    """An entry by its name, of which Traefik does not mind the case."""
    return next((value for name, value in document.items() if str(name).lower() == key), None)


def _flat(value: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Names with points between their parts, in lower case, and texts; the entries of a list with commas between them."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{before}.{key}".lower().strip("."))
    else:
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else str(value)
        yield before, text


def _files(proxy: Mapping[str, Any], place: str) -> list[str]:
    """The files here that a path in the container is, or that are in that folder there."""
    return [
        os.path.join(path, name) if name else path
        for path in _here(proxy, place)
        for name in (sorted(os.listdir(path)) if os.path.isdir(path) else [""])
        if (name or path).endswith(_ENDINGS)
    ]


def _here(proxy: Mapping[str, Any], place: str) -> list[str]:
    """What is here of a path in the container: what is mounted there, or else what its image copies there."""
    for volume in proxy.get("volumes") or []:
        target = str(volume.get("target")).rstrip("/")
        if volume.get("type") == "bind" and (place.rstrip("/") + "/").startswith(target + "/"):
            path = str(volume["source"]) + place.rstrip("/")[len(target) :]
            return [path] if os.path.exists(path) else []
    build = proxy.get("build") or {}
    if not build:
        return []
    name = os.path.basename(place)
    beside = [path if os.path.basename(path) == name else os.path.join(path, name) for path in copied_to(build, os.path.dirname(place))]
    return [path for path in [*copied_to(build, place), *beside] if os.path.exists(path)][:1]


def _read(proxy: Mapping[str, Any], path: str) -> dict[str, Any]:
    return next((found for each in _files(proxy, path) if (found := _parsed(each))), {})


def _parsed(path: str) -> dict[str, Any]:
    """A file's content; nothing where it cannot be read."""
    text = read_text(path) or ""
    try:
        found = tomllib.loads(text) if path.endswith(".toml") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
