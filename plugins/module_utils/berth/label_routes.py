# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a proxy leads visitors that is told by the labels or variables of other containers: Traefik, nginx-proxy, and Caddy. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .label_caddy import guards_of, routers_of
from .label_router import GuardError, Router, UnknownError, labels_of, port_of
from .label_rules import Match, matched, read_first_rule, read_rule
from .problems import BerthError, listed
from .topology import Services

# The labels that say which requests a router takes, and at which port a container answers them.
ROUTER = re.compile(r"traefik\.http\.routers\.([^.]+)\.rule")
FIRST_ROUTER = re.compile(r"traefik\.(?:([^.]+)\.)?frontend\.rule")
PORT = re.compile(r"traefik\.http\.services\.([^.]+)\.loadbalancer\.server\.port")
FIRST_PORT = re.compile(r"traefik\.(?:([^.]+)\.)?port")
# Without them a request is answered all the same, by the same container.
_PASSING = frozenset(
    "headers compress ratelimit retry buffering circuitbreaker contenttype inflightreq errors passtlsclientcert grpcweb".split()
)
# What comes before the containers leads to HTTPS.
_DONE = "redirectscheme"
# Where visitors come in, by the usual names.
_ENTRIES = frozenset("web websecure web-secure http https secure".split())
_PLAIN = {"web", "http"}
_WEB = ("80", "443")


class Route(NamedTuple):
    """``match`` is led to ``service``, at ``port`` in its container, without those of the prefixes ``strip`` that its path begins with.

    ``port`` None: to nobody, since what guards it there is not carried. ``weight``: of two that match, the heavier one.
    """

    match: Match
    service: str
    port: int | None
    strip: tuple[str, ...]
    weight: int


class Routes(NamedTuple):
    """``problems``: what is led nowhere, a service and what is said of it there, and why. ``guarded``: services of which something is closed, since what
    guards it is not carried. ``missing``: what routes that are led do without, such as ``limit (ratelimit)``.
    """

    found: list[Route]
    problems: list[tuple[str, str, str]]
    guarded: frozenset[str]
    missing: list[str]


def read_routes(services: Services, proxy: str, settings: Mapping[str, str] | None = None) -> Routes:
    """Where ``proxy``, one of the services, leads visitors, the heaviest first. ``settings``: what it is told when it starts, where that is more than its command
    and its variables say.
    """
    found: list[Route] = []
    problems: list[tuple[str, str, str]] = []
    closed: set[str] = set()
    secure: set[tuple[Match, str]] = set()
    plain: list[tuple[list[Route], tuple[str, str, str]]] = []
    seen = _Seen(_middlewares(services), guards_of(services), settings or settings_of(services.get(proxy) or {}), services.get(proxy) or {})
    for name, service in services.items():
        for router in _routers(service, seen) if name != proxy else []:
            matches: list[Match] = []
            try:
                matches, strip = router.rule()
                more, port = router.rest()
            except BerthError as error:
                shut = [Route(match, name, None, (), router.weight) for match in matches]
                if isinstance(error, UnknownError) and matches and router.scheme == "http":
                    plain.append((shut, (name, router.name, str(error))))
                    continue
                problems.append((name, router.name, str(error)))
                if isinstance(error, GuardError):
                    found += shut
                elif not matches and router.is_guarded:
                    # Nobody can tell what of it is guarded.
                    closed.add(name)
                continue
            if not port:
                problems.append((name, router.name, "no label, expose or EXPOSE says at which port it listens"))
                continue
            found += [Route(match, name, port, (*strip, *more), router.weight) for match in matches]
            secure |= {(match, name) for match in matches if router.scheme == "https"}
    for shut, problem in plain:
        # What is open by HTTPS as it is has no guard before that: what comes by HTTP is led there.
        if not {(route.match, route.service) for route in shut} <= secure:
            found += shut
            problems.append(problem)
    # The same for HTTP and for HTTPS, of which one may be a redirection alone, without what guards the other one.
    best: dict[tuple[Match, str], Route] = {}
    for route in found:
        known = best.get((route.match, route.service))
        if known is None or route.port is None or (known.port is not None and len(route.strip) > len(known.strip)):
            best[route.match, route.service] = route
    kept = [route if route.service not in closed else route._replace(port=None) for route in best.values()]
    guarded = frozenset(route.service for route in kept if route.port is None) | closed
    missing = sorted(f"{name} ({kind})" for name, options in seen.middlewares.items() for kind in _kinds(options) & _PASSING)
    return Routes(sorted(kept, key=lambda route: (-route.weight, route.match, route.service)), problems, guarded, missing)


class _Seen(NamedTuple):
    """What the proxy knows beside a container's own labels: ``middlewares`` by name, ``guards`` by address, its own ``settings``, and its service."""

    middlewares: Mapping[str, Mapping[str, str]]
    guards: Mapping[str, str]
    settings: Mapping[str, str]
    proxy: Mapping[str, Any]

    @property
    def exposes(self) -> bool:
        """Whether a container is led to that does not ask for it."""
        return not any(name.endswith("docker.exposedbydefault") and text.lower() == "false" for name, text in self.settings.items())

    @property
    def entries(self) -> list[str]:
        """The entry points of the web that it is told of: who names none comes in at each."""
        named = {name.split(".")[1] for name in self.settings if name.startswith("entrypoints.") and name.count(".") > 1}
        return sorted(each for each in named if not self.is_inner(each))

    def is_inner(self, entry: str) -> bool:
        """Whether visitors of the web do not come in at an entry point."""
        address = self.settings.get(f"entrypoints.{entry}.address")
        if address is None:
            return entry not in _ENTRIES
        port = address.partition("/")[0].rpartition(":")[2]
        front = {str(each.get("target")) for each in self.proxy.get("ports") or [] if str(each.get("published")) in _WEB}
        return port not in _WEB and port not in front


