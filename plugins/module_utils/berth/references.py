# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an environment variable refers to, read from its name and from the shape of its value, never from the value's text alone.

In many an app ``PGHOST=postgres``, ``PGUSER=postgres`` and ``PGDATABASE=postgres`` all equal a service's name, and only the first
is a host.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

# The last words of a variable's name, longest first, to the field of a connection they ask for.
_FIELDS = {
    "CONNECTION_STRING": "url",
    "CONNECTION_URL": "url",
    "CONNECTION_URI": "url",
    "DATABASE_NAME": "database",
    "RESULT_BACKEND": "url",
    "MASTER_HOST": "host",
    "PRIMARY_HOST": "host",
    "BROKER_URL": "url",
    "USER_NAME": "username",
    "HOST_NAME": "host",
    "SSL_MODE": "sslmode",
    "TLS_ENABLED": "tls",
    "SSL_ENABLED": "tls",
    "DB_NAME": "database",
    "USE_SSL": "tls",
    "USE_TLS": "tls",
    "SSLMODE": "sslmode",
    "HOSTNAME": "host",
    "HOSTADDR": "host",
    "HOST": "host",
    "ADDRESS": "host",
    "ADDR": "host",
    "SERVER": "host",
    "ENDPOINT": "host",
    "PORT": "port",
    "PORTNUMBER": "port",
    "USERNAME": "username",
    "USER": "username",
    "LOGIN": "username",
    "PASSWORD": "password",
    "PASSWD": "password",
    "PASS": "password",
    "PWD": "password",
    "PW": "password",
    "AUTH": "password",
    "AUTH_TOKEN": "password",
    "REQUIREPASS": "password",
    "DATABASE": "database",
    "DBNAME": "database",
    "DB": "database",
    "NAME": "database",
    "URL": "url",
    "URI": "url",
    "DSN": "url",
    "SSL": "tls",
    "TLS": "tls",
}
_SUFFIXES = sorted(_FIELDS, key=len, reverse=True)
# Words of a variable's name that say which engine it speaks of; the generic ones mean the one relational database there is.
_ENGINE_WORDS = {
    **dict.fromkeys(("POSTGRES", "POSTGRESQL", "POSTGRESDB", "PG", "PSQL", "PGSQL"), "postgres"),
    **dict.fromkeys(("REDIS", "VALKEY"), "redis"),
    **dict.fromkeys(
        """MYSQL MARIADB MONGO MONGODB RABBITMQ AMQP ELASTIC ELASTICSEARCH MEMCACHE MEMCACHED KAFKA CLICKHOUSE MSSQL SQLSERVER SQLITE NEO4J
        CASSANDRA SCYLLA COUCH COUCHDB COUCHBASE ARANGO ARANGODB RETHINKDB SURREAL SURREALDB INFLUX INFLUXDB QUESTDB DGRAPH COCKROACH COCKROACHDB TIDB
        DYNAMO DYNAMODB FIREBASE FIRESTORE SNOWFLAKE BIGQUERY DUCKDB OPENSEARCH MEILI MEILISEARCH TYPESENSE SOLR QDRANT WEAVIATE MILVUS CHROMA CHROMADB
        PINECONE ETCD CONSUL ZOOKEEPER NATS MQTT""".split(),
        "other",
    ),
    **dict.fromkeys(("SMTP", "MAIL", "EMAIL", "LDAP", "S3", "MINIO", "PGADMIN", "PGBOUNCER", "SENTINEL"), "other"),
}
GENERIC_WORDS = frozenset({"DB", "DATABASE", "DATASOURCE", "RDS", "SQL", "SQLALCHEMY", "JDBC", "TYPEORM", "R2DBC", "RDBMS"})
# After which a name says what something is called that is of the database's kind, not only in its group.
_DATABASES = frozenset(
    {*GENERIC_WORDS, *(word for word, engine in _ENGINE_WORDS.items() if engine != "other"), "DEFAULT", "MAIN", "PRIMARY"}
)
# Django's, Ecto's and django-environ's names for them among them.
POSTGRES_SCHEMES = frozenset({"postgres", "postgresql", "pgsql", "postgis", "psql", "pg", "ecto"})
REDIS_SCHEMES = frozenset({"redis", "rediss", "valkey", "valkeys", "rediscache"})
# What Celery writes before the scheme of a database: db+postgresql, sqla+postgresql.
_CELERY = ("db", "sqla")


class Name(NamedTuple):
    """A variable's name in parts.

    ``field``: host, port, username, password, database, url, tls, sslmode or None. ``head``: the name without its field (``DJANGO_DB``
    of ``DJANGO_DB_HOST``); ``prefix``: what the variables of one connection share (``DJANGO``, also of ``DJANGO_DB_NAME``).
    ``engine``: postgres, redis, other, or None where the name does not say; ``generic``: it speaks of a database without saying
    which. ``by_file``: it names a file that holds the value. ``loose``: it says what something is called (``DATASOURCE_DRIVER_CLASS_NAME``), which
    is a database only beside a host of the same head.
    """

    field: str | None
    head: str
    prefix: str
    engine: str | None
    generic: bool
    by_file: bool
    loose: bool = False


