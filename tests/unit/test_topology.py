from __future__ import annotations

import pytest
from berth.compose import Project
from berth.images import engine_of, parse
from berth.overview import overview
from berth.topology import backing_of, backing_services, front_door, health_path, neighbours
from berth.units import mebibytes, seconds
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("image", "engine", "version"),
    [
        ("postgres", "postgres", None),
        ("postgres:17.4-alpine", "postgres", "17.4"),
        ("docker.io/library/postgres:16", "postgres", "16"),
        ("localhost:5000/mirror/bitnami/postgresql:15.3@sha256:" + "a" * 64, "postgres", "15.3"),
        ("postgis/postgis:16-3.4", "postgres", "16"),
        ("pgvector/pgvector:pg17", "postgres", "17"),
        ("redis/redis-stack-server:latest", "redis", None),
        ("valkey/valkey:8.1", "valkey", "8.1"),
        ("public.ecr.aws/docker/library/redis:7-alpine", "redis", "7"),
    ],
)
def test_an_engine_is_known_by_its_image_whatever_the_registry(image, engine, version):
    assert engine_of(image) == (engine, version)


@pytest.mark.parametrize(
    "image", ["rediscommander/redis-commander", "dpage/pgadmin4", "prometheuscommunity/postgres-exporter", "postgres/tool:1", "mysql", ""]
)
def test_what_is_only_near_a_database_is_none(image):
    assert engine_of(image) is None


@given(st.text(max_size=40))
def test_no_text_makes_the_reference_parser_stumble(text):
    parse(text)


def test_a_built_database_is_known_by_its_dockerfile(tmp_path):
    (tmp_path / "Dockerfile").write_text("ARG X=1\nFROM --platform=linux/amd64 postgres:16 AS base\nFROM base\n")
    services = {
        "db": {"build": {"context": str(tmp_path)}},
        "redis": {"build": {"context": "/nowhere"}},
        "api": {"build": {"context": "/nowhere"}},
    }
    assert backing_services(services, {}, ()) == {"db": ("postgres", "16"), "redis": ("redis", None)}


def port(number, target=80):
    return {"published": str(number), "target": target, "protocol": "tcp"}


@pytest.mark.parametrize(
    ("services", "door"),
    [
        ({"web": {"ports": [port(80)]}, "api": {}}, "web"),
        ({"nginx": {"image": "nginx", "ports": [port(8080)]}, "api": {"image": "a", "ports": [port(5000)]}}, "nginx"),
        (
            {"front": {"image": "a", "ports": [port(3000)], "depends_on": {"api": {}}}, "api": {"image": "b", "ports": [port(5000)]}},
            "front",
        ),
        ({"one": {"image": "a", "ports": [port(80)]}, "two": {"image": "b", "ports": [port(5000)]}}, "one"),
        ({"one": {"image": "a", "ports": [port(3000)]}, "two": {"image": "b", "ports": [port(5000)]}}, None),
        ({"web": {"image": "a", "ports": [port(3000)]}, "streaming": {"image": "b", "ports": [port(4000)]}}, "web"),
        ({"one-ui": {"image": "a", "ports": [port(3000)]}, "web": {"image": "b", "ports": [port(4000)]}}, None),
        ({"client": {"image": "a", "ports": [port(5173)]}, "server": {"image": "b", "ports": [port(8080)]}}, "client"),
        ({"client": {"image": "a", "ports": [port(5173)]}, "web": {"image": "b", "ports": [port(8080)]}}, "web"),
        ({"api-gateway": {"image": "a", "ports": [port(8080)]}, "users": {"image": "b", "ports": [port(8081)]}}, "api-gateway"),
        ({"gateway": {"image": "a", "ports": [port(8080)]}, "webapp": {"image": "b", "ports": [port(3000)]}}, "webapp"),
        ({"one": {"image": "a"}}, None),
    ],
)
def test_the_front_door(services, door):
    assert front_door(services, {}) == door


def test_units_are_rounded_up():
    assert [seconds(text) for text in ("1m30s", "500ms", "1h0m0s", "1.5s")] == [90, 1, 3600, 2]
    assert [mebibytes(size) for size in ("64m", "1g", 1048577, "1.5g")] == [64, 1024, 2, 1536]


