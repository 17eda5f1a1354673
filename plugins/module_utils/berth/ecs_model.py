# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check JSON against botocore's own model of ECS: the shapes that the service publishes for RegisterTaskDefinition."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from .problems import listed, suggestion
from .tolerant_json import Node, plain

Report = Callable[[int, str], None]
_KINDS = {"structure": "object", "map": "object", "list": "array", "string": "string", "integer": "number", "boolean": "boolean"}
_WORDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "bare": "unquoted text",
}


@cache
def shape(member: str) -> Any:
    """The botocore shape of one entry of RegisterTaskDefinition's ``containerDefinitions`` or ``volumes``.

    Raises ImportError where botocore is not installed.
    """
    import botocore.session

    model = botocore.session.get_session().get_service_model("ecs")
    return model.operation_model("RegisterTaskDefinition").input_shape.members[member].member


def check(node: Node, expected: Any, path: str, error: Report, warn: Report) -> None:
    """Report every departure of ``node`` from a botocore shape: unknown keys, missing ones, wrong types, values not in an enumeration.

    ``path`` says where the node is (``containerDefinitions[0] (nginx)``); ``error`` and ``warn`` take a line and a message.
    """
    kind = expected.type_name
    wanted = _KINDS.get({"long": "integer", "double": "integer", "float": "integer"}.get(kind, kind), "string")
    if node.kind == "null":
        error(node.line, f"{path} is null; leave it out")
        return
    if node.kind == "bare":
        return  # the syntax error says it already
    if node.kind != wanted or (kind == "integer" and not isinstance(node.value, int)):
        error(node.line, f"{path} has to be {_WORDS[wanted]}, and is {_described(node)}{_hint(node, wanted)}")
        return
    if kind == "structure":
        _structure(node, expected, path, error, warn)
    elif kind == "list":
        for index, item in enumerate(node.items()):
            if item.kind == "null":
                error(item.line, f"{path}[{index}] is null")
            else:
                check(item, expected.member, f"{path}[{index}]", error, warn)
    elif kind == "map":
        for key, value in node.pairs():
            check(value, expected.value, f"{path}.{key.value}", error, warn)
    elif kind == "string" and getattr(expected, "enum", None) and node.value not in expected.enum and not _placeholder(node.value):
        error(node.line, f"{path} is {node.value!r}, and takes {listed(expected.enum)}{suggestion(node.value, expected.enum)}")


def _structure(node: Node, expected: Any, path: str, error: Report, warn: Report) -> None:
    seen = set()
    for key, value in node.pairs():
        name = key.value
        if name in seen:
            warn(key.line, f"{path} has {name!r} twice; the last one counts")
        seen.add(name)
        if name in expected.members:
            check(value, expected.members[name], f"{path}.{name}", error, warn)
        else:
            missing = [member for member in expected.members if member not in {each.value for each, _value in node.pairs()}]
            error(key.line, f"{path} has an unknown key {name!r}{_COMPOSE_WORDS.get(name) or suggestion(name, missing)}")
    for name in expected.required_members:
        if name not in seen:
            error(node.line, f"{path} has no {name!r}")


# What people carry over from a Compose file, to what says it here.
_COMPOSE_WORDS = {
    "build": "; a Dockerrun runs images: build and push one, and name it as 'image'",
    "depends_on": "; that is Compose; 'links' also orders the start",
    "ports": "; that is Compose; here it is 'portMappings'",
    "volumes": "; that is Compose; here it is 'mountPoints', with 'volumes' beside 'containerDefinitions'",
    "env_file": "; that is Compose; here the variables go into 'environment'",
    "restart": "; that is Compose; ECS restarts what ends by itself",
    "container_name": "; that is Compose; here it is 'name'",
    "mem_limit": "; that is Compose; here it is 'memory', in MiB",
    "networks": "; that is Compose; here containers find each other by 'links'",
    "expose": "; that is Compose; links need no exposed ports",
}


def _described(node: Node) -> str:
    if node.kind == "string":
        return f"the text {node.value[:40]!r}"
    if node.kind in ("number", "boolean"):
        return f"{plain(node)!r}".lower() if node.kind == "boolean" else f"the number {plain(node)!r}"
    return _WORDS[node.kind]


def _hint(node: Node, wanted: str) -> str:
    if node.kind == "string" and wanted in ("number", "boolean"):
        return "; write it without quotes" if node.value.strip().lstrip("-").isdigit() or node.value in ("true", "false") else ""
    if wanted == "string" and node.kind in ("number", "boolean"):
        return "; put it in double quotes"
    if wanted == "array":
        return "; put it in square brackets" + (", each word a text of its own" if node.kind == "string" else "")
    return ""


def _placeholder(text: str) -> bool:
    return any(sign in text for sign in ("<", "${", "{{", "%"))
