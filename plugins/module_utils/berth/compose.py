# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read a Compose project with the reference implementation, ``docker compose config --format json``.

Interpolation, merging, ``extends``, ``include``, profiles and ``env_file`` are Compose's own work. This module runs it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .compose_client import compose_command
from .compose_source import Source, explain, warnings
from .dockerfiles import read_text
from .problems import BerthError
from .production_builds import for_production

# In the order in which Compose looks for them: https://docs.docker.com/compose/intro/compose-application-model/#the-compose-file
DEFAULT_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")

NO_CLIENT = "docker: there is no Docker client with the Compose plugin in the PATH; playbooks/platform.yml installs one"

Run = Callable[[Sequence[str]], tuple[int, str, str]]


class Repository(NamedTuple):
    """A git repository: its folder, with no links in the path, and the files that git keeps, relative to it."""

    root: str
    files: list[str]

    def holds(self, path: str) -> bool:
        """Whether a path lies in it."""
        return (os.path.realpath(path) + "/").startswith(self.root.rstrip("/") + "/")

    def under(self, path: str) -> list[str]:
        """The files of a folder that git keeps."""
        start = os.path.relpath(os.path.realpath(path), self.root)
        return [each for each in self.files if start == "." or each.startswith(f"{start}/")]


class Project(NamedTuple):
    """A Compose project as Compose itself resolves it.

    ``model`` is the parsed output of ``docker compose config`` (strings unescaped), ``directory`` the absolute project directory,
    ``files`` the absolute Compose files, ``warnings`` what Compose remarked, with file and line where they could be found. ``repository``:
    the git repository that the directory is in, where that was asked and there is one. ``builds``: service to what of its build is another than
    the Compose files say, for production, and ``advice`` what is to be told of that.
    """

    model: dict[str, Any]
    directory: str
    files: list[str]
    warnings: list[str]
    repository: Repository | None = None
    builds: Mapping[str, Mapping[str, str]] = {}
    advice: Sequence[str] = ()

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """Service name to its resolved definition."""
        services: dict[str, dict[str, Any]] = self.model.get("services") or {}
        return services


def find_files(project_src: str, files: Sequence[str] | None, env_files: Sequence[str] | None = None) -> list[str]:
    """The Compose files to read, absolute: those named, else those that ``COMPOSE_FILE`` names in ``.env`` or in ``env_files``, else the ones that Compose finds
    by itself (with their override).

    Raises :class:`BerthError` when the directory or a file is missing.
    """
    directory = os.path.abspath(project_src)
    if not os.path.isdir(directory):
        raise BerthError(f"project_src: {project_src} is not a directory; it must hold the Compose file")
    said = [] if files else named_files(directory, env_files)
    for option, names in (("files", files or []), ("COMPOSE_FILE", said)):
        found = [os.path.join(directory, name) for name in names]
        for path in found:
            if not os.path.isfile(path):
                wrong = "is a directory" if os.path.isdir(path) else "does not exist"
                raise BerthError(f"{option}: {path} {wrong}; name a Compose file, relative to project_src")
        if found:
            return found
    for name in DEFAULT_FILES:
        if os.path.isfile(path := os.path.join(directory, name)):
            return [path, *override_beside(path)]
    raise BerthError(f"project_src: no Compose file in {directory}; looked for {', '.join(DEFAULT_FILES)}. Name others with files")


def named_files(directory: str, env_files: Sequence[str] | None = None) -> list[str]:
    """The Compose files that ``COMPOSE_FILE`` names in a project's environment files.

    Source: https://docs.docker.com/compose/how-tos/environment-variables/envvars/#compose_file
    """
    said: dict[str, str] = {}
    for name in env_files or [".env"]:
        text = read_text(os.path.join(directory, name)) or ""
        said |= {key: value.strip("\"'") for key, value in re.findall(r"(?m)^\s*(?:export\s+)?(COMPOSE_\w+)\s*=\s*([^\s#]*)", text)}
    return [each for each in said.get("COMPOSE_FILE", "").split(said.get("COMPOSE_PATH_SEPARATOR") or ":") if each]


