# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a Compose project to the files of one of Beanstalk's formats."""

from __future__ import annotations

from typing import Any

from . import beanstalk, compose, compose_file, dockerrun
from .problems import BerthError
from .selection import Options, select
from .variables import hoist


def render(project: compose.Project, options: Options, format_: str, hoisted: bool) -> tuple[dict[str, str], Any, Any]:
    """File name to content for a format, the selection that it was made of, and what was taken out as properties and secrets."""
    literal = format_ == "compose"
    selection = select(project, options, literal=literal)
    if literal:
        texts = {"docker-compose.yml": compose_file.as_yaml(compose_file.production(project, selection))}
        registry = compose_file.version_3(options)
        if registry:
            texts["Dockerrun.aws.json"] = registry
        return texts, selection, ({}, {})
    apart: tuple[dict[str, str], dict[str, str]] = hoist(selection.bindings) if hoisted else ({}, {})
    version = dockerrun.version_1 if format_ == "1" else dockerrun.version_2
    text = dockerrun.canonical(version(project, selection, options))
    errors = beanstalk.inspect(text).errors
    if errors:
        raise BerthError("Beanstalk would refuse the result: " + "; ".join(error.message for error in errors))
    return {"Dockerrun.aws.json": text}, selection, apart
