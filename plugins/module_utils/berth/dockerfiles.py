# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an image is built from."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from typing import Any

from .images import parse

# A larger file is no configuration.
_MOST_BYTES = 65536
# Images of a language or a system, in which there is no program.
_BARE = frozenset(
    "php node python ruby golang rust perl elixir erlang openjdk eclipse-temurin amazoncorretto maven gradle bun deno alpine debian ubuntu nginx httpd".split()
)
# Files that say what is installed, and how programs are set up.
_NO_PROGRAM = re.compile(
    r"(package.*\.json|.*lock(file|b)?|.*\.lock|.*-lock\..*|\.(npm|yarn|bundle|docker).*|requirements.*|pipfile|pyproject\.toml|setup\.(py|cfg)|composer\..*|gemfile"
    r"|go\.(mod|sum)|cargo\.toml|mix\.exs|pom\.xml|.*\.gradle(\.kts)?|gradlew?|tsconfig.*|.*\.(sh|conf|ini|cnf|crt|pem|template))",
    re.IGNORECASE,
)
# Where programs read how they are set up.
SETTINGS = ("/etc/", "/usr/local/etc/", "/docker-entrypoint")
# Where they are set up and started, and none of the user's own lies.
_BESIDE = (*SETTINGS, "/usr/local/bin/", "/usr/bin/", "/root/", "/tmp/")


def _text(build: Mapping[str, Any]) -> str | None:
    text = build.get("dockerfile_inline")
    if text is not None:
        return str(text)
    return read_text(os.path.join(str(build.get("context") or "."), str(build.get("dockerfile") or "Dockerfile")))


def working_folder(build: Mapping[str, Any]) -> str | None:
    """The absolute path where the image that is built has its program, as far as its Dockerfile says so, or None."""
    folder = ""
    for rest in re.findall(r"(?im)^\s*WORKDIR\s+(.*?)\s*$", "".join(_line_of_stages(build)[1])):
        folder = os.path.normpath(os.path.join(folder or "/", rest.strip("\"'")))
    return folder if folder and "$" not in folder else None


def base_image(build: Mapping[str, Any]) -> str | None:
    """What a build's last stage is FROM, or None when no Dockerfile can be read."""
    return _line_of_stages(build)[0]


def sets(build: Mapping[str, Any], variable: str) -> bool:
    """Whether a Dockerfile sets a variable for what runs in its image."""
    texts = (re.sub(r"\\\s*\n", " ", each) for each in _line_of_stages(build)[1])
    return any(re.search(rf"(?im)^\s*ENV\s.*\b{variable}\b", each) for each in texts)


def starts(build: Mapping[str, Any], keys: Collection[str] = ("entrypoint", "command")) -> str:
    """What a Dockerfile says that a container of it starts, in words; the empty string where it says nothing. ``keys``: which of both is asked for."""
    text, found = re.sub(r"\\\s*\n", " ", "".join(_line_of_stages(build)[1])), []
    for word in [{"entrypoint": "ENTRYPOINT", "command": "CMD"}[key] for key in keys]:
        said = re.findall(rf"(?im)^\s*{word}\s+(.*?)\s*$", text)[-1:]
        found += [re.sub(r"[\[\]\"',]+", " ", each) if each.startswith("[") else each for each in said]
    return " ".join(" ".join(found).split())


def copied_to(build: Mapping[str, Any], folder: str) -> list[str]:
    """Which paths of its context a build's last stage, or one that it is FROM, copies to an absolute folder or below it."""
    found = []
    for text in _line_of_stages(build)[1]:
        for rest in re.findall(r"(?im)^\s*(?:COPY|ADD)\s+(.*?)\s*$", re.sub(r"\\\s*\n", " ", text)):
            paths, elsewhere = _copied(rest)
            if paths and not elsewhere and (paths[-1].rstrip("/") + "/").startswith(folder.rstrip("/") + "/"):
                found += [os.path.join(str(build.get("context") or "."), each) for each in paths[:-1]]
    return found


def _copied(rest: str) -> tuple[list[str], bool]:
    """The paths of a ``COPY``, of which the last is where to, and whether the others are of an earlier stage, or of another image."""
    words = [each.strip("\"',[]") for each in rest.split()]
    return [each for each in words if each and not each.startswith("--")], any(each.startswith("--from=") for each in words)


def package_json(build: Mapping[str, Any]) -> str:
    """The ``package.json`` beside a program; the empty string where there is none."""
    return read_text(os.path.join(str(build.get("context") or "."), "package.json")) or ""


