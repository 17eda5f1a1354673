"""Apps of other shapes, side by side in one account and region: a Django app with Celery, a program on the JVM, an app with only a Redis that
is laid out in several folders."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rehearsal import images
from tests.machine.account import photograph
from tests.machine.conftest import EVERY, ROOT, Cloud, eventually
from tests.machine.test_aws_home import changed, left_over

pytestmark = pytest.mark.docker


# The counter as others lay it out: the Compose file in a folder of its own, what is built and what is mounted beside that, the store
# found by its container's name, a volume that one container writes into, as nobody in particular, and another serves, and a Dockerfile for
# development by which nobody would answer.
LAID_OUT = """
services:
  front:
    image: nginx:1.28
    ports: ["8081:80"]
    volumes: ["../front/default.conf:/etc/nginx/conf.d/default.conf:ro"]
    volumes_from: ["diary:ro"]
    depends_on: [web, diary]
  diary:
    image: nginx:1.28
    user: "65534:65534"
    volumes: ["diary:/var/tmp"]
    command: [sh, -c, "date >> /var/tmp/days && exec sleep infinity"]
  web:
    build: {context: ../app, dockerfile: Dockerfile.dev}
    environment: {REDIS_URL: "redis://counter-store:6379/0"}
    depends_on: [store]
  store:
    image: valkey/valkey:8
    container_name: counter-store
volumes:
  diary:
"""
FRONT = "server { listen 80; location / { proxy_pass http://web:8000; } location = /days { alias /var/tmp/days; } }\n"


def laid_out(folder: Path) -> Path:
    """Lays the counter out in a git repository. Returns the folder of its Compose file."""
    shutil.copytree(ROOT / "examples" / "counter" / "app", folder / "app")
    (folder / "app" / "Dockerfile.dev").write_text("FROM debian:trixie-slim\nCMD sleep infinity\n")
    for path, text in (("docker/compose.yaml", LAID_OUT), ("front/default.conf", FRONT)):
        (folder / path).parent.mkdir()
        (folder / path).write_text(text)
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "counter")):
        subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)
    return folder / "docker"


@dataclass
class Example:
    """One of the examples, deployed."""

    name: str
    cloud: Cloud
    project: Path
    output: str = ""

    def arguments(self) -> tuple[str, ...]:
        more = {"app_project": str(self.project), "app_name": self.name, "aws_profile": "small"}
        if self.name == "notes":
            # What the Compose file says is for development alone.
            more["app_env"] = {"SECRET_KEY": "of-this-test-and-long-enough"}  # type: ignore[assignment]
        return ("-e", json.dumps(more))

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.cloud.playbook(name, *self.arguments(), *arguments)

    @property
    def url(self) -> str:
        found = self.cloud.client("elasticbeanstalk").describe_environments(EnvironmentNames=[f"berth-{self.name}"])["Environments"][0]
        return f"http://{found['CNAME']}"

    def call(self, path: str, body: str | None = None) -> Any:
        data = body.encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=10) as response:
            return json.load(response)


@pytest.fixture(scope="module")
def apps(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Example]]:
    """All three, made at the same time."""
    images.ensure(["debian:trixie-slim", "nginx:1.28"])
    projects = {name: ROOT / "examples" / name for name in ("notes", "ledger")}
    projects["counter"] = laid_out(tmp_path_factory.mktemp("counter"))
    found = {name: Example(name, cloud, project) for name, project in projects.items()}
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    threads = [threading.Thread(target=lambda app=app: done.update({app.name: app.playbook("site.yml")})) for app in found.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, app in found.items():
        assert done[name].returncode == 0, done[name].stdout
        app.output = done[name].stdout + done[name].stderr
    yield found
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda app: app.playbook("destroy.yml", "-e", f"destroy={app.name}"), found.values()))


def test_a_django_app_keeps_notes_and_its_worker_counts_their_words(apps: dict[str, Example]):
    notes = apps["notes"]
    made = notes.call("/notes", "a worker counts these five")
    counted = eventually(lambda: [each for each in notes.call("/notes")["notes"] if each["id"] == made["id"] and each["words"]])
    assert counted[0]["words"] == 5
    # Its URLs have what those of the stores' own secrets have not, so it has one for them, and nobody is shown what is in it.
    secrets = notes.cloud.secrets("berth/notes/")
    texts = secrets["berth/notes/composed"]
    assert {key.rpartition("_")[0] for key in texts} == {"DATABASE_URL", "CELERY_BROKER_URL"}
    passwords = [secrets[f"berth/notes/{name}"]["password"] for name in ("postgres", "redis")]
    assert not [each for each in passwords if each in notes.output]
    assert all(any(password in text for password in passwords) for text in texts.values())


def test_a_program_on_the_jvm_finds_its_database_by_a_jdbc_url(apps: dict[str, Example]):
    ledger = apps["ledger"]
    before = ledger.call("/balance")
    assert ledger.call("/entries", "7") == {"booked": 7}
    assert ledger.call("/balance") == {"balance": before["balance"] + 7, "entries": before["entries"] + 1}


def test_one_whose_files_lie_beside_its_compose_file_counts_in_its_redis(apps: dict[str, Example]):
    first = apps["counter"].call("/")["visits"]
    # The load balancer, which asks whether it is well, is a visitor as well.
    assert apps["counter"].call("/")["visits"] > first
    assert "web is built from Dockerfile, and not from Dockerfile.dev" in " ".join(apps["counter"].output.split())


def test_a_container_that_is_not_root_writes_into_its_volume_and_another_serves_that(apps: dict[str, Example]):
    with urllib.request.urlopen(f"{apps['counter'].url}/days", timeout=10) as response:
        assert response.read().count(b"\n") >= 1


def test_nobody_pays_for_a_store_that_the_app_does_not_have(apps: dict[str, Example], cloud: Cloud):
    assert photograph(cloud, "counter")["databases"] == []
    assert photograph(cloud, "ledger")["caches"] == []
    assert "The Compose file has no postgres, so none is kept" in " ".join(apps["counter"].output.split())


def test_a_second_run_changes_nothing(apps: dict[str, Example]):
    for name in ("counter", "notes") if EVERY else ("counter",):
        done = apps[name].playbook("site.yml")
        assert done.returncode == 0, done.stdout
        assert changed(done.stdout) == 0, done.stdout


def test_one_is_destroyed_while_the_others_serve_on(apps: dict[str, Example], cloud: Cloud):
    others = ("ledger", "counter")
    before = {name: photograph(cloud, name) for name in others}
    failures: list[str] = []
    stop = threading.Event()

    def visit() -> None:
        while not stop.wait(0.2):
            for name, path in (("ledger", "/balance"), ("counter", "/")):
                try:
                    apps[name].call(path)
                except OSError as error:
                    failures.append(f"{name}: {error}")

    visitor = threading.Thread(target=visit)
    visitor.start()
    done = apps["notes"].playbook("destroy.yml", "-e", "destroy=notes")
    stop.set()
    visitor.join()
    assert done.returncode == 0, done.stdout
    assert failures == []
    assert left_over(cloud, "berth-notes") == []
    assert {name: photograph(cloud, name) for name in others} == before
