"""How a release is seen to have come up, with a Docker that answers what it is told to."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from berth import machine_docker, release_machine
from berth.problems import with_log
from berth.release_machine import Machine
from berth.release_up import come_up

from tests.unit import docker_api


class Engine:
    """A Docker: what it says of containers, and with which code Compose ends. ``status`` and ``state`` are the front door's."""

    def __init__(self) -> None:
        self.status, self.state, self.address, self.restarts, self.code = "Up 1 second", "running", "127.0.0.1", 0, 0

    def __call__(self, words: list[str], **_more: Any) -> tuple[int, str, str]:
        if words[0] == "timeout":
            return self.code, "", "container shop-web-1 failed to start" if self.code else ""
        return 0, "", ""

    def ask(self, path: str) -> Any:
        """Its API."""
        if name := docker_api.container(path):
            networks = {"berth-edge": {"IPAddress": self.address}}
            return {"RestartCount": self.restarts, "NetworkSettings": {"Networks": networks}} if name == "shop-r1-web-1" else None
        assert docker_api.labels(path) == ["org.berth.app=shop"]
        about = {"state": self.state, "status": self.status, "release": "r1", "project": "shop-r1", "service": "web"}
        return docker_api.listed({"shop-r1-web-1": about})


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def door() -> Iterator[Any]:
    """A front door: its port, and the status that it answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self) -> None:
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Handler.port = server.server_address[1]  # type: ignore[attr-defined]
        yield Handler
        server.shutdown()


@pytest.fixture
def machine(engine: Engine, door: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(release_machine, "_ROOT", tmp_path)
    monkeypatch.setattr(machine_docker, "ask", engine.ask)
    params = {
        "app": "shop",
        "release": "r1",
        "front_door": "web",
        "port": door.port,
        "health_path": "/",
        "domain": "",
        "wait_timeout": 1,
        "settle": 3,
    }
    found = Machine(params, engine)
    found.file("r1").parent.mkdir(parents=True)
    found.file("r1").write_text(json.dumps({"services": {"web": {}}}))
    return found


def test_a_front_door_that_answers_is_up_at_once(machine: Machine, engine: Engine):
    engine.status = "Up Less than a second"
    assert come_up(machine) is None


def test_one_that_answers_with_an_error_is_not(machine: Machine, door: Any):
    door.status = 503
    assert come_up(machine) == ("within 1 s (app_compose_timeout) it did not come up: web answers / with HTTP 503", ("web",))


def test_one_that_nobody_can_ask_is_not(machine: Machine, engine: Engine):
    engine.address = ""
    assert come_up(machine) == ("within 1 s (app_compose_timeout) it did not come up: web ends again and again", ("web",))


def test_one_that_has_ended_too_often_is_not_waited_for(machine: Machine, engine: Engine):
    engine.state, engine.status, engine.restarts = "restarting", "Restarting (1) 2 seconds ago", 9
    machine.params["wait_timeout"] = 600
    assert come_up(machine) == ("web ended 9 times (Restarting (1) 2 seconds ago)", ("web",))
    engine.status = "Restarting (0) 2 seconds ago"
    assert 'restart: "no"' in (come_up(machine) or ("",))[0]


def test_one_without_health_has_to_run_for_a_while_and_is_told_of_where_it_ends_again_and_again(machine: Machine, engine: Engine):
    machine.params["front_door"] = None
    engine.status, engine.restarts = "Up 2 seconds", 4
    assert come_up(machine) == ("within 1 s (app_compose_timeout) it did not come up: web Up 2 seconds, and has ended 4 times", ("web",))
    engine.status = "Up 3 seconds"
    assert come_up(machine) is None


def test_what_compose_says_is_told_and_what_takes_it_too_long_too(machine: Machine, engine: Engine):
    engine.code = 1
    assert come_up(machine) == ("container shop-web-1 failed to start", ())
    engine.code, engine.state, engine.status = 124, "created", "Created"
    assert come_up(machine) == ("within 1 s (app_compose_timeout) it did not come up: web Created", ("web",))


def test_what_a_log_says_last_is_told_without_orders_to_a_terminal():
    said = ["\x1b[2Kworker-1  | \x1b[1;31mError\x1b[0m: no Redis", "\x1b]0;title\x07worker-1  | [ok] 1;2m"]
    assert with_log("worker ended 9 times", said) == (
        "worker ended 9 times\nLast log lines:\nworker-1  | Error: no Redis\nworker-1  | [ok] 1;2m"
    )