def settings_of(proxy: Mapping[str, Any]) -> dict[str, str]:
    """What a Traefik is told by its command and by variables: its name in lower case, to the text as it is written."""
    found = {}
    for name, text in (proxy.get("environment") or {}).items():
        if str(name).startswith("TRAEFIK_"):
            found[str(name).removeprefix("TRAEFIK_").lower().replace("_", ".")] = str(text)
    for word in proxy.get("command") or []:
        name, _equals, text = str(word).partition("=")
        if name.startswith("--"):
            found[name[2:].lower()] = text.strip("\"'")
    return found


def _routers(service: Mapping[str, Any], seen: _Seen) -> Iterator[Router]:
    labels = labels_of(service)
    environment = service.get("environment") or {}
    if labels.get("traefik.enable", str(seen.exposes)).lower() == "true":
        for label, rule in labels.items():
            if named := ROUTER.fullmatch(label):
                yield _second(service, labels, named[1], rule, seen)
            elif named := FIRST_ROUTER.fullmatch(label):
                yield _first(service, labels, label, named[1])
    if environment.get("VIRTUAL_HOST"):
        yield _virtual(service, environment)
    yield from routers_of(service, seen.guards)


def _second(service: Mapping[str, Any], labels: Mapping[str, str], router: str, rule: str, seen: _Seen) -> Router:
    """A router of Traefik 2 and 3."""
    begin = f"traefik.http.routers.{router}."
    own = {key.removeprefix(begin).lower(): text for key, text in labels.items() if key.startswith(begin)}
    priority = own.get("priority", "")
    entries = [each.strip().lower() for each in own.get("entrypoints", "").split(",") if each.strip()]
    secured = any(key.startswith("tls.") or (key == "tls" and text.lower() == "true") for key, text in own.items())

    def rest() -> tuple[list[str], int | None]:
        if entries and all(seen.is_inner(each) for each in entries):
            raise BerthError(f"visitors do not come in at {listed(entries)}")
        strip: list[str] = []
        # Those of where visitors come in are before those of the router.
        entered = [seen.settings.get(f"entrypoints.{each}.http.middlewares", "") for each in entries or seen.entries]
        for name in filter(None, (each.strip() for each in ",".join([*entered, own.get("middlewares", "")]).split(","))):
            strip += _stripped(name, seen.middlewares)
        ports = {named[1]: text for key, text in labels.items() if (named := PORT.fullmatch(key))}
        wanted = own.get("service", "")
        if wanted and wanted.partition("@")[0] not in ports and (ports or "@" in wanted):
            raise BerthError(f"it leads to {wanted}, of which its labels say nothing")
        return strip, port_of(service, ports.get(wanted.partition("@")[0]) or next(iter(ports.values()), None))

    weight = int(priority) if priority.isdigit() and int(priority) else len(rule)
    scheme = "https" if secured else "http" if entries and set(entries) <= _PLAIN else ""
    return Router(f"the router {router}", weight, lambda: (read_rule(rule), []), rest, scheme)


def _first(service: Mapping[str, Any], labels: Mapping[str, str], label: str, part: str | None) -> Router:
    """A router of Traefik 1."""
    begin = f"traefik.{part}." if part else "traefik."

    def rest() -> tuple[list[str], int | None]:
        for key in labels:
            if key.startswith(f"{begin}frontend.") and re.search(r"\.(auth|whiteList)\b", key):
                raise GuardError(f"{key} guards it, and is not carried")
        return [], port_of(service, labels.get(f"{begin}port") or labels.get("traefik.port"))

    return Router(label, len(labels[label]), lambda: read_first_rule(labels[label]), rest)


def _virtual(service: Mapping[str, Any], environment: Mapping[str, Any]) -> Router:
    """What nginx-proxy reads: https://github.com/nginx-proxy/nginx-proxy/tree/main/docs."""
    path = str(environment.get("VIRTUAL_PATH") or "/")

    def rule() -> tuple[list[Match], list[str]]:
        hosts = [each.strip() for each in str(environment["VIRTUAL_HOST"]).split(",") if each.strip()]
        match = matched("Host", hosts)
        if path == "/":
            return [match], []
        match = match._replace(paths=matched("PathPrefix", [path]).paths)
        return [match], [path.rstrip("/")] if environment.get("VIRTUAL_DEST") == "/" else []

    return Router("VIRTUAL_HOST", len(path), rule, lambda: ([], port_of(service, environment.get("VIRTUAL_PORT")) or 80))


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
        raise UnknownError(f"no label says what the middleware {name} does, and it may guard what is behind it")
    for kind in sorted(_kinds(options) - _PASSING - {_DONE, "stripprefix", "chain"}):
        raise GuardError(f"the middleware {name} ({kind}) is not carried")
    prefixes = [each.strip() for each in options.get("stripprefix.prefixes", "").split(",") if each.strip()]
    found = [each.removesuffix("*").rstrip("/") for each in matched("PathPrefix", prefixes).paths] if prefixes else []
    for each in filter(None, options.get("chain.middlewares", "").split(",")):
        found += _stripped(each.strip(), middlewares, depth + 1)
    return found


def _kinds(options: Mapping[str, str]) -> set[str]:
    return {option.partition(".")[0] for option in options}
