# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a proxy leads visitors that is told by the labels or variables of other containers: Traefik, and nginx-proxy. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .dockerfiles import exposed_port
from .label_rules import Match, read_first_rule, read_rule
from .problems import BerthError, listed
from .topology import Services

# Without them a request is answered all the same, by the same container.
_PASSING = frozenset(
    "redirectscheme headers compress ratelimit retry buffering circuitbreaker contenttype inflightreq errors passtlsclientcert grpcweb".split()
)

# Where visitors come in, by the usual names.
_ENTRIES = frozenset("web websecure web-secure http https secure".split())
_WEB = ("80", "443")


class Route(NamedTuple):
    """``match`` is led to ``service``, at ``port`` in its container, without those of the prefixes ``strip`` that its path begins with.

    ``weight``: of two that match, the heavier one.
    """

    match: Match
    service: str
    port: int
    strip: tuple[str, ...]
    weight: int


class Routes(NamedTuple):
    """``problems``: what is led nowhere, a service and what is said of it there, and why."""

    found: list[Route]
    problems: list[tuple[str, str, str]]


def labels_of(service: Mapping[str, Any]) -> dict[str, str]:
    """The labels that a proxy sees: the container's, and those of a service of Swarm's."""
    found: dict[str, str] = {}
    for labels in ((service.get("deploy") or {}).get("labels") or {}, service.get("labels") or {}):
        pairs = labels.items() if isinstance(labels, Mapping) else (str(each).partition("=")[::2] for each in labels)
        found |= {str(label): str(text) for label, text in pairs}
    return found


def read_routes(services: Services, proxy: str) -> Routes:
    """Where ``proxy``, one of the services, leads visitors, the heaviest first."""
    found: list[Route] = []
    problems: list[tuple[str, str, str]] = []
    middlewares, inner = _middlewares(services), _inner_entries(services.get(proxy) or {})
    for name, service in services.items():
        if name == proxy:
            continue
        for router, read in _routers(service, middlewares, inner):
            try:
                rules, strip, port, weight = read()
            except BerthError as error:
                problems.append((name, router, str(error)))
                continue
            if not port:
                problems.append((name, router, "no label, expose or EXPOSE says at which port it listens"))
                continue
            found += [Route(match, name, port, strip, weight) for match in rules]
    # The same for HTTP and for HTTPS, of which one may be a redirection alone.
    best: dict[tuple[Match, str], Route] = {}
    for route in found:
        known = best.get((route.match, route.service))
        if known is None or len(route.strip) > len(known.strip):
            best[route.match, route.service] = route
    return Routes(sorted(best.values(), key=lambda route: (-route.weight, route.match, route.service)), problems)


_Read = tuple[list[Match], tuple[str, ...], "int | None", int]


def _inner_entries(proxy: Mapping[str, Any]) -> dict[str, bool]:
    """The entry points that a proxy's command makes, and whether they are none of the web's."""
    front = {str(port.get("target")) for port in proxy.get("ports") or [] if str(port.get("published")) in _WEB}
    said = " ".join(str(each) for each in proxy.get("command") or [])
    addresses = re.findall(r"--entry[pP]oints\.([^.=\s]+)\.address=\S*:(\d+)", said)
    return {name.lower(): port not in _WEB and port not in front for name, port in addresses}


def _routers(
    service: Mapping[str, Any], middlewares: Mapping[str, Mapping[str, str]], inner: Mapping[str, bool]
) -> Iterator[tuple[str, Any]]:
    """What each router of a service is called, and how to read it."""
    labels = labels_of(service)
    environment = service.get("environment") or {}
    if labels.get("traefik.enable", "true").lower() != "false":
        for label in labels:
            named = re.fullmatch(r"traefik\.http\.routers\.([^.]+)\.rule", label)
            if named:
                yield f"the router {named[1]}", lambda router=named[1]: _second(service, labels, router, middlewares, inner)
        for label in labels:
            named = re.fullmatch(r"traefik\.(?:([^.]+)\.)?frontend\.rule", label)
            if named:
                yield label, lambda label=label, part=named[1]: _first(service, labels, label, part)
    if environment.get("VIRTUAL_HOST"):
        yield "VIRTUAL_HOST", lambda: _virtual(service, environment)


