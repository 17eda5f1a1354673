"""What a Compose file's own stores were told, and others are not."""

from __future__ import annotations

import pytest
from berth.store_setup import remarks
from hypothesis import given
from hypothesis import strategies as st


def test_what_a_new_database_began_with_is_told_of():
    scripts = [{"type": "bind", "source": "/shop/init.sql", "target": "/docker-entrypoint-initdb.d/init.sql"}]
    (said,) = remarks("db", {"volumes": [*scripts, {"type": "volume", "source": "data", "target": "/var/lib/postgresql/data"}]}, "postgres")
    assert said.startswith("db: /shop/init.sql sets up its database")
    assert "migrate.yml" in said


@pytest.mark.parametrize(
    "family, command, told",
    [
        ("postgres", ["postgres", "-c", "max_connections=200", "-c", "shared_buffers=1GB", "-cjit=off"], "jit and max_connections"),
        ("postgres", ["postgres", "--timezone=UTC"], "timezone"),
        ("postgres", ["-c", "archive_mode=on", "-c", "archive_command=cp %p /a/%f"], ""),
        ("redis", ["redis-server", "--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"], "maxmemory-policy"),
        ("redis", ["sh", "-c", 'redis-server --requirepass "$REDIS_PASSWORD" --notify-keyspace-events Ex'], "notify-keyspace-events"),
        ("redis", ["redis-server", "--save", "", "--requirepass", "x"], ""),
        ("redis", ["sh", "-c", 'echo "'], ""),
        ("redis", None, ""),
    ],
)
def test_settings_of_its_command_are_told_of_but_for_those_that_a_slot_answers_for(family, command, told):
    said = remarks("store", {"command": command}, family)
    assert (f"its command sets {told}," in said[0]) if told else not said


@given(st.lists(st.text(max_size=20), max_size=5), st.sampled_from(["postgres", "redis"]))
def test_no_command_makes_it_stumble(command, family):
    remarks("store", {"command": command}, family)
