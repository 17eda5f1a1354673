# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead an app's environment variables from the backing services of its Compose file to where those live now."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from .connection_strings import Keywords, Options, is_dotnet, read_keywords, read_options, string_for
from .connections import Connection, field_value, url_for
from .references import POSTGRES_SCHEMES, REDIS_SCHEMES, Name, Url, read_host_port, read_name, read_url

VENDORS = frozenset({"postgres", "postgresql", "pgsql", "pg", "redis", "mysql", "sqlite", "mongo", "mongodb"})


class Bindings(NamedTuple):
    """A service's environment after binding.

    ``environment``: variable to text; ``secrets``: variable to secret reference. ``bound``: {service, variable, field, backing} each;
    ``unbound``: {service, variable, backing, reason, remedy} each: these variables are in neither of the first two.
    """

    environment: dict[str, str]
    secrets: dict[str, str]
    bound: list[dict[str, str]]
    unbound: list[dict[str, str]]


class Reference(NamedTuple):
    """That a variable refers to a backing service: which one, by which field, in which shape (field, url, address, keywords, options, list)."""

    backing: str
    field: str
    shape: str


class Backing(NamedTuple):
    """The backing services: ``engines``, service to postgres, redis or valkey; ``names``, every name it goes by to the service;
    ``others``: names of services that stay containers.
    """

    engines: Mapping[str, str]
    names: Mapping[str, str]
    others: frozenset[str] = frozenset()


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
    if url:
        target = next((backing.names[host] for host in url.hosts if host in backing.names), None)
        return Reference(target, "url", "url") if target else None
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
    for part in re.split(r"[\s,;]+", value):
        pair, url = read_host_port(part), read_url(part)
        host = pair[0] if pair else url.hosts[0] if url else ""
        if host in backing.names:
            return Reference(backing.names[host], "address", "list")
    return None


def _by_name(name: Name, value: str | None, hosts: list[tuple[Name, str | None]], backing: Backing) -> str | None:
    """The backing service that a variable means by its name alone."""
    if name.engine == "other" or not (name.field in ("tls", "sslmode") or not _is_vendor(name, value)):
        return None
    speaks = name.engine is not None or name.generic
    same = [target for host, target in hosts if host.head == name.head and (name.head or speaks)]
    same = same or [target for host, target in hosts if speaks and host.prefix == name.prefix and host.engine in (None, name.engine)]
    if same:
        target = same[0]
        # DB_HOST may name one store, and REDIS_PORT beside it is still the other's.
        return target if target and _fits(name, backing.engines[target]) else None
    if name.field in ("host", "url") and value:
        return None  # it names a host which is no service
    if not speaks:
        return None
    family = name.engine or "postgres"
    elsewhere = any(target is None and host.field in ("host", "url") and _family_of(host) == family for host, target in hosts)
    candidates = [service for service, engine in backing.engines.items() if _family(engine) == family]
    return candidates[0] if len(candidates) == 1 and not elsewhere else None


def _is_vendor(name: Name, value: str | None) -> bool:
    # DATABASE=postgres says which vendor, where DB_NAME=postgres says which database.
    return name.field == "database" and name.head == "" and (value or "").lower() in VENDORS


def _family(engine: str) -> str:
    return "redis" if engine == "valkey" else engine


def _family_of(name: Name) -> str | None:
    return name.engine or ("postgres" if name.generic else None)


def _fits(name: Name, engine: str) -> bool:
    return name.engine in (None, _family(engine))


def bind(
    service: str,
    environment: Mapping[str, str | None],
    backing: Backing,
    connections: Mapping[str, Connection],
    *,
    literal: bool,
    files: Collection[str] = (),
) -> Bindings:
    """Bind one service's environment.

    ``literal``: a plain password may be written into values (a file that only root reads); otherwise passwords travel only as the
    references that the connection gives, and what cannot be had so is unbound. ``files``: paths of the container whose content is bound.
    """
    result = Bindings({}, {}, [], [])
    found = references(environment, backing)
    passwords = {ref.backing for ref in found.values() if ref.field == "password" and ref.shape == "field"}
    for variable, value in environment.items():
        reference = found.get(variable)
        if reference is None:
            if value is not None:
                result.environment[variable] = value
            continue
        if reference.shape == "file" and value in files:
            # What is in the file is bound instead.
            result.environment[variable] = value or ""
            continue
        apart = reference.backing in passwords
        kind, text = led(result, service, variable, reference, value or "", connections, literal=literal, password_apart=apart)
        if kind == "value":
            result.environment[variable] = text
        elif kind == "secret":
            result.secrets[variable] = text
    _add_sslmode(service, found, connections, result)
    return result


