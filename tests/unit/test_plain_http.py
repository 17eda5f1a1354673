"""A front door that would answer HTTPS by itself, behind who does that for it."""

from __future__ import annotations

import json

import pytest
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
    assert other.services["php"]["environment"]["SERVER_NAME"] == (":80" if ":80" in value else value)
