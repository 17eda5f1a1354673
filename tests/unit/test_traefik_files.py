"""A Traefik that is told by files of its own, and that would send all who come by HTTP to where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from berth.edge_files import IMAGE
from berth.label_proxy import told_at_start
from berth.notes import Notes
from berth.selection import Options, select

from tests.unit.rendering import project, write

STATIC = """
entryPoints:
  web:
    address: ':80'
    http: {redirections: {entryPoint: {to: web-secure}}}
  web-secure: {address: ':443'}
  tools: {address: ':5555'}
providers: {file: {filename: /etc/traefik/traefik.yml, watch: true}}
"""
DYNAMIC = """
http:
  routers:
    shop: {rule: 'Host(`shop.example.com`)', entryPoints: [web-secure], middlewares: [csrf], service: shop, tls: {certResolver: le}}
    api: {rule: 'Host(`shop.example.com`) && PathPrefix(`/api`)', entryPoints: [web-secure], middlewares: [api], service: api@file, tls: {}}
    tools: {rule: 'Host(`shop.example.com`)', entryPoints: [tools], service: tools, tls: {}}
  middlewares:
    csrf: {headers: {hostsProxyHeaders: [X-CSRFToken]}}
    api: {stripPrefix: {prefixes: [/api]}}
  services:
    shop: {loadBalancer: {servers: [{url: 'http://web:5000'}]}}
    api: {loadBalancer: {servers: [{url: 'http://api-1:8000/'}]}}
    tools: {loadBalancer: {servers: [{url: 'http://tools:5555'}]}}
