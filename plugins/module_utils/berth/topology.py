# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is who in a Compose project: app and backing services, the front door, and who has to find whom."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .connection_strings import read_keywords
from .dockerfiles import base_image, read_text
from .images import ENGINES, Engine, basename, engine_of, is_proxy
from .keepers import is_no_door, is_tool
from .problems import BerthError, listed, suggestion
from .references import read_host_port, read_name, read_url
from .referring import Backing
from .serving import serves

Services = Mapping[str, Mapping[str, Any]]
# Configuration that says where a front door routes to; larger or more files than this are no configuration.
_CONFIGURATION = (".conf", ".template", ".tmpl", ".cfg", ".yml", ".yaml", ".toml", "Caddyfile", ".j2")
_MOST_FILES = 200
# A browser's view of another service (an allowed origin, a redirect) needs no name resolution inside.
_FROM_OUTSIDE = re.compile(r"ORIGIN|CORS|ALLOWED|REDIRECT|CALLBACK|PUBLIC|EXTERNAL|FRONTEND|CLIENT_URL|SITE_URL|APP_URL|BASE_URL")
# What is called so speaks to visitors, in the order in which that is believed.
VISITED = ({"web", "www", "frontend", "ui"}, {"front", "client", "webapp", "website", "site", "storefront", "portal"}, {"gateway"})


class Edge(NamedTuple):
    """``source`` has to find ``target`` by the name ``alias``; ``why`` says what asks for it. Only ``needed`` ones may not be cut."""

    source: str
    target: str
    alias: str
    why: str
    needed: bool


def backing_services(services: Services, images: Mapping[str, str], named: Iterable[str]) -> dict[str, Engine | None]:
    """The backing services: those that run postgres, redis or valkey by their image, and no client of theirs, and those in ``named``.

    A service that is built counts by what its Dockerfile is FROM, or, where that cannot be read, by a name such as ``postgres``.
    The engine is None where only ``named`` says that a service is backing.
    """
    found: dict[str, Engine | None] = {}
    for name, service in services.items():
        image = str(images.get(name) or service.get("image") or "")
        engine = engine_of(image)
        if engine is None and service.get("build"):
            image = base_image(service["build"]) or ""
            engine = engine_of(image) if image else Engine(ENGINES[name], None) if name in ENGINES and name not in images else None
        if engine and not serves(service, basename(image) or name):
            engine = None
        if engine or name in named:
            found[name] = engine
    return found


def check_names(option: str, given: Iterable[str], services: Services) -> None:
    """Refuse names that are no services of the project."""
    for name in given:
        if name not in services:
            raise BerthError(f"{option}: {name!r} is no service of the project ({listed(services)}){suggestion(name, services)}")


def names_of(name: str, service: Mapping[str, Any]) -> list[str]:
    """Every name by which Compose lets others find a service: its own first, then container name, hostname and network aliases."""
    names = [name]
    for key in ("container_name", "hostname"):
        if service.get(key):
            names.append(str(service[key]))
    for network in (service.get("networks") or {}).values():
        names += (network or {}).get("aliases") or []
    return list(dict.fromkeys(names))


def backing_of(services: Services, engines: Mapping[str, str]) -> Backing:
    """The backing services by the names that all know, but for those that a service which stays has too, or another of them.

    ``engines``: service to engine.
    """
    others = frozenset(alias for name in services if name not in engines for alias in names_of(name, services[name]))
    owners: dict[str, list[str]] = {}
    for name in engines:
        for alias in names_of(name, services[name]):
            owners.setdefault(alias, []).append(name)
    # In networks of their own two may have one alias. A service's own name is its alone.
    names = {alias: alias if alias in named else named[0] for alias, named in owners.items() if alias in named or len(named) == 1}
    return Backing(engines, {alias: name for alias, name in names.items() if alias not in others}, others)


def neighbours(services: Services, names: Iterable[str]) -> set[str]:
    """The services that are in a network with one of ``names``, those included."""
    networks = {name: set(service.get("networks") or {"default": None}) for name, service in services.items()}
    there = {network for name in names for network in networks[name]}
    return {name for name in services if networks[name] & there}


def published(service: Mapping[str, Any], *, loopback: bool = False) -> list[int]:
    """The host ports that a service publishes to other machines; with ``loopback``, also those for its own machine only."""
    return [
        int(port["published"])
        for port in service.get("ports") or []
        if str(port.get("published") or "").isdigit() and (loopback or not is_loopback(str(port.get("host_ip") or "")))
    ]


