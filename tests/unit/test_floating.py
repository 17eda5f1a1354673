"""Images under a tag that says nothing of what is in them."""

from __future__ import annotations

import json
from typing import Any

from berth.floating import floating, pinned
from berth.selection import Options, select

from tests.unit.rendering import project, write

DIGEST = "sha256:" + "0" * 64
SERVICES: dict[str, Any] = {
    "web": {"image": "shop/web"},
    "api": {"image": "registry.example.com:5000/shop/api:latest"},
    "jobs": {"image": "registry.example.com:5000/shop/api:latest"},
    "fixed": {"image": "nginx:1.28"},
    "exact": {"image": f"shop/exact@{DIGEST}"},
    "built": {"image": "shop/built", "build": {"context": "."}},
    "beside": {"image": "shop/built"},
    "db": {"image": "mysql"},
    "without": {"image": "shop/none"},
}


def test_those_that_say_nothing_of_what_is_in_them_are_looked_up():
    assert list(floating(SERVICES, ["without"])) == ["web", "api", "jobs"]


def test_each_is_asked_for_once_and_named_by_its_digest():
    asked = []

    def run(words: list[str], **_more: Any) -> tuple[int, str, str]:
        asked.append(words[-1])
        if "shop/web" in words:
            return 1, "", "first\ndial tcp: lookup registry.example.com: no such host\n"
        return 0, json.dumps({"digest": DIGEST}), ""

    found, told = pinned(floating(SERVICES, ["without"]), run, {})
    assert asked == ["registry.example.com:5000/shop/api:latest", "shop/web"]
    assert found == dict.fromkeys(("api", "jobs"), f"registry.example.com:5000/shop/api@{DIGEST}")
    assert [each.split(" says")[0] for each in told] == ["shop/web"]
    assert "no such host" in told[0]


def test_who_runs_what_another_service_builds_gets_its_image(tmp_path):
    text = "services: {app: {build: ., image: 'shop:latest', ports: ['80:80']}, worker: {image: 'shop:latest', command: work}}"
    found = select(project(write(tmp_path, text)), Options(images={"app": f"registry.example.com/shop/app@{DIGEST}"}))
    assert found.images == dict.fromkeys(("app", "worker"), f"registry.example.com/shop/app@{DIGEST}")
    assert found.notes.warnings == []
