"""Generated passwords: their alphabet, the verifier that PostgreSQL keeps, and what a secret holds after a change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from urllib.parse import unquote, urlsplit

from berth import credentials
from hypothesis import given
from hypothesis import strategies as st

URL = {"scheme": "postgresql", "host": "db.example.com", "port": 5432, "database": "shop", "query": "sslmode=require"}


def parts(verifier: str) -> tuple[int, bytes, bytes, bytes]:
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):(.+)", verifier)
    assert found
    iterations, salt, stored, server = found.groups()
    return int(iterations), base64.b64decode(salt), base64.b64decode(stored), base64.b64decode(server)


def test_the_verifier_is_that_of_the_standards_own_example():
    # RFC 7677, section 3: user "user", password "pencil"; the client's proof and the server's signature follow from what is stored.
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    iterations, kept, stored, server = parts(credentials.scram_verifier("pencil", salt))
    assert (iterations, kept) == (4096, salt)
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    assert base64.b64encode(hmac.digest(server, message, "sha256")) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client_key = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client_key).digest() == stored


def test_passwords_differ_and_no_store_refuses_them():
    found = {credentials.generate(32) for _ in range(200)}
    assert len(found) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", each) for each in found)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=40))
def test_a_url_gives_back_what_it_was_made_of(username, password):
    split = urlsplit(credentials.url_of(URL, username, password))
    assert (unquote(split.username or ""), unquote(split.password or "")) == (username, password)
    assert (split.hostname, split.port, split.path, split.query) == ("db.example.com", 5432, "/shop", "sslmode=require")


def test_a_url_without_a_user_or_a_database():
    assert (
        credentials.url_of({"scheme": "rediss", "host": "cache", "port": 6379, "database": 0}, None, "word")
        == "rediss://:word@cache:6379/0"
    )
    assert credentials.url_of({"scheme": "redis", "host": "cache", "port": 6379}, None, "word") == "redis://:word@cache:6379"


def test_a_new_secret_and_what_a_second_run_makes_of_it():
    fields = {"username": "shop", "host": "db.example.com", "nothing": None}
    first = credentials.desired(None, fields, 32, URL, True)
    assert set(first) == {"password", "username", "host", "scram_verifier", "url"}
    assert first["password"] in first["url"]
    assert credentials.desired(first, fields, 32, URL, True) == first
    assert credentials.changed_keys(first, first) == []


def test_a_moved_host_changes_the_url_and_keeps_the_password_and_what_others_put_there():
    first = credentials.desired({"note": "of a colleague"}, {"host": "a"}, 32, {**URL, "host": "a"}, False)
    second = credentials.desired(first, {"host": "b"}, 32, {**URL, "host": "b"}, False)
    assert second["password"] == first["password"]
    assert second["note"] == "of a colleague"
    assert credentials.changed_keys(first, second) == ["host", "url"]


def test_a_password_that_was_taken_out_is_made_anew_with_its_verifier():
    first = credentials.desired(None, {}, 32, None, True)
    second = credentials.desired({key: value for key, value in first.items() if key != "password"}, {}, 32, None, True)
    assert second["password"] != first["password"]
    assert second["scram_verifier"] != first["scram_verifier"]


def test_a_url_is_kept_in_the_forms_that_its_readers_ask_for():
    url = {"scheme": "postgresql", "host": "db", "port": 5432, "database": "shop", "query": "sslmode=require"}
    variants = {"asyncpg_url": {"scheme": "postgresql+asyncpg", "query": "ssl=require"}, "psycopg_url": {"scheme": "postgresql+psycopg"}}
    wanted = credentials.desired({"password": "p w"}, {"username": "shop"}, 32, {**url, "variants": variants}, verifier=False)
    assert wanted["url"] == "postgresql://shop:p%20w@db:5432/shop?sslmode=require"
    assert wanted["asyncpg_url"] == "postgresql+asyncpg://shop:p%20w@db:5432/shop?ssl=require"
    assert wanted["psycopg_url"] == "postgresql+psycopg://shop:p%20w@db:5432/shop?sslmode=require"
