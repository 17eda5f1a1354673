"""What a Dockerfile says of the image that is built from it."""

from __future__ import annotations

from typing import Any

import pytest
from berth.dockerfiles import working_folder
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "more", "folder"),
    [
        ("FROM node\nWORKDIR /app\n", {}, "/app"),
        ("FROM node\nWORKDIR /app\nworkdir src\n", {}, "/app/src"),
        ("FROM --platform=linux/amd64 node AS base\nWORKDIR /app\nFROM base\nCOPY . .\n", {}, "/app"),
        ("FROM node AS build\nWORKDIR /build\nFROM nginx\nCOPY --from=build /build/dist /srv\n", {}, None),
        ("FROM node AS Dev\nWORKDIR /dev\nFROM node AS prod\nWORKDIR '/app'\n", {"target": "dev"}, "/dev"),
        ("FROM node\nWORKDIR $HOME/app\n", {}, None),
        ("FROM node\n", {}, None),
        ("", {}, None),
    ],
)
def test_where_an_image_has_its_program(text: str, more: dict[str, Any], folder: str | None):
    assert working_folder({"dockerfile_inline": text, **more}) == folder


@given(st.text(alphabet="FROMWKDIasfrom wkdi/:$\n-"))
def test_whatever_stands_in_a_dockerfile_it_is_a_path_or_nothing(text: str):
    folder = working_folder({"dockerfile_inline": text})
    assert folder is None or folder.startswith("/")
