# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release of an app: what it is called, and how its images are built and pushed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from .compose import Project, Repository
from .problems import BerthError

Run = Callable[[Sequence[str]], tuple[int, str, str]]
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# Left out of a digest: what no image is built from, and what changes by itself.
_IGNORED = frozenset({".git", "node_modules", "__pycache__", ".venv", ".cache", ".pytest_cache"})


def name_of(
    directory: str,
    run: Run,
    given: str | None,
    services: Mapping[str, Mapping[str, Any]] | None = None,
    builds: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """The release's name, which is its images' tag: as given; else the commit that last changed the directory, with a digest of the
    content behind it where something is not committed; else, outside git, that digest alone.

    What ``services`` are built from elsewhere, such as ``build: ..``, counts like the directory, and the arguments of their builds, which may
    come from the environment, are in the digest; so is ``builds``, what of them is another than the Compose file says. Raises :class:`BerthError` for a name that is no tag.
    """
    if given:
        if not _TAG.fullmatch(given):
            raise BerthError(f"app_release: {given!r} is no image tag (letters, digits, dots, hyphens and underscores, 128 at most)")
        return given
    folders = sources(directory, services or {})
    arguments = {
        name: build["args"] for name, service in sorted((services or {}).items()) if (build := service.get("build") or {}).get("args")
    }
    code, out, _err = run(["git", "-C", directory, "log", "-1", "--format=%h", "--", *folders])
    commit = out.strip() if code == 0 else ""
    code, out, _err = run(["git", "-C", directory, "status", "--porcelain", "--", *folders])
    changed = not commit or code != 0 or bool(out.strip())
    found = [digest(each) for each in folders] if changed else []
    found += [json.dumps(each, sort_keys=True) for each in (arguments, builds) if each]
    # Of one folder alone its own, as ever.
    mark = found[0] if len(found) == 1 and changed else hashlib.sha256("\0".join(found).encode()).hexdigest() if found else ""
    if not commit:
        return mark[:12]
    return f"{commit}-{mark[:8]}" if mark else commit


def sources(directory: str, services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The folders that a project's images are built from: its own, and those of builds elsewhere; none within another."""
    wanted = {os.path.realpath(directory)}
    for service in services.values():
        build = service.get("build") or {}
        context = os.path.join(directory, str(build.get("context") or ""))
        dockerfile = os.path.join(context, str(build.get("dockerfile") or ""))
        more = [os.path.join(directory, str(each)) for each in (build.get("additional_contexts") or {}).values()]
        for path in (context, os.path.dirname(dockerfile), *more):
            if os.path.isdir(path):
                wanted.add(os.path.realpath(path))
    return sorted(each for each in wanted if not any(each != other and each.startswith(other.rstrip("/") + "/") for other in wanted))


def repository_of(directory: str, run: Run) -> Repository | None:
    """The git repository that a directory is in; None where there is none, and where it keeps nothing of the directory."""
    code, out, _err = run(["git", "-C", directory, "rev-parse", "--show-toplevel", "--show-prefix"])
    root, prefix = [*out.splitlines(), "", ""][:2]
    if code != 0 or not root:
        return None
    code, out, _err = run(["git", "-C", root, "ls-files", "-z"])
    files = [each for each in out.split("\0") if each] if code == 0 else []
    return Repository(root, files) if any(each.startswith(prefix) for each in files) else None


def digest(directory: str) -> str:
    """The SHA-256 of a directory's files, names and modes included, in hex."""
    found = hashlib.sha256()
    for where, folders, names in os.walk(directory):
        folders[:] = sorted(each for each in folders if each not in _IGNORED)
        for name in sorted(names):
            path = os.path.join(where, name)
            if os.path.isfile(path):
                found.update(f"{os.path.relpath(path, directory)}\0{os.access(path, os.X_OK)}\0".encode())
                with open(path, "rb") as file:
                    found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def built(services: Mapping[str, Mapping[str, Any]], wanted: Iterable[str] | None) -> list[str]:
    """The services whose images are built: those in ``wanted``, or all with ``build:``."""
    names = sorted(name for name, service in services.items() if service.get("build"))
    return names if wanted is None else [name for name in names if name in set(wanted)]


def override(images: Mapping[str, str], builds: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A Compose file, merged over the project's own, that gives each built service the image it is pushed as, and what of its build is another."""
    how = {name: {"build": build} for name, build in builds.items()}
    return {"services": {name: {"image": image, **how.get(name, {})} for name, image in sorted(images.items())}}


def build_command(
    directory: str, files: Sequence[str], env_files: Sequence[str], profiles: Sequence[str], services: Sequence[str]
) -> list[str]:
    """The command that builds and pushes services' images, as an argument vector."""
    command = ["docker", "compose", "--progress", "plain", "--project-directory", directory]
    for option, values in (("--file", files), ("--env-file", env_files), ("--profile", profiles)):
        for value in values:
            command += [option, value]
    return [*command, "build", "--push", *services]


def build_and_push(
    run: Callable[..., tuple[int, str, str]],
    project: Project,
    images: Mapping[str, str],
    params: Mapping[str, Any],
    environment: Mapping[str, str],
) -> None:
    """Build services' images and push each as it is called.

    ``run``: ``AnsibleModule.run_command``; ``images``: service to image; ``params``: env_files and profiles, as modules have them;
    ``environment``: what the command sees beside its own, such as where credentials are. Raises :class:`BerthError`.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="berth-", suffix=".json") as file:
        json.dump(override(images, project.builds), file)
        file.flush()
        env_files = [os.path.join(project.directory, name) for name in params["env_files"] or ()]
        command = build_command(project.directory, [*project.files, file.name], env_files, params["profiles"] or (), sorted(images))
        code, out, err = run(command, environ_update=dict(environment))
    if code != 0:
        raise BerthError(f"{project.directory}: the images of {', '.join(sorted(images))} were not built:\n{failure(out, err)}")


def failure(out: str, err: str) -> str:
    """What of a build's output says why it failed: the step that failed with what it said last, or else its last lines, without progress."""
    lines = [line for line in [*out.splitlines(), *err.splitlines()] if line.strip()]
    # BuildKit repeats that step, between two rules.
    starts = [number for number, line in enumerate(lines) if line.startswith(" > [")]
    if starts:
        step, *said = takewhile(lambda line: not line.startswith("---"), lines[starts[0] :])
        return "\n".join([step.removeprefix(" > "), *[re.sub(r"^\d+\.\d+ ", "  ", line) for line in said][-12:], lines[-1]])
    errors = [line for line in lines if re.search(r"error|ERROR|failed|denied|not found", line)]
    return "\n".join((errors or lines)[-8:])
