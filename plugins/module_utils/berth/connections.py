# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A slot's connection, and the text that a variable gets from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from .problems import BerthError, suggestion
from .references import Url, percent_encoded
from .release_model import AUTHORITIES

ENGINE_PORTS = {"postgres": 5432, "redis": 6379, "valkey": 6379}
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_KEYS = (
    "engine",
    "host",
    "port",
    "database",
    "databases",
    "username",
    "password",
    "password_ref",
    "url_ref",
    "url_refs",
    "tls",
    "relaxed_by",
)

_TEXTS = ("database", "username", "password", "password_ref", "url_ref")


class Connection(NamedTuple):
    """Where a backing service lives now. ``sslmode`` is libpq's word for ``tls`` (for redis: anything but None or disable is TLS).

    ``url_refs``: as ``url_ref``, by form: the scheme of the URL, or celery.
    ``ca``: the certificates of who signs what the server shows, PEM. ``databases``: those beside ``database`` in the same server, which keep their names; ``unkept``: names that the app has for others, which
    are not there. ``relaxed_by``: the settings that let in clients that speak no TLS (``tls``) and give no password (``password``), such as
    ``redis_container_tls=preferred``.
    """

    engine: str
    host: str
    port: int
    database: str | None = None
    username: str | None = None
    password: str | None = None
    password_ref: str | None = None
    url_ref: str | None = None
    url_refs: Mapping[str, str] = {}
    sslmode: str | None = None
    databases: tuple[str, ...] = ()
    unkept: tuple[str, ...] = ()
    ca: str = ""
    relaxed_by: Mapping[str, str] = {}

    def database_for(self, old: str) -> str | None:
        """The database that stands for one of the Compose file's."""
        return old if old in self.databases else self.database

    def why_not(self, old: str) -> str:
        """Why none stands for one of the Compose file's, and what to do; the empty string where one does."""
        if old not in self.unkept:
            return ""
        if old == self.database:
            return f"the database {old} is called as the app's own is now; call it otherwise"
        return f"the database {old} is not the app's own, and none beside that is kept for it; name it in app_databases"

    @property
    def family(self) -> str:
        """postgres or redis: valkey speaks redis."""
        return "redis" if self.engine == "valkey" else self.engine

    @property
    def encrypted(self) -> bool:
        """Whether clients have to speak TLS."""
        return self.sslmode not in (None, "disable")

    @property
    def authenticated(self) -> bool:
        """Whether the store asks for a password."""
        return bool(self.password or self.password_ref or self.url_ref or self.url_refs)

    @property
    def address(self) -> str:
        """``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_connection(name: str, given: Mapping[str, Any], engine: str | None) -> Connection:
    """Check one entry of ``connections``. ``engine`` is what the service's image says, or None.

    Raises :class:`BerthError` naming ``connections.<name>.<key>``.
    """
    where = f"connections.{name}"
    for key in given:
        if key not in _KEYS:
            raise BerthError(f"{where}: unknown key {key!r}{suggestion(str(key), _KEYS)}")
    kind = given.get("engine") or engine
    if kind not in ENGINE_PORTS:
        raise BerthError(f"{where}.engine: {kind!r} is not one of postgres, redis, valkey")
    host = given.get("host")
    if not host or not isinstance(host, str) or re.search(r"[\s/@]", host):
        raise BerthError(f"{where}.host: {host!r} is not a host name or an address")
    try:
        port = int(given.get("port") or ENGINE_PORTS[kind])
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        raise BerthError(f"{where}.port: {given.get('port')!r} is not a port number")
    text = {key: str(given[key]) for key in _TEXTS if given.get(key) not in (None, "")}
    others = given.get("databases") or ()
    if isinstance(others, (str, Mapping)) or not all(isinstance(each, str) and each for each in others):
        raise BerthError(f"{where}.databases: {others!r} is no list of names")
    databases = tuple(each for each in others if each != text.get("database"))
    more: dict[str, Any] = {**text, "databases": databases, "sslmode": _sslmode(where, given.get("tls"))}
    forms = given.get("url_refs") or {}
    if not isinstance(forms, Mapping):
        raise BerthError(f"{where}.url_refs: {forms!r} is no dictionary of a URL's form to an ARN")
    more["url_refs"] = {str(form): str(ref) for form, ref in forms.items()}
    relaxed = given.get("relaxed_by") or {}
    if not isinstance(relaxed, Mapping):
        raise BerthError(f"{where}.relaxed_by: {relaxed!r} is no dictionary of tls and password to a setting")
    more["relaxed_by"] = {str(what): str(setting) for what, setting in relaxed.items()}
    more["ca"] = str(given["tls"].get("ca") or "") if isinstance(given.get("tls"), Mapping) else ""
    return Connection(kind, host, port, **more)


def _sslmode(where: str, tls: Any) -> str | None:
    mode = tls.get("mode", "verify-full") if isinstance(tls, Mapping) else tls
    if mode in (None, False, "", "false", "False", "no"):
        return None
    if mode in (True, "true", "True", "yes"):
        return "require"
    if mode not in SSL_MODES:
        raise BerthError(f"{where}.tls: {mode!r} is not a boolean and not one of {', '.join(SSL_MODES)}")
    return str(mode)


def field_value(connection: Connection, field: str, old: str) -> str | None:
    """The plain text of host, port, username, database, tls or sslmode; None when the connection does not give it."""
    if field == "database":
        # A redis database is an index that the app chooses.
        return connection.database_for(old) or (old if connection.family == "redis" else None)
    if field == "tls":
        on, off = {"1": ("1", "0"), "0": ("1", "0"), "yes": ("yes", "no"), "no": ("yes", "no")}.get(old.lower(), ("true", "false"))
        return on if connection.encrypted else off
    if field == "sslmode":
        return connection.sslmode or "disable"
    if field == "username" and connection.family == "redis":
        # Whom a password without a user's name is of.
        return connection.username or (old and "default")
    return {"host": connection.host, "port": str(connection.port), "username": connection.username}.get(field)


def _tls_words(url: Url, mode: str, authorities: str) -> list[tuple[str, str]]:
    """How a URL says that it is TLS: libpq's way, but for who ends with an error at that, or does not know it.

    ``authorities``: the file of those that are believed, for who reads no variable that names it; the empty string where there is none.
    """
    scheme = url.scheme.lower()
    if url.base == "ecto":
        return [("ssl", "true")]
    if scheme.endswith("+asyncpg"):
        # SQLAlchemy hands it on as an argument, which asyncpg calls so.
        return [("ssl", mode)]
    r2dbc = scheme.startswith("r2dbc:")
    words = [("sslMode" if r2dbc else "sslmode", mode)]
    if authorities and mode.startswith("verify-") and (r2dbc or scheme.startswith("jdbc:")):
        # https://jdbc.postgresql.org/documentation/ssl/
        words.append(("sslRootCert" if r2dbc else "sslrootcert", authorities))
    return words


def url_for(connection: Connection, old: Url, password: str | None, *, named: bool = True) -> str:
    """A URL like ``old`` that leads to ``connection``, with ``password`` in it where one is given. ``named``: it says who connects.

    Scheme (``rediss`` under TLS; a ``jdbc:`` or ``+driver`` stays), user, percent-encoded password, host, port, database and sslmode
    are the connection's; other query parameters stay.
    """
    scheme, jdbc = old.scheme, old.scheme.lower().startswith("jdbc:")
    path, query = old.path, parse_qsl(old.query, keep_blank_values=True)
    user = connection.username if named and not jdbc else None
    if connection.family == "redis":
        # django-environ knows no other scheme under TLS.
        scheme = re.sub(r"rediscache$", "rediss", scheme) if connection.encrypted else scheme
        scheme = re.sub(r"(redis|valkey)s?$", rf"\1{'s' if connection.encrypted else ''}", scheme, flags=re.IGNORECASE)
        path = old.path or (connection.database or "")
    else:
        database = connection.database_for(unquote(old.path))
        path = percent_encoded(database) if database else old.path
        query = [
            (key, value)
            for key, value in query
            if key not in ("sslmode", "sslMode", "ssl", "sslrootcert", "sslRootCert", "host", "port", "dbname")
        ]
        if connection.sslmode:
            query += _tls_words(old, connection.sslmode, AUTHORITIES if connection.ca else "")
    replaced = {"user": connection.username, "username": connection.username, "password": password}
    if old.is_nocodb:
        asked = dict(query).get("d", "")
        replaced = {"u": connection.username, "p": password, "d": connection.database_for(asked)}
        user, path = None, ""
    query = [(key, replaced.get(key) or value) for key, value in query if key not in replaced or replaced[key]]
    userinfo = percent_encoded(user) if user else ""
    if password and not jdbc and not old.is_nocodb:
        userinfo += ":" + percent_encoded(password)
    authority = f"{userinfo}@{connection.address}" if userinfo else connection.address
    text = f"{scheme}://{authority}"
    if path or old.query:
        text += f"/{path}"
    if query:
        text += "?" + urlencode(query)
    return text + (f"#{old.fragment}" if old.fragment else "")
