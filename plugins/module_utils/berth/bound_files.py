# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lead what is in the secrets and configs of a Compose file to where the backing services live now, as an environment is led."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .bindings import Bindings, led
from .bound_within import led_within
from .connections import Connection
from .references import read_name
from .referring import Backing, Reference, references

KINDS = ("secrets", "configs")
# Where a store's image reads what it is set up with from a file.
_BY_FILE = "_FILE"


class Given(NamedTuple):
    """What a container finds in a file: ``kind`` (of :data:`KINDS`) and ``name`` of it in the Compose file, and its content."""

    kind: str
    name: str
    text: str


def target_of(kind: str, entry: Mapping[str, Any]) -> str:
    """The path in the container, by the long form of a service's ``secrets`` or ``configs``."""
    target = str(entry.get("target") or entry["source"])
    if target.startswith("/"):
        return target
    return f"/run/secrets/{target}" if kind == "secrets" else f"/{target}"


def mounted(service: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> dict[str, Given]:
    """What a service finds in files, by path. ``texts``: kind to name to content."""
    return {
        target_of(kind, entry): Given(kind, entry["source"], texts.get(kind, {})[entry["source"]])
        for kind in KINDS
        for entry in service.get(kind) or []
        if entry["source"] in texts.get(kind, {})
    }


def of_stores(services: Mapping[str, Mapping[str, Any]], backing: Backing) -> dict[tuple[str, str], Reference]:
    """What the stores' own images read from files, such as ``POSTGRES_PASSWORD_FILE``: (kind, name) to the field that it is."""
    found = {}
    for store in backing.engines:
        places = {target_of(kind, entry): (kind, entry["source"]) for kind in KINDS for entry in services[store].get(kind) or []}
        for variable, value in (services[store].get("environment") or {}).items():
            field = read_name(variable).field
            if variable.upper().endswith(_BY_FILE) and value in places and field in ("password", "username", "database"):
                found[places[value]] = Reference(store, field, "field")
    return found


def bind_files(
    service: str,
    environment: Mapping[str, str | None],
    files: Mapping[str, Given],
    stores: Mapping[tuple[str, str], Reference],
    backing: Backing,
    connections: Mapping[str, Connection],
    result: Bindings,
) -> dict[str, str]:
    """What a service finds in its files once it is led to its connections: path to content.

    A file is known by the variable that names it (``DB_PASSWORD_FILE``), by a store that reads the same one, or by its name and content as a
    variable is. What is bound, and what cannot be, is noted in ``result`` under the path.
    """
    by_variable = {
        environment[variable] or "": Reference(each.backing, each.field, "field")
        for variable, each in references(environment, backing).items()
        if each.shape == "file"
    }
    # A file called as a variable is: the point keeps the names apart, and is none to who reads words.
    lone = {f"{given.name.removesuffix(_BY_FILE.lower())}.": path for path, given in files.items() if "\n" not in given.text.strip()}
    by_name = references({**environment, **{name: files[path].text.strip() for name, path in lone.items()}}, backing)
    found = {lone[name]: each for name, each in by_name.items() if name in lone}
    texts = {}
    for path, given in files.items():
        reference = by_variable.get(path) or stores.get((given.kind, given.name)) or found.get(path)
        texts[path] = given.text
        if reference is None or reference.shape == "file":
            texts[path] = led_within(service, path, given.text, backing, connections, result, literal=True) or given.text
            continue
        kind, text = led(result, service, path, reference, given.text.strip(), connections, literal=True, apart=frozenset(), within=True)
        if kind == "value":
            texts[path] = text + given.text[len(given.text.rstrip()) :]
    return texts
