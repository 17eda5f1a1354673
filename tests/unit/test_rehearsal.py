from __future__ import annotations

import pytest

from rehearsal.images import stand_in_for
from rehearsal.projects import base_images


@pytest.mark.parametrize(
    ("image", "folder"),
    [
        ("postgres:17", "postgres"),
        ("docker.io/library/node:22-slim", "node"),
        ("valkey/valkey:8", "valkey"),
        ("debian:trixie-slim", "debian"),
        ("mysql:8", None),
        ("team/node:1", None),
    ],
)
def test_stand_ins_are_for_official_images(image, folder):
    assert stand_in_for(image) == folder


def test_base_images_are_read_from_services_and_dockerfiles(tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "ARG V=20\nFROM node:${V}-slim AS build\nRUN x\nFROM build AS test\nFROM --platform=linux/amd64 nginx:1\n"
    )
    model = {
        "services": {
            "web": {"build": {"context": str(tmp_path), "args": {"V": "22"}}},
            "db": {"image": "postgres:17"},
            "other": {"image": "postgres:17"},
        }
    }
    assert base_images(model) == ["postgres:17", "node:22-slim", "nginx:1"]
