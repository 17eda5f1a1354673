from __future__ import annotations

from urllib.parse import quote

import pytest
from berth.connection_strings import read_keywords
from berth.references import read_host_port, read_name, read_url
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("variable", "field", "engine", "generic"),
    [
        ("PGHOST", "host", "postgres", False),
        ("PGUSER", "username", "postgres", False),
        ("PG_PASSWORD", "password", "postgres", False),
        ("POSTGRES_DB", "database", "postgres", False),
        ("RDS_HOSTNAME", "host", None, True),
        ("RDS_DB_NAME", "database", None, True),
        ("DB_HOST", "host", None, True),
        ("DJANGO_DB_NAME", "database", None, True),
        ("DJANGO_PORT", "port", None, False),
        ("SPRING_DATASOURCE_PASSWORD", "password", None, True),
        ("SPRING_REDIS_HOST", "host", "redis", False),
        ("REDIS_PORT", "port", "redis", False),
        ("DATABASE_URL", "url", None, True),
        ("CELERY_RESULT_BACKEND", "url", None, False),
        ("SPRING_JPA_DATABASE", None, None, True),
        ("KC_DB", None, None, True),
        ("DB_CONNECTION", None, None, True),
        ("MYSQL_HOST", "host", "other", False),
        ("CLICKHOUSE_DATABASE_URL", "url", "other", False),
        ("MSSQL_DB_PASSWORD", "password", "other", False),
        ("NEO4J_DATABASE", "database", "other", False),
        ("SPRING_R2DBC_PASSWORD", "password", None, True),
        ("db2Host", "host", None, False),
        ("orderDbPassword", "password", None, True),
        ("ConnectionStrings__Database", "database", None, True),
        ("PORT", "port", None, False),
        ("NODE_ENV", None, None, False),
    ],
)
def test_a_name_says_field_and_engine(variable, field, engine, generic):
    name = read_name(variable)
    assert (name.field, name.engine, name.generic) == (field, engine, generic)


def test_a_name_that_means_a_file_says_so():
    name = read_name("POSTGRES_PASSWORD_FILE")
    assert name.field == "password"
    assert name.by_file


@pytest.mark.parametrize(
    ("url", "scheme", "user", "password", "hosts", "port", "path"),
    [
        ("postgres://app:secret@db:5432/shop", "postgres", "app", "secret", ("db",), "5432", "shop"),
        ("postgresql+asyncpg://app:p%40ss@db/shop?ssl=true", "postgresql+asyncpg", "app", "p@ss", ("db",), None, "shop"),
        ("postgres://app:p/a#ss@db/shop", "postgres", "app", "p/a#ss", ("db",), None, "shop"),
        ("jdbc:postgresql://db-keycloak:5432/keycloak", "jdbc:postgresql", None, None, ("db-keycloak",), "5432", "keycloak"),
        ("redis://redis:6379/1", "redis", None, None, ("redis",), "6379", "1"),
        ("redis://:secret@redis", "redis", "", "secret", ("redis",), None, ""),
        ("postgres://a:b@one:1,two:2/x", "postgres", "a", "b", ("one", "two"), "1", "x"),
        ("http://api:5000/users@home", "http", None, None, ("api",), "5000", "users@home"),
    ],
)
def test_a_url_is_taken_apart(url, scheme, user, password, hosts, port, path):
    found = read_url(url)
    assert found is not None
    assert (found.scheme, found.username, found.password, found.hosts, found.port, found.path) == (
        scheme,
        user,
        password,
        hosts,
        port,
        path,
    )


def test_what_is_no_url_is_none():
    assert read_url("postgres") is None
    assert read_url("redis:6379") is None
    assert read_url("") is None


@given(st.text(min_size=1), st.text(min_size=1))
def test_an_encoded_password_comes_back_whole(user, password):
    try:
        url = f"postgres://{quote(user, safe='')}:{quote(password, safe='')}@db:5432/app"
    except UnicodeEncodeError:
        return  # a lone surrogate, which no URL can carry
    found = read_url(url)
    assert found is not None
    assert (found.username, found.password, found.hosts, found.path) == (user, password, ("db",), "app")


def test_host_and_port():
    assert read_host_port("redis:6379") == ("redis", "6379")
    assert read_host_port("redis") is None
    assert read_host_port("a:b") is None


@pytest.mark.parametrize("text", ["host=db port=5432 user=app dbname=shop", "Host=db;Port=5432;Username=app;Database=shop"])
def test_a_connection_string_is_taken_apart(text):
    found = read_keywords(text)
    assert found is not None
    assert [found.field(name) for name in ("host", "port", "username", "database", "password")] == ["db", "5432", "app", "shop", None]


def test_prose_is_no_connection_string():
    assert read_keywords("a host of things") is None
    assert read_keywords("postgres://db/shop") is None
