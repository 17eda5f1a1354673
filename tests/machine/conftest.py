"""The sample app, deployed once per run by `make demo`'s own code, under a name and on a port of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "fibonacci"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    """The first truthy answer of ``check``; its last answer or error when there is none in time."""
    end, answer = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            answer = check()
        except (OSError, ValueError, AssertionError) as error:
            answer = error
        if answer and not isinstance(answer, Exception):
            return answer
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s; the last answer was {answer!r}")


@dataclass
class App:
    """A running sample app, seen through its front door."""

    name: str
    url: str
    environment: dict[str, str]
    output: str = ""
    files: list[str] = field(default_factory=list)

    def call(self, path: str, body: Any = None, method: str | None = None, raw: bytes | None = None) -> tuple[int, Any]:
        """Status and parsed JSON (or text) of a request."""
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                status, text = response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def submit(self, index: int) -> None:
        status, answer = self.call("/api/values", {"index": index})
        assert (status, answer) == (202, {"index": index})

    def result(self, index: int) -> int | None:
        _status, answer = self.call(f"/api/values/{index}")
        return int(answer["value"]) if answer.get("value") else None

    def ready(self) -> bool:
        return self.call("/readyz")[0] == 200

    def compose(self, *arguments: str) -> str:
        options = [word for name in self.files for word in ("--file", name)]
        command = ["docker", "compose", "--project-directory", str(APP), *options, "--project-name", self.name, *arguments]
        done = subprocess.run(command, cwd=APP, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ansible-playbook", "-i", "inventories/local", f"playbooks/{name}", "-e", f"app_name={self.name}", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )


@pytest.fixture(scope="session")
def demo() -> Iterator[App]:
    """`make demo`, run to its end."""
    port = free_port()
    name = "berth-test-demo"
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": name, "WEB_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    app = App(name, f"http://127.0.0.1:{port}", environment, done.stdout)
    yield app
    app.playbook("destroy.yml", "-e", f"destroy_volumes={name}")
