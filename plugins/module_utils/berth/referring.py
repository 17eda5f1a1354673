# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of an app's environment variables refer to the backing services of its Compose file, and by what. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .connection_strings import is_dotnet, read_keywords, read_options
from .connections import ENGINE_PORTS
from .references import GENERIC_WORDS, POSTGRES_SCHEMES, REDIS_SCHEMES, Name, read_host_port, read_name, read_url

# What stands between the places of a list.
_BETWEEN = r"[\s,;]+"
# What a database may be called: it needs no quotes in pg_hba.conf, a shell or a URL. A class, a path or a number is no such name.
DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_SWITCHES = frozenset({"true", "false", "yes", "no", "on", "off"})
VENDORS = frozenset({"postgres", "postgresql", "pgsql", "pg", "redis", "mysql", "sqlite", "mongo", "mongodb"})


class Reference(NamedTuple):
    """That a variable refers to a backing service: which one, by which field, in which shape (field, url, address, keywords, options, list).

    ``parts``: of a list, what it holds in the order of it, each with the backing service that it leads to, or the empty string.
    """

    backing: str
    field: str
    shape: str
    parts: tuple[tuple[str, str], ...] = ()


class Backing(NamedTuple):
    """The backing services: ``engines``, service to postgres, redis or valkey; ``names``, every name it goes by to the service;
    ``others``: names of services that stay containers.
    """

    engines: Mapping[str, str]
    names: Mapping[str, str]
    others: frozenset[str] = frozenset()

    def seen_by(self, service: Mapping[str, Any]) -> Backing:
        """These as one service finds them: the names under which it is linked to another (``links: [db:postgres]``) are its own."""
        linked = {alias: target for target, _colon, alias in (str(each).partition(":") for each in service.get("links") or []) if alias}
        theirs = {alias for alias, target in linked.items() if target not in self.engines}
        names = {**self.names, **{alias: target for alias, target in linked.items() if target in self.engines}}
        return Backing(
            self.engines, {alias: name for alias, name in names.items() if alias not in theirs}, self.others - set(linked) | theirs
        )


def references(environment: Mapping[str, str | None], backing: Backing) -> dict[str, Reference]:
    """Which variables of one service refer to a backing service.

    First by the value's shape (a URL, ``host:port``, a connection string whose host is a backing service), then by the name: what
    asks for a host and holds a backing service's name, and what shares such a variable's prefix.
    """
    names = {variable: read_name(variable) for variable in environment}
    found: dict[str, Reference] = {}
    hosts: list[tuple[Name, str | None]] = []  # each variable that says where something is, and the backing service, if one
    for variable, value in environment.items():
        reference = _by_value(variable, names[variable], value, backing)
        if reference:
            found[variable] = reference
            hosts.append((names[variable], reference.backing))
        elif names[variable].field in ("host", "url") and _says_where(names[variable], value):
            hosts.append((names[variable], None))
    for variable, value in environment.items():
        if variable not in found and names[variable].field:
            target = _by_name(names[variable], value, hosts, backing)
            if target:
                found[variable] = Reference(target, names[variable].field or "", "file" if names[variable].by_file else "field")
    return found


def _says_where(name: Name, value: str | None) -> bool:
    # An engine's URL that is empty or holds no URL says nothing; a host does, whatever it is.
    return bool(value) and (name.field == "host" or read_url(value or "") is not None)


def _by_value(variable: str, name: Name, value: str | None, backing: Backing) -> Reference | None:
    if not value or name.by_file:
        return None
    url = read_url(value)
    if url and not _is_list(value):
        target = next((backing.names[host] for host in url.hosts if host in backing.names), None)
        # Without a port, file://db/migrations and s3://db/backups lead to no server.
        leads = target and (url.port or url.base in POSTGRES_SCHEMES | REDIS_SCHEMES)
        return Reference(target, "url", "url") if target and leads else None
    keywords = read_keywords(value)
    if keywords:
        target = backing.names.get(keywords.field("host") or "")
        return Reference(target, "url", "keywords") if target else None
    options = read_options(value)
    target = next((backing.names[host] for host in options.hosts if host in backing.names), None) if options else None
    if options and target and _family(backing.engines[target]) == "redis" and (options.pairs or is_dotnet(variable)):
        return Reference(target, "url", "options")
    pair = read_host_port(value)
    if pair and pair[0] in backing.names:
        return Reference(backing.names[pair[0]], "address", "address")
    lone = name.head in ("REDIS", "VALKEY", "POSTGRES", "POSTGRESQL") and name.field is None
    if (name.field in ("host", "url") or lone) and value.strip() in backing.names:
        return Reference(backing.names[value.strip()], "host", "field")
    parts = tuple((part, _target(part, backing)) for part in re.split(f"({_BETWEEN})", value))
    target = next((target for _part, target in parts if target), None)
    return Reference(target, "address", "list", parts) if target else None


