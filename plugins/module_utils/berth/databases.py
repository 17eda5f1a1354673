# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which databases of a Postgres server an app's services ask for: its own, and others that lie beside it in the same server. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .connection_strings import database_in
from .references import read_name
from .referring import DATABASE, Backing, references

# Each server has these, and nobody keeps anything in them.
_MAINTENANCE = frozenset({"postgres", "template0", "template1"})


def misnamed(given: Any) -> list[str]:
    """What of a list is no name that a database can be given here; the whole of what is no list."""
    if not isinstance(given, list):
        return [str(given)]
    return [str(each) for each in given if not DATABASE.fullmatch(str(each))]


def beside(services: Mapping[str, Mapping[str, Any]], stay: Collection[str], backing: Backing) -> dict[str, list[str]]:
    """Names of databases that lie beside the app's own one in each store's server, in alphabetical order; stores without any are left out.

    ``services``: those of a Compose model; ``stay``: those whose variables count. The app's own is the one that the store's image is told to
    make, or, where nobody asks for that, what most of them ask for.
    """
    found = {}
    for store, engine in backing.engines.items():
        asked = [name for each in stay for name in _asked(services[each], services[store], store, backing)] if engine == "postgres" else []
        own = _own(services[store])
        if asked and own not in asked:
            own = max(sorted(set(asked)), key=asked.count)
        others = sorted(set(asked) - {own} - _MAINTENANCE)
        if others:
            found[store] = others
    return found


def _asked(service: Mapping[str, Any], store: Mapping[str, Any], name: str, backing: Backing) -> Iterable[str]:
    """The databases of a store that a service asks for, each once."""
    environment, theirs = service.get("environment") or {}, store.get("environment") or {}
    asked = set()
    for variable, reference in references(environment, backing.seen_by(service)).items():
        value = environment[variable] or ""
        # What is there for the store's image alone, by a file that both read.
        if reference.backing == name and theirs.get(variable) != value:
            asked.add(database_in(value, reference.shape, reference.field))
    return {each for each in asked if DATABASE.fullmatch(each)}


def _own(store: Mapping[str, Any]) -> str:
    """The database that a store's image makes."""
    said = {read_name(variable).field: value for variable, value in (store.get("environment") or {}).items() if value}
    return str(said.get("database") or said.get("username") or "postgres")