def led(
    result: Bindings,
    service: str,
    variable: str,
    reference: Reference,
    old: str,
    connections: Mapping[str, Connection],
    *,
    literal: bool,
    password_apart: bool,
    in_file: bool = False,
) -> tuple[str, str]:
    """What a variable, or a file, gets that refers to a backing service, as :meth:`_Writer.write` says; noted in ``result``, also why it gets nothing.

    ``old``: what it holds until then. ``password_apart``: the service reads its password elsewhere. ``in_file``: nobody follows a reference there.
    """
    connection = connections.get(reference.backing)
    if connection is None:
        remedy = f"give connections.{reference.backing}, or keep it as a container with keep: [{reference.backing}]"
        kind, text = "unbound", f"{reference.backing} is left out and has no connection; {remedy}"
    else:
        kind, text = _Writer(connection, literal, password_apart).write(reference, old)
    if kind == "secret" and in_file:
        kind, text = "unbound", "its connection refers to a password, which nobody looks up for a file; let the app read a variable"
    entry = {"service": service, "variable": variable, "backing": reference.backing}
    if kind == "unbound":
        reason, _semicolon, remedy = text.partition("; ")
        result.unbound.append({**entry, "reason": reason, "remedy": remedy})
    else:
        result.bound.append({**entry, "field": reference.field})
    return kind, text


def _add_sslmode(service: str, found: Mapping[str, Reference], connections: Mapping[str, Connection], result: Bindings) -> None:
    # libpq and its kin read PGSSLMODE beside PGHOST: without it they would go on in plain text, or be refused.
    host = found.get("PGHOST")
    connection = connections.get(host.backing) if host else None
    if host and connection and connection.sslmode and "PGSSLMODE" not in {*result.environment, *result.secrets}:
        result.environment["PGSSLMODE"] = connection.sslmode
        result.bound.append({"service": service, "variable": "PGSSLMODE", "field": "sslmode", "backing": host.backing})


class _Writer:
    """Writes what one variable gets, as ("value", text), ("secret", reference) or ("unbound", "reason; remedy")."""

    def __init__(self, connection: Connection, literal: bool, password_apart: bool) -> None:
        self.connection = connection
        self.literal = literal
        self.password_apart = password_apart  # the service reads its password from another variable

    def write(self, reference: Reference, old: str) -> tuple[str, str]:
        connection = self.connection
        if reference.shape == "list":
            return "unbound", "the value names it among others; set the variable in a production Compose file"
        if reference.shape == "file":
            return "unbound", "it names a file that holds the value; let the app read the variable without _FILE"
        if reference.shape == "address":
            return "value", connection.address
        string = {"keywords": read_keywords, "options": read_options}.get(reference.shape, lambda _old: None)(old)
        if string is not None:
            return self._string(string)
        url = read_url(old) if reference.field == "url" else None
        if reference.field == "url":
            return self._url(url) if url else self._unwritten_url()
        if reference.field == "password":
            return self._password()
        text = field_value(connection, reference.field, old)
        if text is None:
            return "unbound", f"its connection gives no {reference.field}; add {reference.field} to connections.{reference.backing}"
        return "value", text

    def _password(self) -> tuple[str, str]:
        if self.connection.password_ref:
            return "secret", self.connection.password_ref
        if self.connection.password and self.literal:
            return "value", self.connection.password
        if self.connection.password:
            return "unbound", "a password is never written into this file; give password_ref, or set the variable as an environment secret"
        if self.connection.family == "redis" and not self.connection.url_ref:
            return "value", ""
        return "unbound", "its connection gives no password; add password_ref to the connection"

    def _unwritten_url(self) -> tuple[str, str]:
        scheme = {"postgres": "postgresql", "redis": "redis"}[self.connection.family]
        return self._url(Url(scheme, None, None, ("",), None, "", "", ""))

    def _url(self, old: Url) -> tuple[str, str]:
        connection = self.connection
        if old.base not in (POSTGRES_SCHEMES if connection.family == "postgres" else REDIS_SCHEMES):
            if old.username is None:
                return "value", f"{old.scheme}://{connection.address}" + (f"/{old.path}" if old.path else "")
            return "unbound", f"{old.scheme} is no scheme of {connection.engine}; set the variable in a production Compose file"
        in_query = re.search(r"(^|&)password=", old.query) is not None
        jdbc = old.scheme.lower().startswith("jdbc:")
        apart = (jdbc and not in_query) or (self.password_apart and old.password is None and not in_query)
        if not connection.authenticated or apart:
            return "value", url_for(connection, old, None)
        if connection.password and self.literal:
            return "value", url_for(connection, old, connection.password)
        if connection.url_ref and not jdbc and "+" not in old.scheme and (connection.family == "postgres" or old.path in ("", "0")):
            return "secret", connection.url_ref
        if connection.url_ref:
            return "unbound", "the URL that url_ref holds has another form; let the app take host, port and password apart"
        return "unbound", "a URL with its password is never written into this file; give url_ref to the connection"

    def _string(self, old: Keywords | Options) -> tuple[str, str]:
        connection = self.connection
        apart = old.field("password") is None if isinstance(old, Keywords) else self.password_apart
        if apart or not connection.authenticated:
            return "value", string_for(connection, old, None)
        if connection.password and self.literal:
            return "value", string_for(connection, old, connection.password)
        return "unbound", "a connection string with its password is never written into this file; let the app take its password apart"
