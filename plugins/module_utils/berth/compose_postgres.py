# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres of a developer's Compose project: dumped into files, restored into databases beside those that are served."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .compose_stores import Store
from .postgres_server import Server, literal, quoted
from .problems import BerthError, refuse
from .store_dumps import Backup

# What stands behind the names of databases that a restore makes, and of those that it moves aside.
_FRESH, _ASIDE = "_restored", "_before_[0-9]{8}_[0-9]{6}"
# The official image's variables, and those of Bitnami's.
_SHELL = (
    'p="${POSTGRES_PASSWORD:-$POSTGRESQL_PASSWORD}"; f="${POSTGRES_PASSWORD_FILE:-$POSTGRESQL_PASSWORD_FILE}"; '
    '[ -z "$f" ] || p=$(cat "$f"); export PGPASSWORD="$p" PGUSER="${POSTGRES_USER:-${POSTGRESQL_USERNAME:-postgres}}" '
    'PGOPTIONS="-c client_min_messages=warning"'
)


class Postgres(Store):
    """Databases beside one another in the server that runs: a restored one has a name of its own until it takes the other's."""

    engine = "postgres"
    shell = _SHELL

    def __init__(self, project: str, service: str, found: Mapping[str, Any]) -> None:
        super().__init__(project, service, found)
        self.server = Server(self.beside_it)

    def version(self) -> str:
        return self.server.version()

    def databases(self) -> list[str]:
        """Those that are the app's."""
        query = "select datname from pg_database where datallowconn and not datistemplate"
        return [row[0] for row in self.server.sql(f"{query} and datname !~ '({_FRESH}|{_ASIDE})$' order by 1")]

    def dump(self, folder: Path) -> dict[str, Any]:
        try:
            self.beside_it.write(folder / "roles.sql", "pg_dumpall", "--roles-only")
        except BerthError:
            # Who is no superuser may not read passwords.
            self.beside_it.write(folder / "roles.sql", "pg_dumpall", "--roles-only", "--no-role-passwords")
        kept = {}
        for number, name in enumerate(self.databases()):
            file = f"database-{number}.dump"
            self.beside_it.write(folder / file, "pg_dump", "--format=custom", f"--dbname={name}")
            # Reads the whole table of contents, so a file that ends too early is found now.
            self.beside_it.feed(folder / file, "pg_restore", "--list")
            kept[name] = {"file": file, **self.server.like(name)}
        return {"engine": self.engine, "version": self.version(), "databases": kept}

    def restore(self, backup: Backup) -> str:
        kept = backup.stores[self.service]
        theirs, ours = int(kept["version"].split(".")[0]), self.server.major()
        if theirs > ours:
            refuse(f"backup {backup.id} is of Postgres {theirs}, and {self.service} runs {ours}. Nothing was touched")
        files = {name: backup.file(self.service, each["file"]) for name, each in kept["databases"].items()}
        roles = backup.file(self.service, "roles.sql").read_text()
        self.discard()
        there = {row[0] for row in self.server.sql("select rolname from pg_roles")}
        self.server.sql("\n".join(line for line in roles.split("\n") if (role := _role(line)) and role not in there))
        try:
            for name, each in kept["databases"].items():
                self.server.make(name + _FRESH, each, each["owner"])
                self.beside_it.feed(files[name], "pg_restore", "--exit-on-error", f"--dbname={name + _FRESH}")
        except BerthError as problem:
            self.discard()
            refuse(f"backup {backup.id} cannot be restored: {problem}. Nothing was touched")
        except BaseException:
            self.discard()
            raise
        # Said last, and of all at once: what has no such comment is incomplete.
        notes = "".join(f"comment on database {quoted(name + _FRESH)} is {literal(backup.id)};" for name in files)
        self.server.sql(f"begin;{notes}commit;")
        main = next((name for name in files if name != "postgres"), "postgres")
        return f"docker exec -it {self.container} psql -U {self.environment.get('POSTGRES_USER') or 'postgres'} {main}{_FRESH}"

    def _restored(self) -> dict[str, str]:
        query = "select datname, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database"
        return {row[0]: row[1] for row in self.server.sql(f"{query} where datname ~ '{_FRESH}$'")}

    def beside(self) -> str:
        found = self._restored()
        return next(iter(found.values())) if found and all(found.values()) else ""

    def _replaced(self) -> list[str]:
        return [each.removesuffix(_FRESH) for each in self._restored()]

    def closed(self) -> bool:
        return any(map(self.server.closed, self._replaced()))

    def take(self, stamp: str) -> str:
        kept = self.server.swap(self._replaced(), _FRESH, "_before_" + stamp.replace("-", "_"))
        return f"the database{'s' * (len(kept) > 1)} {', '.join(kept)}" if kept else ""

    def _drop(self, pattern: str) -> list[str]:
        found = self.server.named(pattern + "$")
        self.server.drop(*found)
        return found

    def discard(self) -> bool:
        return bool(self._drop(_FRESH))

    def forget(self) -> list[str]:
        return self._drop(_ASIDE)


def _role(line: str) -> str:
    """The role that a line of ``pg_dumpall --roles-only`` makes or sets."""
    found = re.match(r'(?:CREATE|ALTER) ROLE ("(?:[^"]|"")+"|[^\s;]+)', line)
    return found[1].strip('"').replace('""', '"') if found else ""
