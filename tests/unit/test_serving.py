"""Whether a container of a store's image runs the store, or is a client of it."""

from __future__ import annotations

from typing import Any

import pytest
from berth.serving import ends, is_template, serves
from berth.topology import backing_services

SERVERS: list[tuple[str, Any]] = [
    ("postgres", None),
    ("postgres", ["-c", "max_connections=200"]),
    ("postgres", ["postgres", "-c", "wal_level=logical"]),
    ("postgres", ["docker-entrypoint.sh", "postgres"]),
    ("postgres", ["/custom.sh"]),
    ("postgres", ["bash", "-c", "chown -R postgres /certs && exec docker-entrypoint.sh postgres -c ssl=on"]),
    ("postgres", ["bash", "/scripts/primary.sh"]),
    ("redis", ["redis-server", "--requirepass", "word"]),
    ("redis", ["sh", "-c", 'redis-server --requirepass "$REDIS_PASSWORD"']),
    ("redis", ["/usr/local/etc/redis/redis.conf"]),
    ("redis", ["sh", "-c", "sysctl vm.overcommit_memory=1\nexec redis-server /etc/redis.conf"]),
    ("valkey", ["valkey-server", "--appendonly", "yes"]),
    ("mysql", ["sh", "-c", "gosu mysql mysqld --console"]),
    ("minio", ["server", "/data", "--console-address", ":9001"]),
    ("consul", ["agent", "-server"]),
    ("etcd", ["/usr/local/bin/etcd", "--name", "one"]),
]
CLIENTS: list[tuple[str, Any]] = [
    ("postgres", ["sh", "-c", "chmod +x /backup.sh && crond -f -l 2"]),
    ("postgres", ["/backup.sh"]),
    ("postgres", ["bash", "/scripts/backup-loop.sh"]),
    ("postgres", ["psql", "-h", "db", "-U", "postgres", "-f", "/schema.sql"]),
    ("postgres", ["sh", "-c", "until pg_isready -h postgres; do sleep 1; done; psql -h postgres -f /seed.sql"]),
    ("postgres", ["sh", "-c", "trap exit TERM; sleep infinity & wait"]),
    ("postgres", ["sh", "-c", 'while true; do pg_dump "$DATABASE_URL" | gzip > /backups/postgres.sql.gz; sleep 86400; done']),
    ("redis", ["redis-cli", "-h", "redis", "--cluster", "create", "redis:6379"]),
    ("mysql", ["mysql", "-h", "db"]),
    ("minio", ["mc", "mb", "store/uploads"]),
]


@pytest.mark.parametrize(("basename", "command"), SERVERS)
def test_a_server_is_one_whatever_begins_it(basename: str, command: Any):
    assert serves({"command": command}, basename)
    assert serves({"entrypoint": ["docker-entrypoint.sh"], "command": command}, basename)


@pytest.mark.parametrize(("basename", "command"), CLIENTS)
def test_a_client_is_none(basename: str, command: Any):
    assert not serves({"command": command}, basename)
    assert not serves({"entrypoint": command[:1], "command": command[1:]}, basename)


def test_a_backup_by_the_stores_own_image_is_no_second_store():
    backup = {"image": "postgres:16-alpine", "command": ["/bin/sh", "-c", "chmod +x /backup.sh && crond -f -l 2"]}
    services = {"postgres": {"image": "postgres:16-alpine"}, "backup": backup}
    assert list(backing_services(services, {}, ())) == ["postgres"]
    assert list(backing_services(services, {}, ("backup",))) == ["postgres", "backup"]


@pytest.mark.parametrize(
    ("command", "ending"),
    [
        (["cp", "-r", "/app/build/.", "/frontend_static/"], True),
        (["sh", "-c", "cp -r /app/dist/. /static/ && chmod -R a+rX /static"], True),
        (["sh", "-c", "cp /etc/app.conf.in /etc/app.conf && exec app"], False),
        (["app"], False),
        (None, False),
    ],
)
def test_what_copies_files_alone_ends(command: Any, ending: bool):
    assert ends({"command": command}) == ending


@pytest.mark.parametrize(
    ("service", "ending"),
    [
        # As other containers' volumes were once kept.
        ({"image": "busybox", "volumes": ["data:/data"]}, True),
        ({"image": "docker.io/library/alpine:3"}, True),
        ({"image": "debian:trixie-slim", "tty": True}, False),
        ({"image": "alpine", "stdin_open": True}, False),
        ({"image": "debian:trixie-slim", "command": ["sleep", "infinity"]}, False),
        ({"image": "team/alpine-app"}, False),
        ({"image": "minio/mc", "entrypoint": ["/bin/sh", "-c", "until mc alias set a; do sleep 1; done; mc mb a/files; exit 0;"]}, True),
        ({"image": "minio/mc", "entrypoint": ["sh", "-c", "mc mirror --watch a b"]}, False),
        ({"image": "minio/mc", "entrypoint": ["sh", "-c", "mc mb a/files; while true; do sleep 9; done"]}, False),
        ({"image": "alpine", "build": {"context": "."}}, False),
    ],
)
def test_a_shell_in_which_nobody_types_ends(service: dict[str, Any], ending: bool):
    assert ends(service) == ending


def test_what_a_dockerfile_says_counts_where_the_compose_file_says_nothing():
    build = {"dockerfile_inline": "FROM amazon/aws-cli\nCMD /bin/true\n"}
    assert ends({"build": build})
    assert not ends({"build": build, "command": ["aws", "s3", "sync"]})
    assert not ends({"build": {"dockerfile_inline": "FROM node\nCMD node .\n"}})
    assert not ends({"build": {"dockerfile_inline": "FROM node\n"}})


@pytest.mark.parametrize(
    ("name", "base", "template"),
    [
        ("base", {"image": "x/app"}, True),
        ("app-base", {"image": "x/app", "environment": {"A": "b"}}, True),
        ("common", {"build": {"context": "/app"}}, True),
        # Called as others are, said to do something, or alone in what it runs.
        ("app", {"image": "x/app"}, False),
        ("database", {"image": "x/app"}, False),
        ("base", {"image": "x/app", "command": ["serve"]}, False),
        ("base", {"image": "x/app", "ports": [{"target": 80}]}, False),
        ("base", {"image": "x/app", "restart": "always"}, False),
        ("base", {"image": "x/other"}, False),
        ("base", {"image": "x/page"}, False),
    ],
)
def test_what_lends_others_what_it_says_is_no_service(name: str, base: dict[str, Any], template: bool):
    others = {
        "web": {"image": "x/app", "command": ["web"]},
        "job": {"build": {"context": "/app"}, "entrypoint": ["job"]},
        "page": {"image": "x/page"},
    }
    assert is_template(name, {name: base, **others}) == template
