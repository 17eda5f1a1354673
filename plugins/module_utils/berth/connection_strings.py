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
    """A keyword connection string: pairs of keyword as written and value, the separator between pairs, and what stands before them (PDO's ``pgsql:``)."""

    pairs: tuple[tuple[str, str], ...]
    separator: str
    before: str = ""

    def field(self, name: str) -> str | None:
        """The value of a field (host, port, username, password, database, sslmode), or None."""
        return next((value for keyword, value in self.pairs if keyword_field(keyword) == name), None)

    @property
    def is_dotnet(self) -> bool:
        """Whether it is .NET's, and not libpq's, as PDO's is too: it has semicolons for spaces."""
        return self.separator == ";" and not self.before


_BEFORE = re.compile(r"(?:pgsql|dbi:pg):(?!//)", re.IGNORECASE)
_KEYWORD = r"\s*(?P<keyword>[A-Za-z][\w. ]*?)\s*=\s*"
_LIBPQ_QUOTED = r"'(?:[^'\\]|\\.)*'"
_DOTNET_QUOTED = r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
_LIBPQ = re.compile(rf"{_KEYWORD}(?P<value>{_LIBPQ_QUOTED}|(?!')\S*)(?:\s+|$)", re.DOTALL)
_PDO = re.compile(rf"{_KEYWORD}(?P<value>{_LIBPQ_QUOTED}|(?!')[^;]*?)\s*(?:;|$)", re.DOTALL)
_DOTNET_PAIR = re.compile(rf"{_KEYWORD}(?P<value>{_DOTNET_QUOTED}|[^;]*?)\s*(?:;|$)", re.DOTALL)


def keyword_field(keyword: str) -> str | None:
    """The connection field that a keyword holds: ``database`` of ``Initial Catalog``."""
    return _KEYWORDS.get(re.sub(r"[\s_]", "", keyword).lower())


def read_keywords(value: str) -> Keywords | None:
    """``host=db port=5432 user=a``, ``Host=db;Port=5432;Username=a`` or ``pgsql:host=db;dbname=a``; None for any other shape.

    Sources: https://www.postgresql.org/docs/current/libpq-connect.html, https://www.php.net/manual/en/ref.pdo-pgsql.connection.php, and
    DbConnectionStringBuilder of .NET.
    """
    before = found[0] if (found := _BEFORE.match(value.strip())) else ""
    text = value.strip()[len(before) :]
    separator = ";" if ";" in re.sub(_LIBPQ_QUOTED, "", text) or before else " "
    pair = _LIBPQ if separator == " " else _PDO if before else _DOTNET_PAIR
    pairs, place = [], 0
    while place < len(text):
        if text[place:].strip(" ;") == "":
            break
        found = pair.match(text, place)
        if not found:
            return None
        pairs.append((found["keyword"], _unquoted(found["value"], dotnet=pair is _DOTNET_PAIR)))
        place = found.end()
    result = Keywords(tuple(pairs), separator, before)
    # A URL is no host; a password may have the marks of one.
    return result if "://" not in (result.field("host") or "://") else None


def _unquoted(value: str, *, dotnet: bool) -> str:
    mark = value[:1]
    if len(value) < 2 or mark not in ("'", '"') or not value.endswith(mark) or (mark == '"' and not dotnet):
        return value
    return value[1:-1].replace(mark * 2, mark) if dotnet else re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)


def _quoted(value: str, *, dotnet: bool) -> str:
    if dotnet:
        plain = re.fullmatch(r"[^\s;'\"=](?:[^;'\"=]*[^\s;'\"=])?", value)
        return value if plain or not value else '"' + value.replace('"', '""') + '"'
    return value if re.fullmatch(r"[^\s;'\\]+", value) else "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"


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


def _sslmode(mode: str | None, *, dotnet: bool) -> str | None:
    # Npgsql reads the names of its SslMode alone, whatever the case: VerifyFull, where libpq has verify-full.
    return mode.replace("-", "") if mode and dotnet else mode


def _keywords_for(connection: Connection, old: Keywords, password: str | None) -> str:
    values = {
        "host": connection.host,
        "port": str(connection.port),
        "username": connection.username,
        "database": connection.database_for(old.field("database") or ""),
        "password": password,
        "sslmode": _sslmode(connection.sslmode, dotnet=old.is_dotnet),
    }
    pairs = [(keyword, values.get(keyword_field(keyword) or "") or value) for keyword, value in old.pairs]
    if old.field("port") is None:
        pairs.append(("Port" if old.is_dotnet else "port", str(connection.port)))
    if connection.sslmode and old.field("sslmode") is None:
        pairs.append(("SSL Mode" if old.is_dotnet else "sslmode", values["sslmode"] or ""))
    return old.before + old.separator.join(f"{keyword}={_quoted(value, dotnet=old.is_dotnet)}" for keyword, value in pairs)


def _options_for(connection: Connection, old: Options, password: str | None) -> str:
    replaced = {"user": connection.username, "password": password, "ssl": "true" if connection.encrypted else None}
    # What one server has for its certificate's name is not what another has.
    kept = [(keyword, value) for keyword, value in old.pairs if keyword.lower() not in {*replaced, "sslhost"}]
    given = [(keyword, value) for keyword, value in replaced.items() if value]
    return ",".join([connection.address, *(f"{keyword}={value}" for keyword, value in (*given, *kept))])