def test_the_overview_is_a_table_with_the_front_doors_url():
    services = {"web": {"image": "nginx:1", "ports": [{**port(8080), "host_ip": "127.0.0.1"}]}, "db": {"image": "postgres:17"}}
    found = overview(
        Project({"services": services}, "/x", [], []), [{"Service": "web", "State": "running", "Health": "healthy", "Image": "nginx:1"}]
    )
    assert found["url"] == "http://127.0.0.1:8080"
    assert found["table"] == [
        "service  state    health   image        port     url",
        "db       absent            postgres:17",
        "web      running  healthy  nginx:1      8080:80  http://127.0.0.1:8080",
    ]
    assert [(each["name"], each["backing"], each["version"]) for each in found["services"]] == [
        ("db", "postgres", "17"),
        ("web", None, None),
    ]


@pytest.mark.parametrize(
    ("test", "path"),
    [
        (["CMD", "curl", "--fail", "http://127.0.0.1:8000/healthz"], "/healthz"),
        ("wget -qO- http://localhost:8000/up/?deep=1 || exit 1", "/up/"),
        (["CMD-SHELL", "curl -f http://localhost:8000 || exit 1"], "/"),
        (["CMD", "python", "-c", "urlopen('http://localhost:8000/live')"], "/live"),
        (["CMD", "curl", "http://127.0.0.1:9000/admin"], ""),
        (["CMD", "curl", "http://127.0.0.1/healthz"], ""),
        (["CMD", "curl", "http://api:8000/healthz"], ""),
        (["CMD", "pg_isready"], ""),
        ([], ""),
    ],
)
def test_the_path_that_a_health_check_asks_for(test, path):
    assert health_path({"healthcheck": {"test": test}, "ports": [{"target": 8000}]}) == path
    assert health_path({}) == ""


def test_neighbours_are_those_in_a_network_with_it():
    services = {"db": {"networks": {"data": None}}, "worker": {"networks": {"data": None, "jobs": None}}, "web": {}, "page": {}}
    assert neighbours(services, ["db"]) == {"db", "worker"}
    assert neighbours(services, ["web"]) == {"web", "page"}


APP = {"ports": [{"target": 8080, "published": "8080"}], "image": "shop/app:1"}


@pytest.mark.parametrize(
    ("image", "port"),
    [
        ("mysql:8.0", 3306),
        ("mongo:7", 27017),
        ("rabbitmq:3-management", 15672),
        ("adminer", 8080),
        ("dpage/pgadmin4", 80),
        ("grafana/grafana", 3000),
    ],
)
def test_visitors_are_not_led_to_a_database_nor_to_what_developers_look_at_it_with(image: str, port: int):
    other = {"image": image, "ports": [{"target": port, "published": "9000"}]}
    assert front_door({"app": APP, "other": other}, {}) == "app"
    assert front_door({"app": {**APP, "ports": []}, "other": other}, {}) == (None if port in (3306, 27017, 15672) else "other")


@pytest.mark.parametrize(
    "command",
    [
        ["npx", "prisma", "studio"],
        ["sh", "-c", "npm ci && npx drizzle-kit studio --port 5555"],
        ["celery", "--app=shop", "flower"],
        ["/start-flower"],
        ["npm", "run", "storybook"],
    ],
)
def test_visitors_are_not_led_to_what_developers_run_of_the_app_s_own_image(command: list[str]):
    other = {"image": "shop/app:1", "command": command, "ports": [{"target": 5555, "published": "5555"}]}
    assert front_door({"app": APP, "other": other}, {}) == "app"
    assert front_door({"app": {**APP, "ports": []}, "other": other}, {}) == "other"


def test_what_two_stores_are_called_alike_is_the_name_of_neither():
    services = {
        "one": {"networks": {"left": {"aliases": ["db", "two"]}}},
        "two": {"networks": {"right": {"aliases": ["db"]}}},
        "web": {"links": ["two:db"]},
    }
    backing = backing_of(services, {"one": "postgres", "two": "postgres"})
    assert backing.names == {"one": "one", "two": "two"}
    assert backing.seen_by(services["web"]).names == {"one": "one", "two": "two", "db": "two"}