"""
SERVICES: dict[str, Any] = {"web": {"image": "x/web"}, "api": {"image": "x/api", "container_name": "api-1"}, "tools": {"image": "x/tools"}}


def traefik(folder: Path, text: str, **more: Any) -> dict[str, Any]:
    (folder / "traefik.yml").write_text(text)
    volume = {"type": "bind", "source": str(folder), "target": "/etc/traefik"}
    return {
        "image": "traefik:v3.3",
        "volumes": [volume],
        "ports": [{"target": 80, "published": "80"}, {"target": 443, "published": "443"}],
        **more,
    }


def told(proxy: dict[str, Any]) -> tuple[dict[str, Any], str, Notes]:
    """The proxy, what Caddy is told on one line, and the notes."""
    notes = Notes()
    found = told_at_start({"traefik": proxy, **SERVICES}, (), notes)
    return found["traefik"], " ".join(str((found["traefik"].get("environment") or {}).get("CADDYFILE", "")).split()), notes


def test_a_caddy_stands_in_that_leads_to_the_same_and_sends_nobody_on(tmp_path):
    proxy, text, notes = told(traefik(tmp_path, STATIC + DYNAMIC))
    assert proxy["image"] == IMAGE
    assert "path /api* } handle @led0 { uri strip_prefix /api reverse_proxy api:8000" in text
    assert "reverse_proxy web:5000" in text
    assert "tools" not in text and "redir" not in text
    assert notes.warnings == [
        "tools: the router tools is not carried: visitors do not come in at tools",
        "traefik: what the proxy does with csrf (headers) is not carried; let the app do it where it is needed",
        "traefik: Caddy stands in for it, and is told when it starts what its files say: api and web are led to as there",
    ]


def test_what_it_is_told_by_its_command_counts_and_a_file_may_be_toml(tmp_path):
    words = [
        "--entrypoints.web.address=:80",
        "--entrypoints.web.http.redirections.entryPoint.to=web-secure",
        "--entrypoints.web-secure.address=:443",
    ]
    (tmp_path / "shop.toml").write_text(
        '[http.routers.shop]\nrule = "Host(`a`)"\nservice = "shop"\n[http.routers.shop.tls]\n[[http.services.shop.loadBalancer.servers]]\nurl = "http://web:5000"\n'
    )
    proxy = traefik(tmp_path, "", command=[*words, "--providers.file.directory=/etc/traefik"])
    assert "reverse_proxy web:5000" in told(proxy)[1]
    # Without them it leads nobody on, and does what it does.
    assert (
        told({**proxy, "command": ["--entrypoints.web.address=:80", "--providers.file.directory=/etc/traefik"]})[0]["image"]
        == "traefik:v3.3"
    )


@pytest.mark.parametrize(
    "text",
    [
        STATIC.replace("{redirections: {entryPoint: {to: web-secure}}}", "{}") + DYNAMIC,
        STATIC,
        STATIC + "http: {routers: {}}",
        STATIC + "http: [",
        "entryPoints: [web]",
        "",
    ],
)
def test_one_that_leads_nobody_on_or_whose_files_say_nothing_stays(tmp_path, text: str):
    proxy = traefik(tmp_path, text)
    assert told(proxy)[0] == proxy
    assert told({"image": "traefik:v3.3"})[0] == {"image": "traefik:v3.3"}


def test_what_is_guarded_is_led_nowhere(tmp_path):
    text = told(
        traefik(
            tmp_path, STATIC + DYNAMIC.replace("csrf: {headers: {hostsProxyHeaders: [X-CSRFToken]}}", "csrf: {basicAuth: {users: ['a:b']}}")
        )
    )[1]
    assert "reverse_proxy web" not in text and "respond 403" in text and "reverse_proxy api" in text
    # By where visitors come in, all are.
    entered = STATIC.replace("web-secure: {address: ':443'}", "web-secure: {address: ':443', http: {middlewares: [guard@file]}}") + DYNAMIC
    proxy, _text, notes = told(traefik(tmp_path, entered))
    assert proxy["image"] == "traefik:v3.3"
    assert "no label says what the middleware guard@file does" in notes.warnings[0]


def test_a_file_may_have_capitals_in_its_name_and_one_that_cannot_be_read_is_told_of(tmp_path):
    static = STATIC.split("providers")[0]
    (tmp_path / "Shop.yml").write_text(DYNAMIC)
    proxy = traefik(tmp_path, static, command=["--providers.file.filename=/etc/traefik/Shop.yml"])
    assert "reverse_proxy web:5000" in told(proxy)[1]
    (tmp_path / "templated.yml").write_text("http: {{ env `HTTP` }}")
    notes = told({**proxy, "command": ["--providers.file.directory=/etc/traefik"]})[2]
    assert "traefik: templated.yml is not carried: it cannot be read as YAML or TOML" in notes.warnings


def test_a_service_that_is_not_of_the_project_is_led_to_by_nobody(tmp_path):
    notes = told(traefik(tmp_path, STATIC + DYNAMIC.replace("http://api-1:8000/", "https://api-1:8443")))[2]
    words = "traefik: the router api is not carried: it leads to https://api-1:8443, which is no one service of the project by plain HTTP"
    assert words in notes.warnings


def test_beside_labels_files_are_read_as_well(tmp_path):
    socket = {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock"}
    proxy = traefik(tmp_path, STATIC + DYNAMIC)
    proxy["volumes"].append(socket)
    labels = {"traefik.http.routers.tools.rule": "PathPrefix(`/tools`)", "traefik.http.services.tools.loadbalancer.server.port": "80"}
    notes = Notes()
    services = {"traefik": proxy, **SERVICES, "tools": {"image": "x/tools", "labels": labels}}
    text = str(told_at_start(services, (), notes)["traefik"]["environment"])
    assert "reverse_proxy web:5000" in text


@pytest.mark.compose
def test_one_that_is_built_is_replaced_with_what_is_copied_into_it(tmp_path):
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy" / "traefik.yml").write_text(STATIC + DYNAMIC)
    (tmp_path / "Dockerfile").write_text("FROM docker.io/traefik:3.3.2\nCOPY ./proxy/traefik.yml /etc/traefik\n")
    text = "services:\n  traefik: {build: ., ports: ['80:80', '443:443']}\n  web: {image: 'x/web:1'}\n  api: {image: 'x/api:1', container_name: api-1}\n"
    selection = select(project(write(tmp_path, text)), Options(images={"traefik": "x/traefik:1"}), literal=True)
    assert selection.images["traefik"] == IMAGE
    assert selection.front_door == "traefik"