def read_name(variable: str) -> Name:
    """Take a variable's name apart; any case, words separated by ``_``, ``.``, ``-`` or ``__``."""
    words = re.sub(r"[^A-Z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[0-9])(?=[A-Z][a-z])", "_", variable).upper()).strip("_")
    by_file = words.endswith("_FILE")
    words = words.removesuffix("_FILE")
    # libpq's own variables are written without a separator: PGHOST, PGSSLMODE; others' too, such as PAPERLESS_DBHOST.
    words = re.sub(
        r"(?:^|(?<=_))(PG|DB|REDIS|POSTGRES)(?=(?:HOST|HOSTADDR|HOSTNAME|PORT|USER|USERNAME|PASSWORD|PASS|DATABASE|NAME|SSLMODE|URL|URI)$)",
        r"\1_",
        words,
    )
    field, head, loose = None, words, False
    for suffix in _SUFFIXES:
        if words == suffix or words.endswith("_" + suffix):
            field, head = _FIELDS[suffix], words[: -len(suffix)].strip("_")
            if suffix in ("DB_NAME", "DATABASE_NAME") and not head:
                # Of DB_HOST's kind, where DATABASE alone may say which vendor.
                head = suffix.removesuffix("_NAME")
            loose = suffix == "NAME" and _DATABASES.isdisjoint(head.split("_")[-1:])
            break
    parts = [part for part in words.split("_") if part]
    engine = next((_ENGINE_WORDS[part] for part in parts if part in _ENGINE_WORDS), None)
    generic = engine is None and any(part in GENERIC_WORDS for part in parts)
    lone = parts[-1:] == ["DB"] and not any(part in _ENGINE_WORDS or part in GENERIC_WORDS for part in parts[:-1])
    if field == "database" and (lone or "JPA" in parts):
        # KC_DB=postgres and SPRING_JPA_DATABASE=postgresql name the vendor, not a database.
        field, head = None, words
    prefix = re.sub(r"(^|_)(DB|DATABASE)$", "", head)
    return Name(field, head, prefix, engine, generic, by_file, loose)


class Url(NamedTuple):
    """A URL with a host, in parts as written: ``scheme`` with its ``jdbc:`` and ``+driver``; ``hosts`` without ports.

    ``username`` and ``password`` are decoded; ``path`` and ``query`` are as written, without ``/`` and ``?``.
    """

    scheme: str
    username: str | None
    password: str | None
    hosts: tuple[str, ...]
    port: str | None
    path: str
    query: str
    fragment: str

    @property
    def base(self) -> str:
        """The scheme that says the engine: ``postgresql`` of ``jdbc:postgresql``, of ``postgresql+asyncpg`` and of ``db+postgresql``."""
        words = self.scheme.rpartition(":")[2].lower().split("+")
        return words[1] if words[0] in _CELERY and len(words) > 1 else words[0]

    @property
    def is_nocodb(self) -> bool:
        """Whether it is one of NocoDB's, which say in the query who connects, and to which database: ``pg://db:5432?u=app&p=secret&d=shop``."""
        return self.base == "pg" and re.search(r"(^|&)[upd]=", self.query) is not None


# Java's layers before the engine's scheme: jdbc:, r2dbc:pool:, vertx-reactive:, jdbc:p6spy:.
_SCHEME = r"^(?P<scheme>(?:[A-Za-z][A-Za-z0-9-]*:){0,3}[A-Za-z][A-Za-z0-9+.-]*)://"
_REST = r"(?P<hosts>[^/?#@]+)(?:/(?P<path>[^?#]*))?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?$"
_URL = re.compile(_SCHEME + r"(?:(?P<user>[^@/?#:]*)(?::(?P<password>[^@/?#]*))?@)?" + _REST, re.DOTALL)
# As people write it: a password with a raw slash, hash, question mark or at sign.
_LOOSE_URL = re.compile(_SCHEME + r"(?P<user>[^@/?#:]*):(?P<password>.*)@" + _REST, re.DOTALL)


def read_url(value: str) -> Url | None:
    """Take a URL apart; None when the value is none. A raw ``/``, ``#`` or ``?`` in a password is taken as people mean it."""
    found = _URL.match(value.strip())
    if not found or (found["user"] is None and re.search(r":(?!\d+$)", found["hosts"]) and "@" in value):
        found = _LOOSE_URL.match(value.strip()) or found
    if not found:
        return None
    hosts, port = [], None
    for each in found["hosts"].split(","):
        host, colon, digits = each.rpartition(":")
        if colon and digits.isdigit():
            port = port or digits
            hosts.append(host)
        else:
            hosts.append(each)
    user, password = found["user"], found["password"]
    return Url(
        found["scheme"],
        unquote(user) if user is not None else None,
        unquote(password) if password is not None else None,
        tuple(hosts),
        port,
        found["path"] or "",
        found["query"] or "",
        found["fragment"] or "",
    )


def read_host_port(value: str) -> tuple[str, str] | None:
    """``redis:6379`` as host and port; None for any other shape."""
    found = re.match(r"^([A-Za-z0-9][A-Za-z0-9._-]*):(\d{1,5})$", value.strip())
    return (found[1], found[2]) if found else None


def percent_encoded(text: str) -> str:
    """Text as it may stand in any part of a URL's user information or path."""
    return quote(text, safe="")
