"""The sample app, deployed once per run and home by `make demo`'s own code, under a name of its own; and the rehearsed AWS."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rehearsal import server, stack
from tests import modules

ROOT = Path(__file__).parents[2]
APP = ROOT / "examples" / "fibonacci"
# Some tests take a sample by default, and all that there is when this is asked for; some run then alone.
EVERY = bool(os.environ.get("BERTH_EVERY_MOMENT"))


def at_length(takes: str) -> pytest.MarkDecorator:
    """The mark of a test that takes so long."""
    return pytest.mark.skipif(not EVERY, reason=f"takes {takes} more; BERTH_EVERY_MOMENT=1 runs it")


def ip_range(number: int) -> str:
    """One of the 32 ranges of private addresses that this checkout's tests have: they run beside demos, and, most likely, beside those of
    another checkout, since one engine has no two networks with the same addresses. ``number``: 0 to 31, each of one file's apps."""
    # Below what the rehearsal's own networks have.
    return f"10.{129 + zlib.crc32(bytes(ROOT)) % 80}.{8 * number}.0/21"


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
    environment: dict[str, str] = field(repr=False)
    output: str = field(default="", repr=False)
    target: str = "local"
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
        # Who leads visitors there may answer in the app's place, and not in JSON.
        return int(answer["value"]) if isinstance(answer, dict) and answer.get("value") else None

    def ready(self) -> bool:
        return self.call("/readyz")[0] == 200

    def compose(self, *arguments: str) -> str:
        options = [word for name in self.files for word in ("--file", name)]
        command = ["docker", "compose", "--project-directory", str(APP), *options, "--project-name", self.name, *arguments]
        done = subprocess.run(command, cwd=APP, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ansible-playbook", "-i", f"inventories/{self.target}", f"playbooks/{name}", "-e", f"app_name={self.name}", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )


@pytest.fixture(scope="session")
def demo() -> Iterator[App]:
    """`make demo`, run to its end; each of the workers that run the tests has its own."""
    port = free_port()
    # With one name for all, one worker's run would replace containers that another's is waiting for.
    name = f"berth-test-demo-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": name, "WEB_PORT": str(port)}
    done = subprocess.run(
        [sys.executable, "-m", "rehearsal", "demo", "--target", "local"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    app = App(name, f"http://127.0.0.1:{port}", environment, done.stdout)
    yield app
    app.playbook("destroy.yml", "-e", f"destroy_volumes={name}")


@dataclass
class Cloud:
    """The rehearsed AWS, seen through its API, or what another inventory leads to."""

    environment: dict[str, str] = field(repr=False)
    inventory: str = "inventories/aws"

    def client(self, service: str, region: str = "") -> Any:
        return stack.client(service, region)

    def module(self, name: str, arguments: dict[str, Any], *options: str) -> tuple[int, dict[str, Any], str]:
        return modules.run(name, arguments, *options, environment=self.environment)

    def succeed(self, name: str, arguments: dict[str, Any], *options: str) -> dict[str, Any]:
        code, result, printed = self.module(name, arguments, *options)
        assert code == 0, printed
        return result

    def playbook(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["ansible-playbook", "-i", self.inventory, f"playbooks/{name}", *arguments]
        settings = {**self.environment, **environment}
        return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)

    def secrets(self, prefix: str) -> dict[str, dict[str, str]]:
        """The secrets whose names begin so, by name."""
        client = self.client("secretsmanager")
        names = [each["Name"] for each in client.list_secrets()["SecretList"] if each["Name"].startswith(prefix)]
        return {name: json.loads(client.get_secret_value(SecretId=name)["SecretString"]) for name in names}


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The rehearsal of AWS, with nothing in it."""
    server.down()
    server.up()
    yield Cloud({**os.environ, **server.environment()})
    server.down()
