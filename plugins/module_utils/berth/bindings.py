# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead an app's environment variables from the backing services of its Compose file to where those live now."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from .composed import Composed
from .connection_strings import Keywords, Options, database_in, read_keywords, read_options, string_for
from .connections import Connection, field_value, url_for
from .references import POSTGRES_SCHEMES, REDIS_SCHEMES, Url, read_url
from .referring import Backing, Reference, references

# Celery's result backend begins with no URL under TLS that does not say how it verifies, in words that redis-py has too:
# https://docs.celeryq.dev/en/stable/userguide/configuration.html#redis-backend-settings
_CELERY = re.compile(r"CELERY|(?:^|_)RESULT_BACKEND$", re.IGNORECASE)
_VERIFIED = "ssl_cert_reqs=required"


class Bindings(NamedTuple):
    """A service's environment after binding.

    ``environment``: variable to text; ``secrets``: variable to secret reference. ``bound``: {service, variable, field, backing} each;
    ``unbound``: {service, variable, backing, reason, remedy} each: these variables are in neither of the first two.
    """

    environment: dict[str, str]
    secrets: dict[str, str]
    bound: list[dict[str, str]]
    unbound: list[dict[str, str]]


def bind(
    service: str,
    environment: Mapping[str, str | None],
    backing: Backing,
    connections: Mapping[str, Connection],
    *,
    literal: bool,
    files: Collection[str] = (),
    celery: bool = False,
    composed: Composed | None = None,
) -> Bindings:
    """Bind one service's environment.

    ``literal``: a plain password may be written into values (a file that only root reads); otherwise passwords travel only as the
    references that the connection gives, and what cannot be had so is unbound. ``files``: paths of the container whose content is bound.
    ``celery``: the service runs Celery, or is of the same program. ``composed``: who keeps texts that have a password in them, where none may be written.
    """
    result = Bindings({}, {}, [], [])
    found = references(environment, backing)
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
        kind, text = led(
            result,
            service,
            variable,
            reference,
            value or "",
            connections,
            literal=literal,
            apart=read_apart(found.values(), reference.backing),
            celery=celery,
            composed=composed,
        )
        if kind == "value":
            result.environment[variable] = text
        elif kind == "secret":
            result.secrets[variable] = text
    add_sslmode(service, found, connections, result)
    return result


def read_apart(found: Iterable[Reference], backing: str) -> frozenset[str]:
    """What of a backing service is read from variables, or parts of a text, of its own: ``password``, ``username`` and so on."""
    return frozenset(each.field for each in found if each.backing == backing and each.shape == "field")


def led(
    result: Bindings,
    service: str,
    variable: str,
    reference: Reference,
    old: str,
    connections: Mapping[str, Connection],
    *,
    literal: bool,
    apart: frozenset[str],
    within: bool = False,
    celery: bool = False,
    composed: Composed | None = None,
) -> tuple[str, str]:
    """What a variable, a file or a part of one gets that refers to a backing service, as :meth:`_Writer.write` says; noted in ``result``, also why it gets nothing.

    ``old``: what it holds until then. ``apart``: what the service reads elsewhere (:func:`read_apart`). ``within``: it is a part of a file or
    of a longer text, where nobody follows a reference.
    """
    needed = {reference.backing, *(target for _part, target in reference.parts if target)}
    if missing := sorted(needed - connections.keys()):
        remedy = f"give connections.{missing[0]}, or keep it as a container with keep: [{missing[0]}]"
        kind, text = "unbound", f"{missing[0]} is left out and has no connection; {remedy}"
    elif reference.shape == "list":
        kind, text = _list(reference, connections)
    else:
        connection = connections[reference.backing]
        for_celery = _CELERY.search(variable) is not None or (celery and "CACHE" not in variable.upper())
        writer = _Writer(connection, literal, apart, for_celery)
        kind, text = writer.write(reference, old)
        if composed and (kind == "unbound" or (kind == "secret" and writer.loses(reference, old))):
            written = _Writer(composed.standing_in(connection), True, apart, for_celery).write(reference, old)
            kind, text = ("secret", ref) if written[0] == "value" and (ref := composed.reference(variable, written[1])) else (kind, text)
    if kind == "secret" and within:
        kind, text = (
            "unbound",
            "its connection refers to a password, which nobody looks up within a text; let the app read a variable that holds it alone",
        )
    entry = {"service": service, "variable": variable, "backing": reference.backing}
    if kind == "unbound":
        reason, _semicolon, remedy = text.partition("; ")
        result.unbound.append({**entry, "reason": reason, "remedy": remedy})
    else:
        result.bound.append({**entry, "field": reference.field})
    return kind, text


def _list(reference: Reference, connections: Mapping[str, Connection]) -> tuple[str, str]:
    """A list of places, as what waits for them has it, where each says no more than where it is."""
    written = ""
    for part, target in reference.parts:
        url = read_url(part) if target else None
        if url and (url.base in POSTGRES_SCHEMES | REDIS_SCHEMES or url.username is not None):
            return "unbound", "the value has it in a list, with how to connect; set the variable in a production Compose file"
        address = connections[target].address if target else part
        written += f"{url.scheme}://{address}" + (f"/{url.path}" if url.path else "") if url else address
    return "value", written


