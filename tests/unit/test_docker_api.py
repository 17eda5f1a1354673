"""How a machine's Docker is asked, with one that answers what it is told to."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from berth.docker_api import ask
from berth.machine_docker import Docker
from berth.problems import BerthError


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers what ``answers`` has for a path: a status and a text."""

    answers: dict[str, tuple[int, str]]
    asked: list[str]

    def do_GET(self) -> None:
        assert self.headers["Host"] == "docker"
        self.asked.append(self.path)
        status, text = self.answers.get(self.path.split("?")[0], (404, '{"message":"No such container"}'))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def address_string(self) -> str:
        return "here"

    def log_message(self, *_words: object) -> None:
        """Nothing."""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    handler = type("Told", (Engine,), {"answers": {}, "asked": []})
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")
    with socketserver.UnixStreamServer(str(tmp_path / "docker.sock"), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler
        server.shutdown()


@pytest.fixture
def docker() -> Docker:
    return Docker(lambda *_words, **_more: (1, "", "is not asked by a command"))


def test_containers_are_found_by_label_and_called_as_their_project_calls_them(engine: Any, docker: Docker):
    labels = {"org.berth.release": "r1", "com.docker.compose.project": "shop-r1", "com.docker.compose.service": "web"}
    listed = [
        {"Names": ["/other/db", "/shop-r1-web-1"], "State": "running", "Status": "Up 2 seconds (healthy)", "Labels": labels},
        {"Names": ["/by-hand"], "State": "exited", "Status": "Exited (0) 2 days ago", "Labels": None},
    ]
    engine.answers["/containers/json"] = (200, json.dumps(listed))
    web = {"name": "shop-r1-web-1", "state": "running", "project": "shop-r1", "status": "Up 2 seconds (healthy)", "service": "web"}
    other = {"name": "by-hand", "state": "exited", "project": "", "status": "Exited (0) 2 days ago", "service": ""}
    assert docker.projects("org.berth.app", "shop", "org.berth.release") == {"r1": [web], "": [other]}
    assert engine.asked == ["/containers/json?all=true&filters=%7B%22label%22%3A+%5B%22org.berth.app%3Dshop%22%5D%7D"]


def test_images_are_there_or_not(engine: Any, docker: Docker):
    image = "registry.example.org:5000/shop/web@sha256:00ff"
    assert docker.architectures([image]) is None
    engine.answers[f"/images/{image}/json"] = (200, '{"Architecture": "arm64"}')
    assert docker.architectures([image]) == {image: "arm64"}
    assert docker.architectures([image, "web:1"]) is None
    assert docker.architectures([]) == {}


def test_one_that_is_gone_has_not_ended_often(engine: Any, docker: Docker):
    engine.answers["/containers/web/json"] = (200, '{"RestartCount": 9}')
    containers = [{"name": name, "state": "restarting"} for name in ("web", "gone")]
    assert docker.ended(containers, 3) == {"web": 9}


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (500, '{"message": "layer does not exist"}', "with HTTP 500: layer does not exist"),
        (502, "<html>", "with HTTP 502: <html>"),
        (200, "not JSON", "with HTTP 200: not JSON"),
    ],
)
def test_what_docker_says_is_told(engine: Any, status: int, text: str, said: str):
    engine.answers["/containers/web/json"] = (status, text)
    with pytest.raises(BerthError, match=f"Docker answers /containers/web/json {said}"):
        ask("/containers/web/json?size=1")


def test_that_nobody_answers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")
    with pytest.raises(BerthError, match=r"Docker does not answer on this machine: .*No such file"):
        ask("/version")


def test_a_docker_elsewhere_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example.org:2375")
    with pytest.raises(BerthError, match=r"DOCKER_HOST=tcp://build\.example\.org:2375: .* unset it there"):
        ask("/version")
