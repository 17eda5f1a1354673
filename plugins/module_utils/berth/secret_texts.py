# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in the secrets and configs of a Compose project: in a file, a variable, or the Compose file itself."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from . import compose
from .bound_files import KINDS
from .problems import BerthError

# As much as Docker takes of one in Swarm: https://docs.docker.com/engine/swarm/secrets/
_MOST_BYTES = 500 * 1024


class Texts(NamedTuple):
    """``found``: kind (of :data:`bound_files.KINDS`) to name to content, which is empty where there is none; then ``missing`` says why: (kind,
    name) to a sentence. What is no UTF-8 is in it as surrogates, as ``surrogateescape`` reads it.
    """

    found: dict[str, dict[str, str]]
    missing: dict[tuple[str, str], str]


def read_texts(project: compose.Project, run: compose.Run, env_files: Sequence[str]) -> Texts:
    """Read all that services of the project are given. ``env_files``: those by which Compose reads the project."""
    texts = Texts({kind: {} for kind in KINDS}, {})
    for kind in KINDS:
        wanted = {entry["source"] for service in project.services.values() for entry in service.get(kind) or []}
        for name in sorted(wanted):
            try:
                texts.found[kind][name] = _text(f"{kind}.{name}", (project.model.get(kind) or {}).get(name) or {}, project, run, env_files)
            except BerthError as problem:
                texts.found[kind][name], texts.missing[(kind, name)] = "", str(problem)
    return texts


def _text(where: str, declared: Mapping[str, Any], project: compose.Project, run: compose.Run, env_files: Sequence[str]) -> str:
    if declared.get("external"):
        raise BerthError(f"{where}: it is external, which Swarm alone has; give it a file or a variable (environment:)")
    if declared.get("environment"):
        return _variable(where, str(declared["environment"]), project, run, env_files)
    if "content" in declared:
        return str(declared["content"])
    path = str(declared.get("file") or "")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BerthError(f"{where}: {path} cannot be read: {error.strerror}; a file that git does not keep has to be put there") from None
    if len(text) > _MOST_BYTES:
        raise BerthError(f"{where}: {path} holds more than 500 KB; mount it as a volume instead")
    return text


def _variable(where: str, name: str, project: compose.Project, run: compose.Run, env_files: Sequence[str]) -> str:
    """A variable as Compose has it, which also reads .env."""
    probe = {"services": {"probe": {"image": "probe", "environment": {"VALUE": f"${{{name}?}}"}}}}
    with tempfile.TemporaryDirectory(prefix="berth-variable-") as folder:
        path = os.path.join(folder, "compose.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(probe, file)
        paths = [os.path.join(project.directory, each) for each in env_files]
        code, out, _err = run(compose.config_command(project.directory, [path], paths))
    if code != 0:
        raise BerthError(f"{where}: the variable {name} is not set; set it in the environment or in an env file")
    value: str = json.loads(out)["services"]["probe"]["environment"]["VALUE"]
    return value.replace("$$", "$")
