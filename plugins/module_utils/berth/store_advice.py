# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the services that stay containers are not told of the stores that leave, so that they would not get there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .bindings import Bindings
from .connections import Connection
from .dockerfiles import packages
from .notes import Notes
from .problems import listed
from .references import read_name

_EXAMPLES = {"postgres": "DATABASE_URL or PGHOST", "redis": "REDIS_URL or REDIS_HOST"}
# What a variable may say of a store that does not lead there.
_NO_PLACE = frozenset({"username", "password", "database", "sslmode", "tls"})


def without_tls(name: str, service: Mapping[str, Any], bindings: Bindings, connections: Mapping[str, Connection], notes: Notes) -> None:
    """Warn of clients that read no TLS from a URL: Bull, which says nothing and waits, and node-redis before its third release, which ends.

    Seen with Bull 3 and 4.16, and node-redis 2.8.
    """
    needed = packages(service.get("build") or {})
    deaf = {"Bull": "bull" in needed, "node-redis 2": re.match(r"[\^~=v]*[012]\b", needed.get("redis", "")) is not None}
    for target in sorted({entry["backing"] for entry in bindings.bound if entry["field"] == "url"} & connections.keys()):
        connection = connections[target]
        if connection.family == "redis" and connection.encrypted and any(deaf.values()):
            relaxed = connection.relaxed_by.get("tls")
            notes.advise(
                f"{name}: {target} asks for TLS now, which {listed(each for each, uses in deaf.items() if uses)} reads from no URL, so it never gets there; "
                "let the code give it host, port, password and tls: {}" + (f", or {relaxed} lets it in as it is" if relaxed else "")
            )


def without_password(name: str, bindings: Bindings, connections: Mapping[str, Connection], notes: Notes, *, literal: bool) -> None:
    """Warn where a service is led to a store that asks for a password, and no variable of it was ever one for a password; of Redis, for TLS too."""
    named = {entry["backing"] for entry in [*bindings.bound, *bindings.unbound]}
    # What holds a URL or a connection string says there whether it is TLS; so does libpq of itself.
    whole = {entry["backing"] for entry in bindings.bound if entry["field"] in ("url", "tls", "sslmode")}
    given = {entry["backing"] for entry in bindings.bound if entry["field"] == "password" or entry["variable"] in bindings.secrets}
    given |= {entry["backing"] for entry in bindings.unbound} | (
        {entry["backing"] for entry in bindings.bound if entry["field"] == "url"} if literal else set()
    )
    for target in sorted(named & connections.keys()):
        connection, head = connections[target], _head(target, connections[target], bindings)
        lacks = {}
        if connection.authenticated and target not in given:
            lacks["a password"] = (f"{head}PASSWORD", '""', "password")
        if connection.family == "redis" and connection.encrypted and target not in whole:
            # Spring reads its own itself.
            word = "SSL_ENABLED" if head.startswith("SPRING_DATA") else "SSL" if head.startswith("SPRING") else "TLS"
            lacks["TLS"] = (f"{head}{word}", '"false"', "tls")
        if lacks:
            written = ", ".join(f"{variable}: {value}" for variable, value, _what in lacks.values())
            relaxed = {connection.relaxed_by[what] for _variable, _value, what in lacks.values() if what in connection.relaxed_by}
            notes.advise(
                f"{name}: {target} asks for {listed(lacks)} now, of which no variable of the service tells; let it read such as "
                f"{listed(variable for variable, _value, _what in lacks.values())}, and name {'them' if len(lacks) > 1 else 'it'} in the Compose file "
                f"({written}): what holds here is put there"
                + (f". If it cannot, {listed(relaxed)} {'let' if len(relaxed) > 1 else 'lets'} it in as it is" if relaxed else "")
            )


def without_names(name: str, bindings: Bindings, connections: Mapping[str, Connection], given: Iterable[str], notes: Notes) -> None:
    """Warn where a service is told where its Postgres is and not what its database or its user is called: what its code has for that is another.

    ``given``: the variables that are set from outside, which may say it.
    """
    said = [read_name(each) for each in given]
    for target in sorted({entry["backing"] for entry in bindings.bound if entry["field"] == "host"} & connections.keys()):
        connection, head = connections[target], _head(target, connections[target], bindings)
        fields = {entry["field"] for entry in bindings.bound if entry["backing"] == target}
        told = fields | {each.field for each in said if each.generic or each.engine == "postgres"}
        # What could not be led there is told of by itself.
        if connection.family != "postgres" or "url" in fields or any(entry["backing"] == target for entry in bindings.unbound):
            continue
        lacks = {what: f"{head}{word}" for what, word in (("database", "DATABASE"), ("username", "USER")) if what not in told}
        # Of libpq's own, a database that nobody names is called as its user.
        if head == "PG" and "username" in told and connection.username == connection.database:
            lacks.pop("database", None)
        if lacks:
            theirs, words = {"username": connection.username, "database": connection.database}, {"username": "user", "database": "database"}
            notes.advise(
                f"{name}: no variable of the service says what the {' and the '.join(words[what] for what in lacks)} of {target} {'are' if len(lacks) > 1 else 'is'} called, and what "
                f"its code has for it may be another than {listed({str(theirs[what]) for what in lacks})}; let it read such as {listed(lacks.values())}, and name "
                f"{'them' if len(lacks) > 1 else 'it'} in the Compose file: what holds here is put there"
            )


def _head(target: str, connection: Connection, bindings: Bindings) -> str:
    """How variables begin that speak of a store, as far as the one for its place tells: ``CACHE_`` of ``CACHE_HOST``."""
    places = [entry["variable"] for entry in bindings.bound if entry["backing"] == target and entry["field"] in ("host", "url")]
    heads = [each[: -len(end)] for end in ("HOST", "URL") for each in places if each.endswith(end) and each != end]
    return heads[0] if heads else {"postgres": "PG", "redis": "REDIS_"}[connection.family]


def unled(
    stays: Mapping[str, Any], bindings: Mapping[str, Bindings], connections: Mapping[str, Connection], given: Iterable[str], notes: Notes
) -> None:
    """Warn of a store that leaves and that nobody is led to: an app that has its place written in its code stays behind there.

    ``given``: the variables that are set from outside, which may lead there in their own way. One for its user or its password leads nowhere.
    """
    bound = [entry for each in bindings.values() for entry in each.bound if entry["field"] not in _NO_PLACE]
    led = {entry["backing"] for entry in [*bound, *(entry for each in bindings.values() for entry in each.unbound)]}
    spoken = {each.engine or ("postgres" if each.generic else None) for each in map(read_name, given)}
    for store, connection in connections.items():
        if store in led or connection.family in spoken:
            continue
        waiting = sorted(name for name, each in stays.items() if store in (each.get("depends_on") or {}))
        who = f"{listed(waiting)}, which {'waits' if len(waiting) == 1 else 'wait'} for {store}," if waiting else "any service"
        notes.advise(
            f"no variable of {who} leads to {store}: where it is written in code or in an image, it is still what it was; "
            f"let the app read it, such as {_EXAMPLES[connection.family]}, and set that in the Compose file"
        )
