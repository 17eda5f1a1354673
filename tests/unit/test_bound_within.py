"""What values hold in JSON, or as Java's system properties, is led as variables are."""

from __future__ import annotations

import json

import pytest
from berth.bindings import Bindings, bind
from berth.bound_within import bind_within
from berth.connections import read_connection
from berth.referring import Backing
from hypothesis import given
from hypothesis import strategies as st

BACKING = Backing({"db": "postgres", "redis": "redis"}, {"db": "db", "redis": "redis"})
SHOP = {"host": "pg.example.com", "port": 5433, "database": "shop", "username": "shop", "password": "p w", "tls": True}
CACHE = {"host": "cache.example.com", "port": 6380, "password": "secret", "tls": True}


def led(environment: dict[str, str], *, postgres: dict | None = None, literal: bool = True) -> Bindings:
    connections = {"db": read_connection("db", postgres or SHOP, "postgres"), "redis": read_connection("redis", CACHE, "redis")}
    result = bind("api", environment, BACKING, connections, literal=literal)
    bind_within("api", BACKING, connections, result, literal=literal)
    return result


def test_json_keeps_its_form_and_is_led():
    old = '{"dbname":"ecommerce","username":"postgres","password":"postgres","host":"db","port":"5432"}'
    result = led({"DB_CONNECTION": old})
    assert (
        result.environment["DB_CONNECTION"] == '{"dbname":"shop","username":"shop","password":"p w","host":"pg.example.com","port":"5433"}'
    )
    assert result.environment["PGSSLMODE"] == "require"
    assert {each["variable"] for each in result.bound} == {"DB_CONNECTION", "PGSSLMODE"}


def test_objects_lie_within_others_and_numbers_and_switches_stay_what_they_are():
    config = {
        "app": {"name": "ledger", "port": 3000, "url": "https://ledger.example.com"},
        "db": {"host": "db", "port": 5432, "user": "me", "password": None, "ssl": False, "pool": {"max": 10}},
        "queue": [{"host": "redis", "port": 6379}],
        "broker": "redis://redis:6379/1",
    }
    assert json.loads(led({"NODE_CONFIG": json.dumps(config)}).environment["NODE_CONFIG"]) == {
        "app": config["app"],
        "db": {"host": "pg.example.com", "port": 5433, "user": "shop", "password": "p w", "ssl": True, "pool": {"max": 10}},
        "queue": [{"host": "cache.example.com", "port": 6380}],
        "broker": "rediss://:secret@cache.example.com:6380/1",
    }


def test_system_properties_of_java_are_led_among_other_options():
    result = led(
        {"JAVA_OPTS": "-Xmx256m -Dspring.datasource.url=jdbc:postgresql://db:5432/old -Dspring.redis.host=redis -Dfile.encoding=UTF-8"}
    )
    assert result.environment["JAVA_OPTS"] == (
        "-Xmx256m -Dspring.datasource.url=jdbc:postgresql://pg.example.com:5433/shop?sslmode=require"
        " -Dspring.redis.host=cache.example.com -Dfile.encoding=UTF-8"
    )
    assert not result.unbound


def test_a_password_that_an_option_has_no_marks_for_is_not_written_there():
    result = led({"JAVA_OPTS": "-Ddb.host=db -Ddb.password=x"})
    assert "JAVA_OPTS" not in result.environment
    assert [(each["variable"], each["reason"]) for each in result.unbound] == [
        ("JAVA_OPTS", "its password has a mark that cannot be written there")
    ]
    assert "JAVA_OPTS" not in {each["variable"] for each in result.bound}


def test_a_reference_to_a_password_is_none_within_a_text():
    reference = {key: value for key, value in SHOP.items() if key != "password"} | {"password_ref": "arn:password"}
    result = led(
        {"DB": '{"host": "db", "user": "a"}', "DB_CONNECTION": '{"host": "db", "password": "a"}'}, postgres=reference, literal=False
    )
    assert result.environment["DB"] == '{"host": "pg.example.com", "user": "shop"}'
    assert "DB_CONNECTION" not in result.environment
    assert [each["variable"] for each in result.unbound] == ["DB_CONNECTION"]


@pytest.mark.parametrize(
    "text",
    [
        # Nothing in it says where a store is.
        '{"database": "old", "user": "me"}',
        '{"db": {"host": "elsewhere.example.com", "user": "me", "password": "x"}}',
        '["redis", "db"]',
        "{not json}",
        "[" * 100_000,
        "-Dspring.profiles.active=prod -Ddb.name=old",
    ],
)
def test_what_does_not_speak_of_a_store_is_left_as_it_is(text: str):
    result = led({"CONFIG": text})
    assert result.environment == {"CONFIG": text}
    assert not result.bound
    assert not result.unbound


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["db", "redis", "db:5432", "redis://redis", "5432"])
)
KEYS = st.sampled_from(["host", "port", "user", "password", "database", "url", "ssl", "redis", "db", "name", "a.b", ""])
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12)


def shape(value: object) -> object:
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else None


@given(DOCUMENTS)
def test_whatever_json_there_is_keeps_its_shape(document: object):
    result = led({"CONFIG": json.dumps(document)})
    if "CONFIG" in result.environment and isinstance(document, (dict, list)):
        assert shape(json.loads(result.environment["CONFIG"])) == shape(document)
    else:
        assert result.unbound or not isinstance(document, (dict, list))
