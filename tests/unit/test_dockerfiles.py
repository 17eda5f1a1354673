"""What a Dockerfile says of the image that is built from it."""

from __future__ import annotations

from typing import Any

import pytest
from berth.dockerfiles import holds_program, working_folder
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


@pytest.mark.parametrize(
    "text",
    [
        "FROM php:8-fpm\nRUN docker-php-ext-install pdo_pgsql\nWORKDIR /var/www\n",
        "FROM docker.io/library/php\nCOPY docker/php.ini docker/conf.d /usr/local/etc/php/\nCOPY --from=composer /usr/bin/composer /usr/bin/\n",
        'FROM node:20\nCOPY ["package.json", "yarn.lock", "./"]\nRUN yarn\n',
        "FROM python:3\nADD ./requirements.txt /code/\nRUN pip install \\\n  -r /code/requirements.txt\n",
        "FROM php:8\nRUN curl -sS https://getcomposer.org/installer | php -- --install-dir=/usr/local/bin\n",
        "FROM golang\nCOPY go.mod go.sum ./\nRUN go mod download\nCOPY entrypoint.sh /\n",
    ],
)
def test_an_image_into_which_only_is_installed_has_no_program(text: str):
    assert not holds_program({"dockerfile_inline": text})


@pytest.mark.parametrize(
    "text",
    [
        "FROM php:8-fpm\nCOPY . /var/www\n",
        "FROM python:3\nCOPY requirements.txt app.py ./\n",
        "FROM node AS build\nCOPY src/ src/\nFROM nginx\nCOPY --from=build /dist /srv\n",
        "FROM shop/node\nRUN npm ci\n",
        "FROM wordpress\n",
        "FROM debian\nRUN apt-get update && git clone https://example.com/app\n",
        "FROM node\nONBUILD COPY . .\n",
    ],
)
def test_what_may_have_a_program_is_taken_for_one(text: str):
    assert holds_program({"dockerfile_inline": text})


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/opt/shop/limits.ini", "FROM php:8-fpm\nCOPY . /var/www\n"),
        ("/scripts", "FROM node:20\nWORKDIR /app\nCOPY package.json .\nCOPY . .\n"),
        ("/srv/static", "FROM node AS build\nWORKDIR '/app'\nCOPY . .\nFROM nginx\nCOPY --from=build /app/dist /usr/share/nginx/html\n"),
        ("/application", "FROM python:3\nCOPY . /app\n"),
    ],
)
def test_where_nothing_is_copied_to_the_image_has_nothing(target: str, text: str):
    assert not holds_program({"dockerfile_inline": text}, target)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/app/api", "FROM python:3\nCOPY . /app\n"),
        ("/app/", "FROM python:3\nWORKDIR /app\nRUN pip install flask\nCOPY src ./src/.\n"),
        ("/app", 'FROM node:20\nWORKDIR "/app"\nCOPY ["package.json", "./"]\nCOPY [".", "."]\n'),
        ("/app", "FROM node:20\nENV HOME_OF=/app\nWORKDIR $HOME_OF\nCOPY . .\n"),
        ("/var/www/html", "FROM php:8-apache\nCOPY src/ .\n"),
        ("/app", "FROM node AS base\nWORKDIR /app\nFROM base\nCOPY . .\n"),
        ("/usr/share/nginx/html", "FROM node AS build\nCOPY . /src\nFROM nginx\nCOPY --from=build /src/dist /usr/share/nginx/html\n"),
        ("/anywhere", "FROM python:3\nCOPY rootfs /\n"),
        ("/scripts", "FROM shop/base\nCOPY . /app\n"),
    ],
)
def test_where_something_may_be_copied_to_the_image_may_have_it(target: str, text: str):
    assert holds_program({"dockerfile_inline": text}, target)


def test_without_a_dockerfile_nobody_can_tell(tmp_path: Any):
    assert holds_program({"context": str(tmp_path)}) and holds_program({})
