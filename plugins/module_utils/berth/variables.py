# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service's variables after binding: set over from outside, taken out for the environment as a whole, told in a line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .bindings import Bindings

_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:(secretsmanager:[^:]*:[^:]*:secret:|ssm:[^:]*:[^:]*:parameter/)")


def override(bindings: Bindings, given: Mapping[str, Any], *, literal: bool) -> Bindings:
    """A service's bindings with variables set from outside, which need no binding any more. None takes a variable away.

    The ARN of a secret or a parameter becomes a reference to it, unless plain values may be written (``literal``).
    """
    environment = {name: text for name, text in bindings.environment.items() if name not in given}
    secrets = {name: text for name, text in bindings.secrets.items() if name not in given}
    for name, value in given.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if value is not None:
            (secrets if _SECRET_ARN.match(text) and not literal else environment)[name] = text
    bound = [entry for entry in bindings.bound if entry["variable"] not in given]
    return Bindings(environment, secrets, bound, [entry for entry in bindings.unbound if entry["variable"] not in given])


def hoist(bindings: Mapping[str, Bindings]) -> tuple[dict[str, str], dict[str, str]]:
    """Take what every service would be given alike out of the services, as properties (variable to text) and secrets (to reference).

    A variable is taken out where each service that has it is led by it to the same connection. Where one has a value of its own, it
    stays in the services.
    """
    led = {entry["variable"] for each in bindings.values() for entry in each.bound}
    properties: dict[str, str] = {}
    secrets: dict[str, str] = {}
    for variable in sorted(led):
        having = [each for each in bindings.values() if variable in each.environment or variable in each.secrets]
        own = [each for each in having if variable not in {entry["variable"] for entry in each.bound}]
        values = {(variable in each.secrets, each.secrets.get(variable, each.environment.get(variable, ""))) for each in having}
        if own or len(values) != 1:
            continue
        ((secret, text),) = values
        (secrets if secret else properties)[variable] = text
        for each in having:
            each.environment.pop(variable, None)
            each.secrets.pop(variable, None)
    return properties, secrets


def summary(bound: list[dict[str, Any]]) -> str:
    """``api: PGHOST PGPORT; worker: REDIS_HOST``: what was re-bound, names and never values."""
    services: dict[str, list[str]] = {}
    for entry in bound:
        services.setdefault(entry["service"], []).append(entry["variable"])
    return "; ".join(f"{service}: {' '.join(sorted(set(names)))}" for service, names in sorted(services.items()))
