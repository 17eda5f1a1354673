# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A proxy that is told by the labels of other containers, by way of the engine's socket, as one that is told the same when it starts. Pure.

In production the socket is no place to read from: who has it has the machine, containers of two releases have the same labels while one takes the
other's place, and ECS gives its containers no labels of the Compose file's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from . import edge_files
from .dockerfiles import base_image
from .images import basename
from .label_caddy import sites_of
from .label_router import labels_of
from .label_routes import Route, read_routes, settings_of
from .notes import Notes
from .problems import listed
from .release_model import free_name
from .topology import VISITED, published
from .traefik_files import Told, leads_plain_http_on, told_by_files

_TOLD_BY_LABELS = frozenset({"traefik", "nginx-proxy", "nginx-proxy-alpine", "caddy-docker-proxy", "caddy-gen"})
# What renews certificates beside nginx-proxy, which is done outside of the containers here.
_COMPANIONS = re.compile(r"(^|-)(letsencrypt-nginx-proxy-companion|acme-companion|docker-gen)$")
_SOCKET = re.compile(r"(/var)?/run/docker\.sock")
# Who comes before it in production, the edge or a load balancer, says from whom and by which protocol a request comes.
_BELIEVED = ("\t\t\t\ttrusted_proxies private_ranges",)
_VARIABLE = "CADDYFILE"
_START = f'printf %s "${_VARIABLE}" > /etc/caddy/Caddyfile && exec caddy run --config /etc/caddy/Caddyfile --adapter caddyfile'


def told_at_start(
    services: dict[str, dict[str, Any]], keep: Collection[str], notes: Notes, *, visited: bool = True
) -> dict[str, dict[str, Any]]:
    """The services, with the proxy that reads labels replaced by one that leads visitors to the same; as they are where there is none.

    Where nothing of it can be carried, it stays as it is, and that is noted; and where it is one to ``keep``. Where nobody publishes a port and
    labels lead to several services, or guard something, the proxy is one outside of the project: one is added, where the project is ``visited``.
    """
    proxies = [name for name, service in services.items() if _reads_labels(name, service, services)]
    told = {name: told_by_files(service, services, settings_of(service)) for name, service in services.items() if _is_traefik(service)}
    # As it is, behind who answers HTTPS, it would send all who come to where they are.
    proxies = proxies or [name for name, each in told.items() if each.labels and leads_plain_http_on(each.settings)]
    outside = not proxies and visited and not any(published(service, loopback=True) for service in services.values())
    if outside:
        proxies = [free_name("proxy", services)]
    if len(proxies) != 1 or proxies[0] in keep:
        return services
    proxy = proxies[0]
    by_files = told.get(proxy)
    routes = read_routes(_with_labels(services, proxy, by_files), proxy, by_files.settings if by_files else None)
    led = sorted({route.service for route in routes.found if route.port})
    if outside and len(led) < 2 and not routes.guarded:
        return services
    if not led:
        if routes.problems:
            who = "the proxy outside of the project" if outside else proxy
            notes.advise(f"{who}: where it leads visitors cannot be read: {'; '.join(': '.join(each) for each in routes.problems)}")
        return services
    for problem in [*routes.problems, *((proxy, *each) for each in (by_files.problems if by_files else []))]:
        notes.lose(*problem)
    if routes.missing:
        notes.advise(f"{proxy}: what the proxy does with {listed(routes.missing)} is not carried; let the app do it where it is needed")
    own = _own_file(services.get(proxy) or {})
    if own and not (by_files and by_files.labels):
        notes.lose(proxy, own, "where else the proxy leads stands in a file of its own, which is not read")
    companions = [name for name, service in services.items() if _COMPANIONS.search(basename(str(service.get("image") or "")))]
    for name in companions:
        notes.leave_out(name, "certificates are had outside of the containers")
    main = _main_host(routes.found)
    others = sorted({host for route in routes.found for host in route.match.hosts} - {main}) if main else []
    notes.advise(
        f"{proxy}: Caddy stands in for {'the proxy outside of the project' if outside else 'it'}, and is told when it starts what {'its files say' if by_files and by_files.labels else 'the labels say'}: "
        f"{listed(led)} {'is' if len(led) == 1 else 'are'} led to as there"
        + (
            f"; who comes by another name than {listed(others)} is led as for {main}; HTTPS is for the names in app_domain and app_domain_aliases"
            if others
            else ""
        )
    )
    kept = {name: service for name, service in services.items() if name not in companions}
    networks = {network: None for route in routes.found for network in services[route.service].get("networks") or {}}
    return {**kept, proxy: _caddy(services.get(proxy) or {"networks": networks}, caddyfile(routes.found, main))}


