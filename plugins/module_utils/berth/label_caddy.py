# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a Caddy leads visitors that is told by labels: caddy-docker-proxy, and caddy-gen. Pure.

https://github.com/lucaslorentz/caddy-docker-proxy, https://github.com/wemake-services/caddy-gen
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .label_router import GuardError, Router, labels_of, port_of
from .label_rules import Match, matched
from .problems import BerthError
from .topology import Services

_SITE = re.compile(r"caddy(?:_[A-Za-z0-9]+)?")
_VIRTUAL = "virtual.host"
# Directives without which a request is answered all the same, by the same container; what comes before the containers speaks TLS.
_PASSING = frozenset("tls encode log log_append log_skip skip_log header request_body bind redir handle_errors".split())
# Those that hold others, for some paths.
_BLOCKS = frozenset(("handle", "handle_path", "route"))
# What says how a container is led to, and not who is.
_HOW = re.compile(
    r"header_up|header_down|flush_interval|trusted_proxies|lb_\w+|health_\w+|fail_duration|max_fails|unhealthy_\w+|\w+_buffers|stream_\w+"
)
_LEADS = re.compile(r"(?:([^\s{]\S*)\s+)?\{\{\s*upstreams(?:\s+(https?))?(?:\s+(\d+))?\s*\}\}")
# A directive's place, those that it stands in before it.
Path = tuple[str, ...]


class Site(NamedTuple):
    """What a container asks for at some addresses: the place of each directive, to its arguments."""

    addresses: tuple[str, ...]
    directives: Mapping[Path, str]

    def within(self, place: Path) -> set[str]:
        """The directives that stand right in one, or in none."""
        return {_name(each[len(place)]) for each in self.directives if len(each) > len(place) and each[: len(place)] == place}


def sites_of(service: Mapping[str, Any]) -> list[Site]:
    """The sites that a container's labels describe."""
    labels = labels_of(service)
    found = []
    for label, text in labels.items():
        # What stands in parentheses is for others to import, and without an address it is for the whole proxy.
        if not _SITE.fullmatch(label) or not text.strip() or text.strip().startswith("("):
            continue
        inner = {key.removeprefix(f"{label}."): value for key, value in labels.items() if key.startswith(f"{label}.")}
        addresses = tuple(filter(None, re.split(r"[\s,]+", text.strip())))
        found.append(Site(addresses, {tuple(key.split(".")): value.strip() for key, value in inner.items()}))
    return found


def guards_of(services: Services) -> dict[str, str]:
    """Host of a site to the directive that guards it, or may, whomever it leads to: sites of one address are one."""
    return {
        _bare(address): guard
        for service in services.values()
        for site in sites_of(service)
        for guard in _guards(site.within(()))
        for address in site.addresses
    }


def routers_of(service: Mapping[str, Any], guards: Mapping[str, str]) -> Iterator[Router]:
    """What the container asks for. ``guards``: those of all containers."""
    for site in sites_of(service):
        guard = next((guards[each] for each in map(_bare, site.addresses) if each in guards), "")
        for place in site.directives:
            if _name(place[-1]) == "reverse_proxy" and len(place) < 3 and all(_name(each) in _BLOCKS for each in place[:-1]):
                yield _router(site, place, guard)
    labels = labels_of(service)
    if labels.get(_VIRTUAL):
        yield _generated(service, labels)


def _name(part: str) -> str:
    """A directive without what only orders it, or keeps it apart from others of the name."""
    return re.sub(r"_\d+$", "", re.sub(r"^\d+_", "", part))


def _guards(names: set[str]) -> list[str]:
    """The directives, of those beside each other, that change who is answered, or may."""
    return sorted(each for each in names - _PASSING - _BLOCKS - {"reverse_proxy"} if not each.startswith("@"))


def _router(site: Site, place: Path, guard: str) -> Router:
    block, text = place[:-1], site.directives[place]
    where = site.directives.get(block, "") if block else ""
    leads = _LEADS.fullmatch(text)
    own = (leads[1] or "") if leads else ""

    def rule() -> tuple[list[Match], list[str]]:
        paths = [each for each in (where, own) if each and each != "*"]
        if len(paths) > 1:
            raise BerthError(f"{own} within {where} is not carried, one path alone is")
        hosts = [_host(each) for each in site.addresses]
        match = matched("Host", hosts) if all(hosts) else Match((), ())
        if not paths:
            return [match], []
        begin = paths[0].removesuffix("*")
        match = match._replace(paths=matched("PathPrefix" if paths[0].endswith("*") else "Path", [begin]).paths)
        return [match], [begin.rstrip("/")] if block and _name(block[0]) == "handle_path" and begin.strip("/") else []

    def rest() -> tuple[list[str], int | None]:
        how = {each for each in site.within(place) if not _HOW.fullmatch(each)}
        for each in [*filter(None, [guard]), *(_guards(site.within(block)) if block else []), *sorted(how)]:
            raise GuardError(f"{each} may guard it, and is not carried")
        if not leads or leads[2] == "https":
            raise BerthError(f"it leads to {text!r}, which is not carried, upstreams that speak HTTP alone are")
        return [], int(leads[3] or 80)

    return Router(f"the site {' '.join(site.addresses)}", len(where or own), rule, rest)


def _bare(address: str) -> str:
    """A site's address without its scheme and port."""
    return re.sub(r"^https?://", "", address).partition(":")[0].lower()


def _host(address: str) -> str:
    """The host of a site's address; an empty string where it is for all."""
    host = _bare(address)
    if "{" in address or "/" in host:
        raise BerthError(f"the address {address} is not carried, hosts alone are")
    return host


def _generated(service: Mapping[str, Any], labels: Mapping[str, str]) -> Router:
    """What caddy-gen reads."""

    def rule() -> tuple[list[Match], list[str]]:
        hosts = f"{labels[_VIRTUAL]} {labels.get('virtual.alias', '')}".replace(",", " ").split()
        return [matched("Host", [_host(each) for each in hosts])], []

    def rest() -> tuple[list[str], int | None]:
        for label in labels:
            if re.match(r"virtual\.(auth|host\.(directives|import))", label):
                raise GuardError(f"{label} may guard it, and is not carried")
        return [], port_of(service, labels.get("virtual.port"))

    return Router(_VIRTUAL, 1, rule, rest)