def _second(
    service: Mapping[str, Any],
    labels: Mapping[str, str],
    router: str,
    middlewares: Mapping[str, Mapping[str, str]],
    inner: Mapping[str, bool],
) -> _Read:
    own = {key.removeprefix(f"traefik.http.routers.{router}."): text for key, text in labels.items()}
    entries = [each.strip().lower() for each in own.get("entrypoints", own.get("entryPoints", "")).split(",") if each.strip()]
    if entries and all(inner.get(each, each not in _ENTRIES) for each in entries):
        raise BerthError(f"visitors do not come in at {listed(entries)}")
    strip: list[str] = []
    for name in filter(None, (each.strip() for each in own.get("middlewares", "").split(","))):
        strip += _stripped(name, middlewares)
    ports = {
        key.split(".")[3]: text
        for key, text in labels.items()
        if re.fullmatch(r"traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port", key)
    }
    wanted = own.get("service", "").partition("@")[0]
    if wanted and wanted not in ports and (ports or "@" in own["service"]):
        raise BerthError(f"it leads to {own['service']}, of which its labels say nothing")
    told = ports.get(wanted) or next(iter(ports.values()), None)
    priority = own.get("priority", "")
    return (
        read_rule(own["rule"]),
        tuple(strip),
        _port(service, told),
        int(priority) if priority.isdigit() and int(priority) else len(own["rule"]),
    )


def _first(service: Mapping[str, Any], labels: Mapping[str, str], label: str, part: str | None) -> _Read:
    """A router of Traefik 1."""
    begin = f"traefik.{part}." if part else "traefik."
    for key in labels:
        if key.startswith(f"{begin}frontend.") and re.search(r"\.(auth|whiteList)\b", key):
            raise BerthError(f"{key} guards it, and is not carried")
    matches, strip = read_first_rule(labels[label])
    return matches, tuple(strip), _port(service, labels.get(f"{begin}port") or labels.get("traefik.port")), len(labels[label])


def _virtual(service: Mapping[str, Any], environment: Mapping[str, Any]) -> _Read:
    """What nginx-proxy reads: https://github.com/nginx-proxy/nginx-proxy/tree/main/docs."""
    hosts = [each.strip().lower() for each in str(environment["VIRTUAL_HOST"]).split(",") if each.strip()]
    if any("*" in each or each.startswith("~") for each in hosts):
        raise BerthError("a pattern is not carried, hosts are")
    path = str(environment.get("VIRTUAL_PATH") or "/")
    strip = (path.rstrip("/"),) if path != "/" and environment.get("VIRTUAL_DEST") == "/" else ()
    paths = () if path == "/" else (path + "*",)
    return [Match(tuple(hosts), paths)], strip, _port(service, environment.get("VIRTUAL_PORT")) or 80, len(path)


def _port(service: Mapping[str, Any], told: Any) -> int | None:
    """The port in its container: as it is told, else the lowest that is exposed."""
    if told:
        return int(told) if str(told).isdigit() else None
    exposed = [str(each).removesuffix("/tcp") for each in service.get("expose") or []]
    exposed += [str(each["target"]) for each in service.get("ports") or []]
    numbers = sorted(int(each) for each in exposed if each.isdigit())
    return numbers[0] if numbers else exposed_port(service.get("build") or {})


def _middlewares(services: Services) -> dict[str, dict[str, str]]:
    """What the labels say of each middleware: its name to option to text."""
    found: dict[str, dict[str, str]] = {}
    for service in services.values():
        for label, text in labels_of(service).items():
            named = re.fullmatch(r"traefik\.http\.middlewares\.([^.]+)\.(.+)", label)
            if named:
                found.setdefault(named[1], {})[named[2].lower()] = text
    return found


def _stripped(name: str, middlewares: Mapping[str, Mapping[str, str]], depth: int = 0) -> list[str]:
    """The prefixes that a middleware takes off. Raises :class:`BerthError` for one that may guard what is behind it, or changes what it is asked."""
    options = middlewares.get(name.partition("@")[0])
    if not options or depth > len(middlewares):
        raise BerthError(f"no label says what the middleware {name} does, and it may guard what is behind it")
    found: list[str] = []
    for option, text in options.items():
        kind = option.partition(".")[0]
        if option == "stripprefix.prefixes":
            found += [each.strip().rstrip("/") for each in text.split(",") if each.strip().startswith("/")]
        elif option == "chain.middlewares":
            for each in text.split(","):
                found += _stripped(each.strip(), middlewares, depth + 1)
        elif kind not in _PASSING and kind != "stripprefix":
            raise BerthError(f"the middleware {name} ({kind}) is not carried")
    return found