def _with_labels(services: dict[str, dict[str, Any]], proxy: str, told: Told | None) -> Mapping[str, Mapping[str, Any]]:
    """The services with what the proxy's files say of them in their labels; without their own where it does not look at these."""
    if not told or not told.labels:
        return services
    looks = _reads_labels(proxy, services[proxy], services)
    return {
        name: {**service, "labels": (labels_of(service) if looks else {}) | told.labels.get(name, {}), "deploy": {}}
        for name, service in services.items()
    }


def caddyfile(routes: list[Route], main: str | None) -> str:
    """What Caddy is told: the first route that matches leads, or is refused. ``main``: the host as which all come that none of the others is; None where hosts
    make no difference.
    """
    lines = ["{", "\tadmin off", "\tauto_https off", "}", ":80 {", "\troute {"]
    told = [(route, _conditions(route, ask_hosts=main is not None)) for route in routes]
    if main:
        told += [(route, _conditions(route, ask_hosts=False)) for route in routes if main in route.match.hosts or not route.match.hosts]
    for number, (route, conditions) in enumerate(told):
        if conditions:
            lines += [f"\t\t@led{number} {{", *(f"\t\t\t{each}" for each in conditions), "\t\t}"]
        lines.append(f"\t\thandle{f' @led{number}' if conditions else ''} {{")
        if not route.port:
            lines += ["\t\t\trespond 403", "\t\t}"]
            continue
        lines += [f"\t\t\turi strip_prefix {prefix}" for prefix in route.strip]
        # As Traefik does, for apps that make links.
        told_of = [f"\t\t\t\theader_up X-Forwarded-Prefix {route.strip[0]}"] if len(route.strip) == 1 else []
        lines += [f"\t\t\treverse_proxy {route.service}:{route.port} {{", *_BELIEVED, *told_of, "\t\t\t}", "\t\t}"]
    return "\n".join([*lines, "\t\trespond 404", "\t}", "}", ""])


def _conditions(route: Route, *, ask_hosts: bool) -> list[str]:
    hosts = [f"host {' '.join(route.match.hosts)}"] if ask_hosts and route.match.hosts else []
    return hosts + ([f"path {' '.join(route.match.paths)}"] if route.match.paths else [])


def _main_host(routes: list[Route]) -> str | None:
    """Of several hosts that are led to different services: the one whose visitors those without any of these names are. None where all are alike."""
    hosts = sorted({host for route in routes for host in route.match.hosts})
    led = {
        host: {(*route[1:4], route.match.paths) for route in routes if host in route.match.hosts or not route.match.hosts} for host in hosts
    }
    if len({frozenset(each) for each in led.values()}) < 2:
        return None
    whole = {host: min(route.service for route in routes if host in route.match.hosts) for host in hosts}
    whole |= {host: route.service for route in routes for host in route.match.hosts if not route.match.paths}

    def rank(host: str) -> tuple[bool, int, int, str]:
        words = {*re.split(r"[^a-z]+", whole[host].lower()), host.split(".")[0]}
        visited = next((place for place, called in enumerate(VISITED) if called & words), len(VISITED))
        # The name of which the others are parts comes first.
        return (not all(each == host or each.endswith(f".{host.removeprefix('www.')}") for each in hosts), visited, len(host), host)

    return min(hosts, key=rank)


def _reads_labels(name: str, service: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]]) -> bool:
    image = basename(str(service.get("image") or ""))
    # A Caddy has its plugin built in, by whoever wants it there.
    plugged = "caddy" in f"{name} {image}" and any(sites_of(each) for other, each in services.items() if other != name)
    if image not in _TOLD_BY_LABELS and not plugged:
        return False
    return any(_SOCKET.fullmatch(str(each.get("source"))) for each in service.get("volumes") or [])


def _is_traefik(service: Mapping[str, Any]) -> bool:
    image = base_image(service["build"]) if service.get("build") else service.get("image")
    return basename(str(image or "")) == "traefik"


def _own_file(service: Mapping[str, Any]) -> str:
    """What says that a proxy has a file of its own beside what labels tell it."""
    words = [str(each) for each in service.get("command") or []] + [str(each) for each in service.get("environment") or {}]
    return next(
        (each for each in words if re.match(r"--providers\.file|TRAEFIK_PROVIDERS_FILE|CADDY_DOCKER_CADDYFILE_PATH", each, re.I)), ""
    )


def _caddy(service: Mapping[str, Any], text: str) -> dict[str, Any]:
    kept = {key: service[key] for key in ("networks", "container_name", "hostname", "mem_limit", "deploy", "logging") if service.get(key)}
    return {
        **kept,
        "image": edge_files.IMAGE,
        "command": ["sh", "-c", _START],
        "entrypoint": None,
        "environment": {_VARIABLE: text},
        "ports": [{"mode": "ingress", "target": 80, "published": "80", "protocol": "tcp"}],
        "restart": "unless-stopped",
    }
