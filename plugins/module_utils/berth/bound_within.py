# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead what a value holds in JSON, or as Java's system properties, to where the backing services live now, as an environment is led."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .bindings import Bindings, add_sslmode, led, read_apart
from .composed import Composed
from .connections import Connection
from .referring import Backing, references

# java -Dspring.datasource.url=jdbc:postgresql://db/shop, also as JAVA_OPTS and JAVA_TOOL_OPTIONS have it.
_PROPERTY = re.compile(r"(?<!\S)-D(?P<name>[\w.-]+)=(?P<text>[^\s\"']+)")
_ALONE = "let the app read a variable that holds it alone"

Place = tuple[str | int, ...]


class _Read(NamedTuple):
    """A text in parts, by their places; how to write it with other ones, and which part it has no marks for."""

    parts: Mapping[Place, str | None]
    write: Callable[[Mapping[Place, str]], str]
    unfit: re.Pattern[str]


def bind_within(
    service: str,
    backing: Backing,
    connections: Mapping[str, Connection],
    result: Bindings,
    *,
    literal: bool,
    composed: Composed | None = None,
) -> None:
    """Lead what a service's variables hold that are not led themselves. What is led, and what cannot be, is noted in ``result``.

    ``literal`` and ``composed``: as :func:`bindings.bind` has them.
    """
    if composed:
        connections, literal = {name: composed.standing_in(each) for name, each in connections.items()}, True
    known = {entry["variable"] for entry in result.bound}
    for variable in [variable for variable in result.environment if variable not in known]:
        text = led_within(service, variable, result.environment[variable], backing, connections, result, literal=literal)
        if text is None:
            del result.environment[variable]
        elif composed and (reference := composed.reference(variable, text)):
            del result.environment[variable]
            result.secrets[variable] = reference
        else:
            result.environment[variable] = text


def led_within(
    service: str, variable: str, text: str, backing: Backing, connections: Mapping[str, Connection], result: Bindings, *, literal: bool
) -> str | None:
    """A text whose parts are led, or as it is where none speaks of a backing service; None where one of them cannot be led, which is noted.

    A part has the name of the variable with its own behind it: ``database.host`` in ``CONFIG`` is known as ``CONFIG_DATABASE_HOST`` is.
    """
    read = _read_json(text) or _read_properties(text)
    if read is None:
        return text
    named = {f"{variable}.{'.'.join(map(str, place))}": (place, old) for place, old in read.parts.items()}
    found = references({name: old for name, (_place, old) in named.items()}, backing)
    # Without a part that says where it is, a name alone tells nothing in here: what is not the app's own has such names as well.
    told = {each.backing for name, each in found.items() if each.shape != "field" or named[name][1] in backing.names}
    found = {name: each for name, each in found.items() if each.backing in told and each.shape != "file"}
    led_to: dict[Place, str] = {}
    for name, reference in found.items():
        place, old = named[name]
        kind, new = led(
            result,
            service,
            variable,
            reference,
            old or "",
            connections,
            literal=literal,
            apart=read_apart(found.values(), reference.backing),
            within=True,
        )
        if kind == "value" and read.unfit.search(new):
            reason = f"its {reference.field} has a mark that cannot be written there"
            result.unbound.append(
                {"service": service, "variable": variable, "backing": reference.backing, "reason": reason, "remedy": _ALONE}
            )
            kind = "unbound"
        if kind == "unbound":
            result.bound[:] = [entry for entry in result.bound if entry["variable"] != variable]
            return None
        led_to[place] = new
    add_sslmode(service, found, connections, result)
    return read.write(led_to) if led_to else text


def _read_json(text: str) -> _Read | None:
    """The texts, numbers and switches of a JSON object or array by their places, and how to write it with other ones; None for anything else."""
    try:
        document = json.loads(text) if text.lstrip()[:1] in ("{", "[") else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, (dict, list)):
        return None
    values = dict(_leaves(document, ()))

    def write(led_to: Mapping[Place, str]) -> str:
        for place, new in led_to.items():
            holder: Any = document
            for key in place[:-1]:
                holder = holder[key]
            holder[place[-1]] = _like(values[place], new)
        tight = re.search(r"[:,]\s", text) is None
        return json.dumps(
            document, ensure_ascii=False, separators=(",", ":") if tight else None, indent=2 if "\n" in text.strip() else None
        )

    texts = {place: None if value is None else value if isinstance(value, str) else json.dumps(value) for place, value in values.items()}
    return _Read(texts, write, re.compile("(?!)"))


def _leaves(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if entries is None:
        yield place, value
        return
    for key, each in entries:
        yield from _leaves(each, (*place, key))


def _like(old: Any, new: str) -> Any:
    """A new value of the old one's kind, where it is one: a port that was a number stays one."""
    if isinstance(old, bool) and new in ("true", "false"):
        return new == "true"
    return int(new) if isinstance(old, int) and new.isdigit() else new


def _read_properties(text: str) -> _Read | None:
    """Java's system properties by their names, and how to write the options with other ones; None where there are none."""
    found: dict[Place, str | None] = {(each["name"],): each["text"] for each in _PROPERTY.finditer(text)}

    def write(led_to: Mapping[Place, str]) -> str:
        def replaced(each: re.Match[str]) -> str:
            new = led_to.get((each["name"],))
            return each[0] if new is None else f"-D{each['name']}={new}"

        return _PROPERTY.sub(replaced, text)

    return _Read(found, write, re.compile(r"[\s\"'$`\\]")) if found else None
