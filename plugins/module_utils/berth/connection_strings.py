# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection strings that are no URLs: pairs of a keyword and a value, read from an app's variables and written for where its stores live now."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from .connections import Connection
from .references import read_host_port, read_url

# The keywords of libpq's and of .NET's connection strings, squeezed and lowered, to the field they hold.
_KEYWORDS = {
    "host": "host",
    "server": "host",
    "datasource": "host",
    "hostaddr": "host",
    "port": "port",
    "user": "username",
    "userid": "username",
    "uid": "username",
    "username": "username",
    "password": "password",
    "pwd": "password",
    "dbname": "database",
    "database": "database",
    "initialcatalog": "database",
    "sslmode": "sslmode",
}


class Keywords(NamedTuple):
    """A keyword connection string: pairs of keyword as written and value, and the separator between pairs."""

    pairs: tuple[tuple[str, str], ...]
    separator: str

    def field(self, name: str) -> str | None:
        """The value of a field (host, port, username, password, database, sslmode), or None."""
        return next((value for keyword, value in self.pairs if keyword_field(keyword) == name), None)


def keyword_field(keyword: str) -> str | None:
    """The connection field that a keyword holds: ``database`` of ``Initial Catalog``."""
    return _KEYWORDS.get(re.sub(r"[\s_]", "", keyword).lower())


def read_keywords(value: str) -> Keywords | None:
    """``host=db port=5432 user=a`` or ``Host=db;Port=5432;Username=a``; None for any other shape."""
    if "://" in value:
        return None
    separator = ";" if ";" in value else " "
    pairs = []
    for part in filter(None, (part.strip() for part in value.split(separator))):
        keyword, equals, text = part.partition("=")
        if not equals:
            return None
        pairs.append((keyword.strip(), text.strip().strip("'")))
    result = Keywords(tuple(pairs), separator)
    return result if result.field("host") is not None else None


class Options(NamedTuple):
    """StackExchange.Redis's configuration: ``hosts`` without ports, and the options after them, keyword as written and value.

    Source: https://stackexchange.github.io/StackExchange.Redis/Configuration
    """

    hosts: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


# As .NET reads ConnectionStrings:Redis and Redis:Configuration from the environment: sections are separated by two underscores.
_DOTNET = re.compile(r"connection_?strings?__|__(?:.*_)?(?:connection_?string|configuration)$", re.IGNORECASE)


def database_in(value: str, shape: str, field: str) -> str:
    """The database that a value names, or the empty string. ``shape`` and ``field``: as :class:`referring.Reference` has them."""
    if field == "url" and shape in ("url", "field"):
        url = read_url(value)
        return unquote(url.path) if url else ""
    if shape == "keywords":
        keywords = read_keywords(value)
        return (keywords.field("database") or "") if keywords else ""
    return value if (shape, field) == ("field", "database") else ""


def is_dotnet(variable: str) -> bool:
    """Whether .NET reads a variable as a connection string: one that is bare hosts has no place for a password, or TLS, but its options."""
    return _DOTNET.search(variable) is not None


def read_options(value: str) -> Options | None:
    """``redis:6379,password=a,ssl=true``, also without options; None for any other shape."""
    hosts: list[str] = []
    pairs: list[tuple[str, str]] = []
    for part in (each.strip() for each in value.strip().rstrip(",").split(",")):
        keyword, equals, text = part.partition("=")
        host = (read_host_port(part) or (part,))[0]
        if equals and hosts and re.fullmatch(r"\$?\w+", keyword.strip()):
            pairs.append((keyword.strip(), text.strip()))
        elif not equals and not pairs and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", host):
            hosts.append(host)
        else:
            return None
    return Options(tuple(hosts), tuple(pairs)) if hosts else None


def string_for(connection: Connection, old: Keywords | Options, password: str | None) -> str:
    """A connection string like ``old`` that leads to ``connection``, with ``password`` in it where one is given."""
    return _keywords_for(connection, old, password) if isinstance(old, Keywords) else _options_for(connection, old, password)


def _keywords_for(connection: Connection, old: Keywords, password: str | None) -> str:
    values = {
        "host": connection.host,
        "port": str(connection.port),
        "username": connection.username,
        "database": connection.database_for(old.field("database") or ""),
        "password": password,
        "sslmode": connection.sslmode,
    }
    pairs = [(keyword, values.get(keyword_field(keyword) or "") or value) for keyword, value in old.pairs]
    if old.field("port") is None:
        pairs.append(("Port" if old.separator == ";" else "port", str(connection.port)))
    if connection.sslmode and old.field("sslmode") is None:
        pairs.append(("SSL Mode" if old.separator == ";" else "sslmode", connection.sslmode))
    quoted = [f"{key}='{value}'" if old.separator == " " and " " in value else f"{key}={value}" for key, value in pairs]
    return old.separator.join(quoted)


def _options_for(connection: Connection, old: Options, password: str | None) -> str:
    replaced = {"user": connection.username, "password": password, "ssl": "true" if connection.encrypted else None}
    # What one server has for its certificate's name is not what another has.
    kept = [(keyword, value) for keyword, value in old.pairs if keyword.lower() not in {*replaced, "sslhost"}]
    given = [(keyword, value) for keyword, value in replaced.items() if value]
    return ",".join([connection.address, *(f"{keyword}={value}" for keyword, value in (*given, *kept))])