def add_sslmode(service: str, found: Mapping[str, Reference], connections: Mapping[str, Connection], result: Bindings) -> None:
    """Say TLS to libpq and its kin, node-postgres too, which read PGSSLMODE whoever told them the host: they would go on in plain text, or be refused."""
    told = {reference.backing for reference in found.values() if reference.field in ("tls", "sslmode")}
    hosts = [reference.backing for reference in found.values() if reference.field in ("host", "address") and reference.backing not in told]
    for backing in hosts:
        connection = connections.get(backing)
        mode = connection.sslmode if connection and connection.family == "postgres" else None
        if mode and "PGSSLMODE" not in {*result.environment, *result.secrets}:
            result.environment["PGSSLMODE"] = mode
            result.bound.append({"service": service, "variable": "PGSSLMODE", "field": "sslmode", "backing": backing})


def add_pgssl(result: Bindings) -> None:
    """Say TLS to postgres.js, which reads libpq's variables, but for PGSSLMODE: https://github.com/porsager/postgres#environmental-variables"""
    mode = result.environment.get("PGSSLMODE")
    added = next((each for each in result.bound if each["variable"] == "PGSSLMODE"), None)
    if mode and added and "PGSSL" not in {*result.environment, *result.secrets}:
        result.environment["PGSSL"] = mode
        result.bound.append({**added, "variable": "PGSSL"})


class _Writer:
    """Writes what one variable gets, as ("value", text), ("secret", reference) or ("unbound", "reason; remedy")."""

    def __init__(self, connection: Connection, literal: bool, apart: frozenset[str], for_celery: bool) -> None:
        self.connection = connection
        self.literal = literal
        self.password_apart = "password" in apart
        # Such as what is handed to JDBC, which takes a user before the host for a part of its name.
        self.user_apart = "username" in apart
        self.for_celery = for_celery and connection.family == "redis" and connection.encrypted

    def write(self, reference: Reference, old: str) -> tuple[str, str]:
        connection = self.connection
        if why := connection.why_not(database_in(old, reference.shape, reference.field)):
            return "unbound", why
        if reference.shape == "file":
            return "unbound", "it names a file that holds the value; let the app read the variable without _FILE"
        if reference.shape == "address":
            return "value", connection.address
        string = read_keywords(old) if reference.shape == "keywords" else read_options(old) if reference.shape == "options" else None
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

    def loses(self, reference: Reference, old: str) -> bool:
        """Whether a URL has parameters of its own, such as Prisma's ``schema=shop``, which the one in a secret has not."""
        url = read_url(old) if reference.field == "url" else None
        if not url:
            return False
        bare = url._replace(query=_VERIFIED if self.for_celery else "", fragment="")
        return url_for(self.connection, url, None) != url_for(self.connection, bare, None)

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
        in_query = old.is_nocodb or re.search(r"(^|&)password=", old.query) is not None
        jdbc = old.scheme.lower().startswith("jdbc:")
        if self.for_celery and "ssl_cert_reqs" not in old.query:
            old = old._replace(query=f"{old.query}&{_VERIFIED}".lstrip("&"))
        apart = (jdbc and not in_query) or (self.password_apart and old.password is None and not in_query)
        if not connection.authenticated or apart:
            return "value", url_for(connection, old, None, named=not (apart and self.user_apart and old.username is None))
        if connection.password and self.literal:
            return "value", url_for(connection, old, connection.password)
        own = old.path not in connection.databases if connection.family == "postgres" else old.path in ("", "0")
        whole = connection.url_refs.get("celery" if self.for_celery else old.scheme.lower())
        if not whole and not (jdbc or self.for_celery or "+" in old.scheme or old.is_nocodb or old.base == "ecto"):
            whole = connection.url_ref
        if whole and own:
            return "secret", whole
        if self.for_celery and not whole:
            return (
                "unbound",
                f"Celery takes no URL under TLS without {_VERIFIED}, which the one that url_ref holds has not; give url_refs.celery to the connection",
            )
        if connection.url_ref:
            return (
                "unbound",
                "the URL that url_ref holds has another form; let the app take host, port and password apart, or give url_refs",
            )
        return "unbound", "a URL with its password is never written into this file; give url_ref to the connection"

    def _string(self, old: Keywords | Options) -> tuple[str, str]:
        connection = self.connection
        apart = old.field("password") is None if isinstance(old, Keywords) else self.password_apart
        if apart or not connection.authenticated:
            return "value", string_for(connection, old, None)
        if connection.password and self.literal:
            if isinstance(old, Options) and "," in connection.password:
                # StackExchange.Redis parts its options at commas, and has no marks to quote them.
                return "unbound", "its password has a comma, where this string ends a word; give it a password without one"
            return "value", string_for(connection, old, connection.password)
        return "unbound", "a connection string with its password is never written into this file; let the app take its password apart"