def is_loopback(address: str) -> bool:
    """Whether an address that a port is bound to is reachable from its own machine only."""
    return address.startswith("127.") or address in ("::1", "localhost")


def front_door(services: Services, images: Mapping[str, str], *, loopback: bool = False) -> str | None:
    """The one service that visitors reach, or None where there is none or several stand side by side.

    Of the services that publish a port, but for databases, and for what developers look at the others with where there are others: the only
    one; else the only proxy; else the only one that others do not depend on and that
    itself depends on another of them; else the only one on port 80 or 443; else the only one that is called as who speaks to
    visitors. ``loopback``: as seen from the machine itself.
    """
    shown = {name: str(images.get(name) or service.get("image") or "") for name, service in services.items()}
    doors = [name for name, each in services.items() if published(each, loopback=loopback) and not is_no_door(each, shown[name])]
    doors = [name for name in doors if not is_tool(services[name], shown[name])] or doors
    proxies = [name for name in doors if _proxies(name, services[name], images)]
    needed = {other for name in doors for other in services[name].get("depends_on") or {}}
    outer = [name for name in doors if name not in needed and set(services[name].get("depends_on") or {}) & set(doors)]
    web = [name for name in doors if {80, 443} & set(published(services[name], loopback=loopback))]
    words = {name: set(re.split(r"[^a-z]+", name.lower())) for name in doors}
    named = [[name for name in doors if called & words[name]] for called in VISITED]
    for candidates in (doors, proxies, outer, web, *named):
        if len(candidates) == 1:
            return candidates[0]
    return None


def _proxies(name: str, service: Mapping[str, Any], images: Mapping[str, str]) -> bool:
    image = str(images.get(name) or service.get("image") or "")
    base = base_image(service["build"]) if service.get("build") else None
    return is_proxy(image) or is_proxy(name) or bool(base and is_proxy(base) and 80 in {port["target"] for port in service["ports"]})


def edges(services: Services, door: str | None, directory: str) -> list[Edge]:
    """Who has to find whom among the services that stay containers.

    Read from ``links``, from what the environment names, from the front door's configuration and from ``depends_on``. A front door
    whose configuration cannot be read is led to every other service.
    """
    names = {alias: name for name, service in services.items() for alias in names_of(name, service)}
    found: list[Edge] = []
    for name, service in services.items():
        for link in service.get("links") or []:
            target, _colon, alias = str(link).partition(":")
            if target in services:
                found.append(Edge(name, target, alias or target, "links", True))
        for variable, value in (service.get("environment") or {}).items():
            for host in _hosts_in(variable, value or ""):
                if host in names and names[host] != name:
                    needed = not _FROM_OUTSIDE.search(variable.upper())
                    found.append(Edge(name, names[host], host, f"environment variable {variable}", needed))
    routes = _routes(services[door], set(names) - set(names_of(door, services[door])), directory) if door else []
    found += [Edge(door, names[host], host, "its configuration", True) for host in routes if door]
    for name, service in services.items():
        found += [Edge(name, other, other, "depends_on", False) for other in service.get("depends_on") or {} if other in services]
    if door and not routes:
        found += [Edge(door, name, name, "the front door", False) for name in services if name != door]
    return found


def _hosts_in(variable: str, value: str) -> list[str]:
    """The hosts that a variable's value names, by shape: URLs, ``host:port``, lists of them, or a bare host where the name asks for one."""
    hosts: list[str] = []
    for part in re.split(r"[\s,;]+", value):
        url, pair = read_url(part), read_host_port(part)
        hosts += url.hosts if url else [pair[0]] if pair else []
    keywords = read_keywords(value)
    if keywords:
        hosts.append(keywords.field("host") or "")
    if read_name(variable).field in ("host", "url"):
        hosts.append(value.strip())
    return hosts


def _routes(service: Mapping[str, Any], names: set[str], directory: str) -> list[str]:
    """The names that a front door's configuration files route to, in alphabetical order."""
    found = set()
    for path in _configuration_files(_own_folders(service, directory)):
        text = re.sub(r"(?m)#.*$", "", read_text(path) or "")
        for host in re.findall(r"(?:://|\bserver\s+|\breverse_proxy\s+|\bproxy_pass\s+|\s)([A-Za-z0-9][A-Za-z0-9._-]*)(?=[:;/\s}])", text):
            if host in names and re.search(
                rf"(?:://|\bserver\s+|\breverse_proxy\s.*?){re.escape(host)}(?=[:;/\s}}])|\s{re.escape(host)}:\d", text
            ):
                found.add(host)
    return sorted(found)


