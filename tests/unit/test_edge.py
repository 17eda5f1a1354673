"""Why a certificate could not be had, as the edge's log has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from berth.edge import certificate_problem
from berth.edge_files import IMAGE, edge_model
from hypothesis import given
from hypothesis import strategies as st

REFUSED = {
    "level": "error",
    "logger": "tls.obtain",
    "msg": "could not get certificate from issuer",
    "identifier": "shop.example.com",
    "error": "HTTP 400 urn:ietf:params:acme:error:dns - no such host",
}


def lines(*entries: dict[str, object]) -> str:
    return "\n".join(json.dumps(each) for each in entries)


def test_the_last_reason_is_told():
    later = {**REFUSED, "error": "[shop.example.com] HTTP 429 urn:ietf:params:acme:error:rateLimited - too many"}
    assert certificate_problem(lines(REFUSED, later), "shop.example.com") == "HTTP 429 urn:ietf:params:acme:error:rateLimited - too many"


def test_what_was_mended_since_is_no_reason():
    had = {"level": "info", "msg": "certificate obtained successfully", "identifier": "shop.example.com"}
    assert certificate_problem(lines(REFUSED, had), "shop.example.com") == ""


def test_another_domain_s_trouble_is_not_this_one_s():
    assert certificate_problem(lines(REFUSED), "other.example.com") == ""


@given(st.text())
def test_any_log_is_read(text: str):
    assert isinstance(certificate_problem(text, "shop.example.com"), str)


@pytest.mark.parametrize("migrates", [True, False])
def test_connections_are_handed_on_while_the_edge_takes_another_configuration_where_the_kernel_can(migrates):
    caddy = edge_model("caddy:2", migrates=migrates)["services"]["caddy"]
    assert caddy.get("sysctls") == ({"net.ipv4.tcp_migrate_req": "1"} if migrates else None)


def test_the_role_s_edge_is_the_same_caddy():
    defaults = Path(__file__).parents[2] / "roles" / "app_compose" / "defaults" / "main.yml"
    assert yaml.safe_load(defaults.read_text())["app_compose_edge_image"] == IMAGE
