"""Whom visitors are led to where a proxy that is not in the Compose file led them."""

from __future__ import annotations

from typing import Any

import pytest
from berth.hidden_door import hidden_door
from berth.release_model import door_port
from berth.selection import Options, select

from tests.unit.rendering import project, version_2, write

HOST = {"traefik.enable": "true", "traefik.http.routers.web.rule": "Host(`shop.example.com`)"}
PORT = {"traefik.http.services.web.loadbalancer.server.port": "3000"}
PATH = {"traefik.http.routers.api.rule": "Host(`shop.example.com`) && PathPrefix(`/graphql`)"}


@pytest.mark.parametrize(
    ("services", "door"),
    [
        ({"web": {"labels": {**HOST, **PORT}}, "api": {"labels": PATH, "expose": ["4000"]}}, ("web", 3000, ["api"])),
        ({"web": {"labels": HOST, "expose": ["80"]}, "api": {"expose": ["4000"]}}, ("web", 80, [])),
        ({"app": {"environment": {"VIRTUAL_HOST": "shop.example.com", "VIRTUAL_PORT": "5000"}}, "worker": {}}, ("app", 5000, [])),
        ({"backend": {"expose": ["8000"]}, "frontend": {"expose": ["80/tcp"], "depends_on": {"backend": {}}}}, ("frontend", 80, [])),
        ({"app": {"expose": ["8000"]}, "db": {"image": "mysql:8", "expose": ["3306"]}}, ("app", 8000, [])),
        ({"app": {"labels": {"traefik.frontend.rule": "Host:shop.example.com", "traefik.port": "8080"}}}, ("app", 8080, [])),
        # Nothing tells one from the other, or what the port is, or it is told already.
        ({"a": {"expose": ["8000"]}, "b": {"expose": ["5000"]}}, None),
        ({"metrics": {"expose": ["9187"]}}, None),
        ({"web": {"labels": HOST}}, None),
        ({"api": {"labels": PATH, "expose": ["4000"]}}, None),
        ({"web": {"expose": ["80"]}, "admin": {"ports": [{"target": 1, "published": "1"}]}}, None),
        ({}, None),
    ],
)
def test_labels_variables_and_exposed_ports_tell(services: dict[str, Any], door: tuple[str, int, list[str]] | None):
    found = hidden_door(services, {})
    assert (found and (found.name, found.port, found.others)) == door


def test_in_a_deploy_it_is_opened_and_said(tmp_path):
    text = "services: {web: {image: shop/web, expose: ['3000']}, db: {image: 'postgres:17'}}"
    found = select(project(write(tmp_path, text)), Options(front_port=80))
    assert (found.front_door, door_port(found.services["web"])) == ("web", 3000)
    assert "web: no service publishes a port, so visitors are led to it, at port 3000, as its expose says" in found.notes.warnings
    assert select(project(tmp_path), Options()).front_door is None


def test_on_aws_it_is_where_the_load_balancer_looks(tmp_path):
    document, _selection = version_2(write(tmp_path, "services: {web: {image: shop/web, expose: ['3000']}}"), front_port=80)
    assert document["containerDefinitions"][0]["portMappings"] == [{"containerPort": 3000, "hostPort": 80}]
