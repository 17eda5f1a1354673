"""Apps of other shapes, side by side in one account and region: a Django app with Celery, a program on the JVM, a container with only a Redis."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rehearsal import images
from tests.machine.account import photograph
from tests.machine.conftest import EVERY, ROOT, Cloud, eventually
from tests.machine.test_aws_home import changed, left_over

pytestmark = pytest.mark.docker


@dataclass
class Example:
    """One of the examples, deployed."""

    name: str
    cloud: Cloud
    output: str = ""

    def arguments(self) -> tuple[str, ...]:
        more = {"app_project": str(ROOT / "examples" / self.name), "aws_profile": "small"}
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
def apps(cloud: Cloud) -> Iterator[dict[str, Example]]:
    """All three, made at the same time."""
    images.ensure(["debian:trixie-slim"])
    found = {name: Example(name, cloud) for name in ("notes", "ledger", "counter")}
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    threads = [threading.Thread(target=lambda app=app: done.update({app.name: app.playbook("site.yml")})) for app in found.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, app in found.items():
        assert done[name].returncode == 0, done[name].stdout
        app.output = done[name].stdout
    yield found
    for app in found.values():
        app.playbook("destroy.yml", "-e", f"destroy={app.name}")


def test_a_django_app_keeps_notes_and_its_worker_counts_their_words(apps: dict[str, Example]):
    notes = apps["notes"]
    made = notes.call("/notes", "a worker counts these five")
    counted = eventually(lambda: [each for each in notes.call("/notes")["notes"] if each["id"] == made["id"] and each["words"]])
    assert counted[0]["words"] == 5


def test_a_program_on_the_jvm_finds_its_database_by_a_jdbc_url(apps: dict[str, Example]):
    ledger = apps["ledger"]
    before = ledger.call("/balance")
    assert ledger.call("/entries", "7") == {"booked": 7}
    assert ledger.call("/balance") == {"balance": before["balance"] + 7, "entries": before["entries"] + 1}


def test_a_single_container_counts_in_its_redis(apps: dict[str, Example]):
    first = apps["counter"].call("/")["visits"]
    assert apps["counter"].call("/")["visits"] == first + 1


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
