"""An app behind a Traefik that reads labels, as it is rendered for production: visitors get to the same services by a Caddy that reads none."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from berth import compose, compose_file
from berth.selection import Options, select

from rehearsal import images, projects
from tests.machine.conftest import eventually, free_port

pytestmark = pytest.mark.docker
NAME = "berth-test-labels"
SAYS = "require('http').createServer((q, a) => a.end([process.env.WHO, q.url, q.headers['x-forwarded-prefix'], q.headers.host].join(' ')))"
COMPOSE = f"""
x-server: &server
  image: node:22-slim
  command: [node, -e, "{SAYS}.listen(process.env.PORT)"]
services:
  traefik:
    image: traefik:v3.1
    command: [--providers.docker, --entrypoints.web.address=:80, --entrypoints.websecure.address=:443]
    ports: ["80:80", "443:443"]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
  site:
    <<: *server
    environment: {{WHO: site, PORT: 3000}}
    labels:
      - traefik.http.routers.site.rule=Host(`shop.example.com`)
      - traefik.http.services.site.loadbalancer.server.port=3000
  api:
    <<: *server
    environment: {{WHO: api, PORT: 8000}}
    expose: ["8000"]
    labels:
      traefik.http.routers.api.rule: Host(`shop.example.com`) && (PathPrefix(`/api`) || Path(`/hook`))
      traefik.http.routers.api.middlewares: bare
      traefik.http.middlewares.bare.stripprefix.prefixes: /api
  admin:
    <<: *server
    environment: {{WHO: admin, PORT: 9000}}
    expose: ["9000"]
    labels: ["traefik.http.routers.admin.rule=Host(`admin.shop.example.com`)"]
  secret:
    <<: *server
    environment: {{WHO: secret, PORT: 9000}}
    expose: ["9000"]
    labels:
      - traefik.http.routers.secret.rule=Host(`shop.example.com`) && PathPrefix(`/secret`)
      - traefik.http.routers.secret.middlewares=auth
      - traefik.http.middlewares.auth.basicauth.users=x:y
"""


def run(words: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], str]]:
    """What a visitor is answered who asks a host for a path."""
    images.ensure(["node:22-slim", "caddy:2.10.2"])
    folder = tmp_path_factory.mktemp("labels")
    (folder / "compose.yaml").write_text(COMPOSE)
    project = compose.read_project(run, str(folder))
    model = compose_file.production(project, select(project, Options(front_port=80), literal=True), delivered=True)
    port = free_port()
    model["services"]["traefik"]["ports"] = [f"127.0.0.1:{port}:80"]
    rendered = folder / "production" / "compose.yaml"
    rendered.parent.mkdir()
    rendered.write_text(json.dumps(model))
    words = ["docker", "compose", "--project-name", NAME, "--file", str(rendered)]
    projects.remember(NAME)

    def answer(host: str, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path, headers={"Host": host})
        got = connection.getresponse()
        return f"{got.status} {got.read().decode()}".strip()

    try:
        subprocess.run([*words, "up", "--detach", "--wait", "--quiet-pull"], check=True, capture_output=True, text=True)
        eventually(lambda: answer("shop.example.com", "/").startswith("200") and answer("shop.example.com", "/api/").startswith("200"))
        yield answer
    finally:
        subprocess.run([*words, "down", "--volumes", "--timeout", "2"], check=False, capture_output=True)


def test_paths_and_hosts_get_to_the_services_that_the_labels_say(ask: Callable[[str, str], str]):
    eventually(lambda: ask("admin.shop.example.com", "/").startswith("200"))
    assert ask("shop.example.com", "/a?b=c") == "200 site /a?b=c  shop.example.com"
    assert ask("shop.example.com", "/api/values/1") == "200 api /values/1 /api shop.example.com"
    assert ask("shop.example.com", "/api") == "200 api / /api shop.example.com"
    assert ask("shop.example.com", "/hook").startswith("200 api /hook")
    assert ask("shop.example.com", "/hook/other").startswith("200 site /hook/other")
    assert ask("admin.shop.example.com", "/api/x").startswith("200 admin /api/x")


def test_who_comes_by_another_name_gets_what_the_main_one_gets(ask: Callable[[str, str], str]):
    assert ask("192.0.2.7", "/").startswith("200 site /")
    assert ask("192.0.2.7", "/api/x").startswith("200 api /x")


def test_what_the_proxy_guarded_is_not_to_be_had(ask: Callable[[str, str], str]):
    assert ask("shop.example.com", "/secret/x") == "403"
    assert ask("192.0.2.7", "/secret") == "403"