def packages(build: Mapping[str, Any]) -> dict[str, str]:
    """The packages of npm that a program needs when it runs, by the ``package.json`` beside it: name to range of versions."""
    return _of_package_json(build, "dependencies")


def scripts(build: Mapping[str, Any]) -> dict[str, str]:
    """What ``npm run`` runs, by the ``package.json`` beside a program: name to command."""
    return _of_package_json(build, "scripts")


def _of_package_json(build: Mapping[str, Any], key: str) -> dict[str, str]:
    try:
        found = json.loads(package_json(build) or "{}").get(key)
    except (ValueError, AttributeError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def holds_program(build: Mapping[str, Any], target: str = "") -> bool:
    """Whether an image has a program of the user's in it, as far as its Dockerfile says: one that only installs what others wrote has none.

    ``target``: whether it has anything of the user's at this absolute path, below it, or in a folder above it that is copied whole. What is not
    sure is one that has.
    """
    text, base = _text(build), parse(base_image(build) or "")
    # Docker's own, by whichever registry.
    publisher = base.name.rpartition("/")[0] if base else ""
    if text is None or not base or base.basename not in _BARE or not re.fullmatch(r"|docker\.io|(.*/)?library", publisher):
        return True
    for _image, stage in _stages(build).values():
        folder = ""
        for word, rest in re.findall(r"(?im)^\s*(WORKDIR|COPY|ADD|RUN|ONBUILD)\s+(.*?)\s*$", re.sub(r"\\\s*\n", " ", stage)):
            word = word.upper()
            if word == "ONBUILD" or (word == "RUN" and re.search(r"\bgit\b.*\bclone\b|create-project", rest)):
                return True
            if word == "WORKDIR":
                folder = os.path.join(folder, rest.strip("\"'"))
            if word in ("COPY", "ADD") and _brings(rest, folder, target):
                return True
    return False


def _brings(rest: str, folder: str, target: str) -> bool:
    """Whether a ``COPY`` brings something of the user's: to a path, where one is given. ``folder``: the one that it works in, as far as that is said."""
    paths, elsewhere = _copied(rest)
    if not paths or (paths[-1] + "/").startswith(_BESIDE):
        return False
    place = os.path.join(folder, paths[-1])
    # A folder that a variable names, or a base image, may be any.
    known = place.startswith("/") and "$" not in place
    if target and known:
        place, wanted = os.path.normpath(place).rstrip("/") + "/", target.rstrip("/") + "/"
        if not (place.startswith(wanted) or wanted.startswith(place)):
            return False
    if elsewhere:
        # What an earlier stage built for this place, or a tool.
        return bool(target) and known
    return any(not _NO_PROGRAM.fullmatch(os.path.basename(each.rstrip("/")) or ".") for each in paths[:-1])


def exposed_port(build: Mapping[str, Any]) -> int | None:
    """The lowest port that a Dockerfile says is exposed, or None."""
    return min(_ports(_text(build) or ""), default=None)


def exposed_ports(build: Mapping[str, Any]) -> set[int]:
    """The ports that a build's last stage says are exposed, and those before it that it is FROM."""
    return {port for text in _line_of_stages(build)[1] for port in _ports(text)}


def stages(build: Mapping[str, Any]) -> set[str]:
    """The names of a Dockerfile's stages, in lower case."""
    return set(_stages(build))


def _line_of_stages(build: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """The image that the wanted stage is FROM in the end, and what this stage and those that it is FROM say, the first one first."""
    found = _stages(build)
    name, image = str(build.get("target") or "").lower(), None
    texts: list[str] = []
    name = name if name in found else next(reversed(found), "")
    while name in found:
        image, text = found.pop(name)
        name = image.lower()
        texts.insert(0, text)
    return image, texts


def _stages(build: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Each stage, by its name in lower case or else its number, in order: what it is FROM, and what it says."""
    found: dict[str, tuple[str, str]] = {}
    for text in re.split(r"(?im)^\s*(?=FROM\s)", _text(build) or ""):
        names = re.match(r"(?i)FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", text)
        if names:
            found[str(names[2] or len(found)).lower()] = (names[1], text)
    return found


def _ports(text: str) -> set[int]:
    lines = re.findall(r"(?im)^\s*EXPOSE\s+(.*?)\s*$", text)
    return {int(number) for line in lines for each in line.split() if (number := each.removesuffix("/tcp")).isdigit()}


def read_text(path: str) -> str | None:
    """A small text file's content, or None when it cannot be read as such."""
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MOST_BYTES:
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return None