def override_beside(path: str) -> list[str]:
    """The override that Compose merges over a Compose file by itself, where there is one."""
    stem, extension = os.path.splitext(path)
    return [each for each in dict.fromkeys(f"{stem}.override{ext}" for ext in (extension, ".yaml", ".yml")) if os.path.isfile(each)][:1]


def config_command(directory: str, files: Sequence[str], env_files: Sequence[str] = (), profiles: Sequence[str] = ()) -> list[str]:
    """The command that resolves a project, as an argument vector."""
    command = [*compose_command(), "--project-directory", directory]
    for option, values in (("--file", files), ("--env-file", env_files), ("--profile", profiles)):
        for value in values:
            command += [option, value]
    return [*command, "config", "--format", "json"]


# The options that the documentation fragment ``berth.project`` describes.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "project_src": {"type": "path", "required": True},
    "files": {"type": "list", "elements": "path"},
    "env_files": {"type": "list", "elements": "path"},
    "profiles": {"type": "list", "elements": "str"},
    "dockerfiles": {"type": "dict"},
}


def project_of(module: Any) -> Project:
    """The project that a module's options (:data:`ARGUMENTS`) name. Raises :class:`BerthError`, also where there is no client to ask."""
    if module.get_bin_path("docker") is None:
        raise BerthError(NO_CLIENT)
    params = module.params
    project = read_project(module.run_command, params["project_src"], params["files"], params["env_files"], params["profiles"])
    return project if params["dockerfiles"] is None else built_for_production(project, params["dockerfiles"])


def built_for_production(project: Project, given: Mapping[str, Any]) -> Project:
    """A project as it is built in production (:func:`production_builds.for_production`)."""
    builds = for_production(project.services, project.directory, given)
    model = {**project.model, "services": builds.services}
    advice = list(builds.advice)
    for path in override_beside(project.files[0]) if len(project.files) == 1 else []:
        base, over = (os.path.relpath(each, project.directory) for each in (project.files[0], path))
        advice.append(
            f"{over} is left out, since by Compose's convention it is for development where {base} stands alone; app_compose_files: [{base}, {over}] has it"
        )
    return project._replace(model=model, builds=builds.changed, advice=advice)


def read_project(
    run: Run,
    project_src: str,
    files: Sequence[str] | None = None,
    env_files: Sequence[str] | None = None,
    profiles: Sequence[str] | None = None,
) -> Project:
    """Resolve the Compose project in ``project_src``.

    ``run`` takes an argument vector and returns exit code, standard output and standard error.
    Raises :class:`BerthError` that names file and line for anything Compose refuses.
    """
    found = find_files(project_src, files, env_files)
    directory = os.path.abspath(project_src)
    documents = [Source(path) for path in found]
    environment = [os.path.join(directory, name) for name in env_files or ()]
    for path in environment:
        if not os.path.isfile(path):
            raise BerthError(f"env_files: {path} does not exist")
    code, out, err = run(config_command(directory, found, environment, profiles or ()))
    if code != 0:
        raise BerthError(explain(err, documents))
    try:
        model = json.loads(out)
    except ValueError:
        raise BerthError(f"{found[0]}: docker compose config printed no JSON; Compose 2.24 or later is needed") from None
    model = _unescaped(model)
    if not model.get("services"):
        raise BerthError(f"{found[0]}: the project has no services{_profile_hint(documents, profiles)}")
    return Project(model, directory, found, warnings(err, documents))


def _profile_hint(documents: Sequence[Source], profiles: Sequence[str] | None) -> str:
    hidden = any("profiles:" in document.text for document in documents)
    return "; its services belong to profiles, name them with profiles" if hidden and not profiles else ""


def _unescaped(value: Any) -> Any:
    # `config` doubles every dollar sign, so that its output could be read again as a Compose file.
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [_unescaped(each) for each in value]
    if isinstance(value, dict):
        return {_unescaped(key): _unescaped(each) for key, each in value.items()}
    return value