def _is_list(value: str) -> bool:
    """Whether a value is a list of places, and not one URL, which may name several hosts."""
    words = [word for word in re.split(_BETWEEN, value) if word]
    several = len(words) > 1 and all(read_host_port(word) or read_url(word) for word in words)
    return several and (value.count("://") > 1 or re.search(r"[\s;]", value.strip()) is not None)


def _target(part: str, backing: Backing) -> str:
    """The backing service that a part of a list leads to, or the empty string."""
    pair, url = read_host_port(part), read_url(part)
    return backing.names.get(pair[0] if pair else url.hosts[0] if url else "", "")


def _by_name(name: Name, value: str | None, hosts: list[tuple[Name, str | None]], backing: Backing) -> str | None:
    """The backing service that a variable means by its name alone."""
    if name.engine == "other" or (name.field not in ("tls", "sslmode") and (_is_vendor(name, value) or (value or "").lower() in _SWITCHES)):
        return None
    speaks = name.engine is not None or name.generic
    same = [
        target for host, target in hosts if host.head == name.head and (name.head or speaks or _goes_along(name, value, target, backing))
    ]
    if not same and not _says_itself(name, value or ""):
        return None
    same = same or [target for host, target in hosts if speaks and host.prefix == name.prefix and host.engine in (None, name.engine)]
    if same:
        target = same[0]
        # DB_HOST may name one store, and REDIS_PORT beside it is still the other's.
        return target if target and _fits(name, backing.engines[target]) else None
    if name.field in ("host", "url") and value:
        return None  # it names a host which is no service
    if not speaks or (name.field == "port" and value and value not in map(str, ENGINE_PORTS.values())):
        return None
    family = name.engine or "postgres"
    elsewhere = any(target is None and host.field in ("host", "url") and _family_of(host) == family for host, target in hosts)
    candidates = [service for service, engine in backing.engines.items() if _family(engine) == family]
    return candidates[0] if len(candidates) == 1 and not elsewhere else None


def _goes_along(name: Name, value: str | None, store: str | None, backing: Backing) -> bool:
    """Whether a variable without a prefix is of the one HOST that there is: Odoo's USER is, and PORT where it is the store's."""
    if not store or name.field == "port":
        return bool(store) and value == str(ENGINE_PORTS.get(backing.engines[store or ""]))
    return name.field in ("username", "password")


def _says_itself(name: Name, value: str) -> bool:
    """Whether a variable is what its name says also where no host of the same head stands beside it: a driver's class is no database."""
    if name.field != "database" or name.engine == "redis":
        return True
    # KONG_DATABASE=postgres says which vendor, where DB_DATABASE=postgres and PGDATABASE=postgres say which database.
    vendor = value.lower() in VENDORS and name.engine is None and GENERIC_WORDS.isdisjoint(name.head.split("_"))
    return not (name.loose or vendor or (value and not DATABASE.fullmatch(value)))


def _is_vendor(name: Name, value: str | None) -> bool:
    # DATABASE=postgres says which vendor, where DB_NAME=postgres says which database.
    return name.field == "database" and name.head == "" and (value or "").lower() in VENDORS


def _family(engine: str) -> str:
    return "redis" if engine == "valkey" else engine


def _family_of(name: Name) -> str | None:
    return name.engine or ("postgres" if name.generic else None)


def _fits(name: Name, engine: str) -> bool:
    return name.engine in (None, _family(engine))