def asked_ports(name: str, services: Services, directory: str) -> set[int]:
    """The ports at which a service is asked for: those that it publishes, and those by which others' variables and configuration name it."""
    found = {int(port["target"]) for port in services[name].get("ports") or []}
    texts = [str(value) for other in services.values() for value in (other.get("environment") or {}).values() if value]
    for other in services.values():
        texts += [read_text(path) or "" for path in _configuration_files(_own_folders(other, directory))]
    for alias in names_of(name, services[name]):
        found |= {int(number) for text in texts for number in re.findall(rf"(?<![\w.-]){re.escape(alias)}:(\d{{2,5}})\b", text)}
    return found


def _own_folders(service: Mapping[str, Any], directory: str) -> list[str]:
    """What of the project a service is built from, and mounts."""
    roots = [str(service["build"].get("context"))] if service.get("build") else []
    roots += [str(volume.get("source")) for volume in service.get("volumes") or [] if volume.get("type") == "bind"]
    return [root for root in roots if root.startswith(directory) and root != directory]


def _configuration_files(roots: Sequence[str]) -> list[str]:
    paths: list[str] = []
    for root in roots:
        if os.path.isfile(root):
            paths.append(root)
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if each not in ("node_modules", ".git", "dist", "build"))
            paths += [os.path.join(folder, name) for name in sorted(files) if name.endswith(_CONFIGURATION)]
            if len(paths) > _MOST_FILES:
                break
    return paths[:_MOST_FILES]


def links(services: Services, wanted: Sequence[Edge]) -> tuple[dict[str, list[str]], list[str]]:
    """ECS links per service (``name`` or ``name:alias``), sorted, and warnings about edges that had to be cut.

    ECS links must not form a cycle. Needed edges come first; others only where they close none.
    Raises :class:`BerthError` that shows the cycle when the needed edges form one.
    """
    targets: dict[str, set[str]] = {name: set() for name in services}
    texts: dict[str, set[str]] = {name: set() for name in services}
    reasons: dict[tuple[str, str], str] = {}
    warnings = []
    for edge in sorted(wanted, key=lambda edge: not edge.needed):
        path = _path(targets, edge.target, edge.source)
        if path or edge.target == edge.source:
            if not edge.needed:
                if edge.why not in ("the front door", "depends_on"):
                    warnings.append(f"{edge.source} is not linked to {edge.target} ({edge.why}): ECS links must not form a cycle")
                continue
            circle = [edge.source, *(path or [edge.target])]
            steps = [f"{edge.source} needs {edge.target} ({edge.why})"]
            steps += [f"{a} needs {b} ({reasons[a, b]})" for a, b in pairwise(circle[1:])]
            raise BerthError(
                f"links would form a cycle, which ECS refuses: {'; '.join(steps)}. "
                "Let one of them reach the other through the front door's URL, or leave one out with exclude"
            )
        targets[edge.source].add(edge.target)
        reasons.setdefault((edge.source, edge.target), edge.why)
        texts[edge.source].add(edge.target)
        if edge.alias != edge.target:
            texts[edge.source].add(f"{edge.target}:{edge.alias}")
    return {name: sorted(found) for name, found in texts.items() if found}, warnings


def _path(targets: Mapping[str, set[str]], start: str, goal: str) -> list[str] | None:
    """A way from ``start`` to ``goal`` along ``targets``, or None."""
    stack: list[list[str]] = [[start]]
    seen = {start}
    while stack:
        path = stack.pop()
        if path[-1] == goal:
            return path
        for following in sorted(targets.get(path[-1], ())):
            if following not in seen:
                seen.add(following)
                stack.append([*path, following])
    return None


_OWN_ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::(\d+))?(/[^\s\"'|;&<>?#)]*)?")


def health_path(service: Mapping[str, Any]) -> str:
    """The path that a service's own health check asks for over HTTP, which a load balancer should ask for too; or nothing.

    A check of another port than the ones that are published, such as an administrator's, says nothing of what visitors see.
    """
    test = (service.get("healthcheck") or {}).get("test") or []
    found = _OWN_ADDRESS.search(" ".join(str(word) for word in test) if isinstance(test, list) else str(test))
    ports = {int(each["target"]) for each in service.get("ports") or [] if each.get("target")}
    return (found.group(2) or "/") if found and int(found.group(1) or 80) in ports else ""
