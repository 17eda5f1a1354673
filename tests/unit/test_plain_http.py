"""A front door that would answer HTTPS by itself, behind who does that for it."""

from __future__ import annotations

import json

import pytest
from berth import dockerrun
from berth.selection import Options, select

from tests.unit.rendering import project, write

pytestmark = pytest.mark.compose


@pytest.mark.parametrize(
    ("value", "given", "plain"),
    [
        ("localhost, php:80", {}, ":80"),
        ("shop.example.com", {}, ":80"),
        (":80", {}, ":80"),
        ("http://shop.example.com", {}, "http://shop.example.com"),
        ("shop.example.com", {"SERVER_NAME": "http://shop.example.com"}, "http://shop.example.com"),
    ],
)
def test_a_front_door_that_answers_https_by_itself_serves_plainly_behind_who_does(tmp_path, value, given, plain):
    web = {"image": "dunglas/frankenphp:1", "ports": ["80:80", "443:443"], "environment": {"SERVER_NAME": value}}
    folder = write(tmp_path, json.dumps({"services": {"php": web}}))
    selection = select(project(folder), Options(front_port=80, environment=given))
    assert selection.services["php"]["environment"]["SERVER_NAME"] == plain
    assert any("SERVER_NAME is :80 here" in each for each in selection.notes.warnings) == (plain == ":80" != value)
    # Where nobody comes before it, it does what it does; and another server means something else by that name.
    assert select(project(folder), Options()).services["php"]["environment"]["SERVER_NAME"] == value
    web["image"] = "nginx:1"
    other = select(project(write(tmp_path, json.dumps({"services": {"php": web}}))), Options(front_port=80))
    assert other.services["php"]["environment"]["SERVER_NAME"] == (":80" if "," in value else value)


@pytest.mark.parametrize(
    ("environment", "left"),
    [
        ({"ASPNETCORE_HTTP_PORTS": "8080", "ASPNETCORE_HTTPS_PORTS": "8081"}, {"ASPNETCORE_HTTP_PORTS": "8080"}),
        ({"ASPNETCORE_URLS": "https://+:443;http://+:80"}, {"ASPNETCORE_URLS": "http://+:80"}),
        # Which certificate it has is said; nothing would be left to listen for; and what is set from outside is meant.
        ({"ASPNETCORE_HTTPS_PORTS": "8081", "ASPNETCORE_Kestrel__Certificates__Default__Path": "/c"}, None),
        ({"ASPNETCORE_URLS": "https://+:443"}, None),
        ({"ASPNETCORE_URLS": "http://+:80"}, None),
        ({"ASPNETCORE_HTTPS_PORTS": "8081", "given": "x"}, None),
    ],
)
def test_asp_net_listens_for_https_only_where_it_has_a_certificate(tmp_path, environment, left):
    given = {"ASPNETCORE_HTTPS_PORTS": "8081"} if environment.pop("given", None) else {}
    services = {"web": {"image": "x/web:1", "ports": ["80:8080"], "environment": environment}}
    folder = write(tmp_path, json.dumps({"services": services}))
    selection = select(project(folder), Options(front_port=80, environment=given))
    assert selection.services["web"]["environment"] == (environment if left is None else left)
    assert any("HTTPS is not listened for" in each for each in selection.notes.warnings) == (left is not None)
    assert select(project(folder), Options()).services["web"]["environment"] == environment


def test_whoever_publishes_a_port_at_whichever_is_free_is_the_front_door(tmp_path):
    services = {"api": {"image": "x/api:1", "ports": ["8080", "8081"]}, "job": {"image": "x/job:1"}}
    folder = write(tmp_path, json.dumps({"services": services}))
    selection = select(project(folder), Options(front_port=80))
    assert selection.front_door == "api"
    document = dockerrun.version_2(project(folder), selection, Options(front_port=80))
    mappings = {each["containerPort"]: each["hostPort"] for each in document["containerDefinitions"][0]["portMappings"]}
    assert mappings == {8080: 80, 8081: 8081}
    assert select(project(folder), Options()).front_door is None
    assert select(project(folder), Options(front_door="api")).front_door == "api"
    services["web"] = {"image": "x/web:1", "ports": ["3000:3000"]}
    assert select(project(write(tmp_path, json.dumps({"services": services}))), Options(front_port=80)).front_door == "web"
