"""Renders the test projects as the module does, without Ansible around it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from berth import compose, compose_file, dockerrun
from berth.selection import Options, Selection, select

PROJECTS = Path(__file__).parent / "projects"
POSTGRES = {
    "host": "shop.example.eu-central-1.rds.amazonaws.com",
    "database": "shop",
    "username": "shop",
    "password_ref": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-AbCdEf:password::",
    "url_ref": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-AbCdEf:url::",
    "tls": "verify-full",
}
REDIS = {"host": "master.shop.euc1.cache.amazonaws.com", "tls": True}


def run(command: Any) -> tuple[int, str, str]:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def project(where: Path | str) -> compose.Project:
    return compose.read_project(run, str(PROJECTS / where))


def write(folder: Path, text: str) -> Path:
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    return folder


def selected(where: Path | str, literal: bool = False, **options: Any) -> tuple[compose.Project, Selection, Options]:
    read = project(where)
    given = Options(**options)
    return read, select(read, given, literal=literal), given


def version_2(where: Path | str, **options: Any) -> tuple[dict[str, Any], Selection]:
    read, selection, given = selected(where, **options)
    return dockerrun.version_2(read, selection, given), selection


def as_compose(where: Path | str, **options: Any) -> tuple[dict[str, Any], Selection]:
    read, selection, _given = selected(where, literal=True, **options)
    return compose_file.production(read, selection), selection


def container(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in document["containerDefinitions"] if each["name"] == name)
