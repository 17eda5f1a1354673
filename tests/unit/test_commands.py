"""What a command says of a store leads to where the store is now, and what it says of anything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from berth.commands import led_words, run_celery
from berth.connections import read_connection
from berth.referring import Backing
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.rendering import POSTGRES, container, version_2, write

BACKING = Backing({"db": "postgres", "redis": "redis"}, {"db": "db", "pg": "db", "redis": "redis"})
CONNECTIONS = {
    "db": read_connection("db", {"host": "pg.example.com", "database": "shop"}, "postgres"),
    "redis": read_connection("redis", {"host": "cache.example.com", "port": 6380}, "redis"),
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["./wait-for-it.sh", "db:5432", "--", "npm", "start"], ["./wait-for-it.sh", "pg.example.com:5432", "--", "npm", "start"]),
        (["dockerize", "-wait", "tcp://redis:6379"], ["dockerize", "-wait", "tcp://cache.example.com:6380"]),
        (["sh", "-c", "until nc -z pg 5432; do sleep 1; done"], ["sh", "-c", "until nc -z pg.example.com 5432; do sleep 1; done"]),
        (["nc", "-z", "redis", "6379"], ["nc", "-z", "cache.example.com", "6380"]),
        (["psql", "-h", "db", "-p", "5432"], ["psql", "-h", "pg.example.com", "-p", "5432"]),
        (["pg_isready", "-h", "db"], ["pg_isready", "-h", "pg.example.com"]),
        (["sh", "-c", "pg_isready --host=db && serve"], ["sh", "-c", "pg_isready --host=pg.example.com && serve"]),
    ],
)
def test_where_it_waits_for_a_store_it_waits_where_that_is(words: list[str], expected: list[str]):
    assert led_words(words, BACKING, CONNECTIONS) == expected


@pytest.mark.parametrize(
    "words",
    [
        ["rails", "db:migrate"],
        ["psql", "postgres://shop:secret@db:5432/shop"],
        ["serve", "--host", "0.0.0.0", "--cache", "redis"],
        ["ping", "mydb:5432", "db.internal:5432", "db-2:5432"],
        # The port is another now, and would have to be said too.
        ["redis-cli", "-h", "redis", "ping"],
    ],
)
def test_what_is_no_place_of_a_store_stays(words: list[str]):
    assert led_words(words, BACKING, CONNECTIONS) == words


# An argument of a program holds no NUL.
@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=30), min_size=1, max_size=6))
def test_no_command_makes_it_stumble_or_loses_a_word(words: list[str]):
    assert len(led_words(words, BACKING, CONNECTIONS)) == len(words)


def test_a_container_on_aws_waits_for_the_managed_store(tmp_path: Path):
    text = """services:
  db: {image: "postgres:17"}
  web:
    image: shop:1
    ports: ["80:80"]
    command: ["./wait-for-it.sh", "db:5432", "--", "npm", "start"]
    environment: {PGHOST: db}
"""
    document, selection = version_2(write(tmp_path, text), connections={"db": POSTGRES})
    assert container(document, "web")["command"] == ["./wait-for-it.sh", f"{POSTGRES['host']}:5432", "--", "npm", "start"]
    assert not any("its command names" in each for each in selection.notes.advice)


def test_who_runs_celery_and_who_is_of_the_same_program():
    services = {
        "web": {"build": {"context": "/app"}, "command": ["gunicorn", "shop.wsgi"]},
        "worker": {"build": {"context": "/app"}, "command": ["sh", "-c", "celery -A shop worker"]},
        "node": {"build": {"context": "/node"}, "command": ["node", "celery.js"]},
        "flower": {"image": "mher/flower", "command": ["celery", "flower"]},
        "page": {"image": "nginx"},
        "scripted": {"image": "x/scripted", "command": ["/start-celeryworker"]},
        "built": {"build": {"dockerfile_inline": 'FROM python\nCMD ["celery", "-A", "shop", "worker"]\n'}},
    }
    assert run_celery(services) == {"web", "worker", "flower", "scripted", "built"}
