"""Texts with passwords in them, where no file may hold one: a secret of the app's own does."""

from __future__ import annotations

import json
import re

import pytest
from berth.bindings import Bindings, bind
from berth.bound_within import bind_within
from berth.composed import Composed, kept, with_passwords
from berth.connections import read_connection
from berth.referring import Backing
from berth.selection import Options, select
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rendering import project, write

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:berth/shop/composed-AbCdEf"
BACKING = Backing({"db": "postgres", "redis": "redis"}, {"db": "db", "redis": "redis"})
SHOP = {"host": "pg.example.com", "database": "shop", "username": "shop", "password_ref": "arn:pg", "url_ref": "arn:url", "tls": True}
CACHE = {"host": "cache.example.com", "password_ref": "arn:redis", "url_ref": "arn:cache", "tls": True}
PASSWORDS = {"arn:pg": "Pg0", "arn:redis": "Redis0"}


def led(environment: dict[str, str]) -> tuple[Bindings, dict[str, str]]:
    """The bindings, and what the secret holds."""
    composed = Composed(ARN)
    connections = {"db": read_connection("db", SHOP, "postgres"), "redis": read_connection("redis", CACHE, "redis")}
    result = bind("api", environment, BACKING, connections, literal=False, composed=composed)
    bind_within("api", BACKING, connections, result, literal=False, composed=composed)
    return result, with_passwords(composed.referred_to(result.secrets.values()), PASSWORDS)


@pytest.mark.parametrize(
    ("variable", "old", "new"),
    [
        # Parameters of its own, which the URL in the store's secret has not.
        (
            "DATABASE_URL",
            "postgresql://a:b@db/old?schema=x&sslmode=disable",
            "postgresql://shop:Pg0@pg.example.com:5432/shop?schema=x&sslmode=require",
        ),
        ("DATABASE_URL", "mysterious+postgresql://a:b@db:5432/old", None),
        ("DATABASE_URL", "postgresql+pg8000://a:b@db/old", "postgresql+pg8000://shop:Pg0@pg.example.com:5432/shop?sslmode=require"),
        ("REDIS_URL", "redis://redis:6379/7?family=6", "rediss://:Redis0@cache.example.com:6379/7?family=6"),
        ("CELERY_BROKER_URL", "redis://redis/2", "rediss://:Redis0@cache.example.com:6379/2?ssl_cert_reqs=required"),
        (
            "ConnectionStrings__Default",
            "Host=db;Database=old;Username=a;Password=b;Pooling=true",
            "Host=pg.example.com;Database=shop;Username=shop;Password=Pg0;Pooling=true;Port=5432;SSL Mode=require",
        ),
        ("ConnectionStrings__Redis", "redis:6379,abortConnect=false", "cache.example.com:6379,password=Redis0,ssl=true,abortConnect=false"),
        ("NC_DB", "pg://db:5432?u=postgres&p=old&d=old", "pg://pg.example.com:5432/?u=shop&p=Pg0&d=shop&sslmode=require"),
        ("DB", '{"host": "db", "password": "x"}', '{"host": "pg.example.com", "password": "Pg0"}'),
        ("JAVA_OPTS", "-Xmx1g -Ddb.host=db -Ddb.password=x", "-Xmx1g -Ddb.host=pg.example.com -Ddb.password=Pg0"),
    ],
)
def test_a_text_that_no_other_secret_holds_is_in_the_apps_own(variable: str, old: str, new: str | None):
    result, texts = led({variable: old})
    if new is None:
        assert [each["variable"] for each in result.unbound] == [variable] and not texts
        return
    assert not result.unbound
    assert variable not in result.environment
    (key,) = texts
    assert result.secrets == {variable: f"{ARN}:{key}::"}
    assert re.fullmatch(rf"{variable}_[0-9a-f]{{12}}", key)
    assert texts[key] == new


def test_what_another_secret_holds_or_needs_no_password_stays_so():
    environment = {
        "DATABASE_URL": "postgres://a:b@db:5432/old?sslmode=prefer",
        "REDIS_URL": "redis://redis:6379/0",
        "PGHOST": "db",
        "PGPASSWORD": "x",
        "PLACE": '{"host": "db", "user": "a"}',
    }
    result, texts = led(environment)
    assert not texts
    assert result.secrets == {"DATABASE_URL": "arn:url", "REDIS_URL": "arn:cache", "PGPASSWORD": "arn:pg"}
    assert json.loads(result.environment["PLACE"]) == {"host": "pg.example.com", "user": "shop"}


def test_what_cannot_be_led_is_told_as_before():
    result, texts = led({"PGHOST": "db", "PGPASSWORD_FILE": "/run/secrets/password", "BROKER_URL": "amqp://a:b@redis:5672"})
    assert not texts
    assert {each["variable"] for each in result.unbound} == {"PGPASSWORD_FILE", "BROKER_URL"}


@pytest.mark.compose
def test_only_what_is_referred_to_in_the_end_is_handed_over(tmp_path):
    text = "services:\n  {name}: {{image: 'x/{name}:1', environment: {{CONNECTION_STRING: 'Host=db;Username=a;Password=b'}}}}\n"
    folder = write(tmp_path, text.format(name="a") + text.format(name="b").removeprefix("services:\n") + "  db: {image: 'postgres:17'}\n")
    given = {"connections": {"db": SHOP}, "text_secret": ARN}
    selection = select(project(folder), Options(**given))
    # Both of one key, so that the environment as a whole can have it.
    assert len({each.secrets["CONNECTION_STRING"] for each in selection.bindings.values()}) == 1
    assert len(selection.composed) == 1
    assert select(project(folder), Options(**given, environment={"CONNECTION_STRING": "Host=elsewhere"})).composed == {}
    # A plain password may stand in the file there.
    assert select(project(folder), Options(**given), literal=True).composed == {}


def test_texts_of_earlier_releases_are_kept_as_long_as_there_is_room():
    assert list(kept({"a": "1", "b": "2"}, {"a": "3"})) == ["b", "a"]
    full = {str(number): "x" * 100 for number in range(20)}
    assert list(kept(full, {"new": "y" * 100}, most_bytes=1000)) == [*map(str, range(12, 20)), "new"]


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=50), max_size=20),
    st.dictionaries(st.text(max_size=5), st.text(max_size=50), min_size=1),
)
def test_what_is_wanted_is_always_kept(current: dict[str, str], wanted: dict[str, str]):
    found = kept(current, wanted, most_bytes=500)
    assert found.items() >= wanted.items()
    assert found.keys() <= {*current, *wanted}
