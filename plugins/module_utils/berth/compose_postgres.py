# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres of a developer's Compose project: dumped into files, restored into databases beside those that are served."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .compose_stores import Store, last_words
from .problems import BerthError, refuse
from .store_dumps import Backup


class Postgres(Store):
    """Databases beside one another in the server that runs: a restored one has a name of its own until it takes the other's."""

    engine = "postgres"
    # Those that are made by a restore, or moved aside by one.
    _OURS = "_(restored|before_[0-9]{8}_[0-9]{6})$"

    def shell(self) -> str:
        """The official image's variables, and those of Bitnami's."""
        return (
            'p="${POSTGRES_PASSWORD:-$POSTGRESQL_PASSWORD}"; f="${POSTGRES_PASSWORD_FILE:-$POSTGRESQL_PASSWORD_FILE}"; '
            '[ -z "$f" ] || p=$(cat "$f"); export PGPASSWORD="$p" PGUSER="${POSTGRES_USER:-${POSTGRESQL_USERNAME:-postgres}}" '
            'PGOPTIONS="-c client_min_messages=warning"; exec "$@"'
        )

    def sql(self, text: str, database: str = "template1") -> list[list[str]]:
        """Rows of what SQL answers, as text; given on standard input, all of it in one transaction where it is several statements."""
        separators = ("--no-align", "--tuples-only", "--field-separator=\x1f", "--quiet")
        words = ("psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", *separators, f"--dbname={database}")
        return [line.split("\x1f") for line in self.ask(*words, stdin=text).splitlines()]

    def version(self) -> str:
        return self.sql("show server_version")[0][0].split()[0]

    def databases(self) -> list[str]:
        """Those that are the app's."""
        query = f"select datname from pg_database where datallowconn and not datistemplate and datname !~ '{self._OURS}' order by 1"
        return [row[0] for row in self.sql(query)]

    def dump(self, folder: Path) -> dict[str, Any]:
        try:
            self.write(folder / "roles.sql", "pg_dumpall", "--roles-only")
        except BerthError:
            # Who is no superuser may not read passwords.
            self.write(folder / "roles.sql", "pg_dumpall", "--roles-only", "--no-role-passwords")
        kept = {}
        for number, name in enumerate(self.databases()):
            file = f"database-{number}.dump"
            self.write(folder / file, "pg_dump", "--format=custom", f"--dbname={name}")
            # Reads the whole table of contents, so a file that ends too early is found now.
            with (folder / file).open("rb") as dump:
                done = subprocess.run(self.words("pg_restore", "--list"), stdin=dump, capture_output=True, check=False)
            if done.returncode != 0:
                refuse(f"{self.service}: the dump of {name} cannot be read: {last_words(done.stderr.decode(errors='replace'))}")
            columns = "pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)"
            encoding, collate, ctype, owner = self.sql(f"select {columns} from pg_database where datname = {literal(name)}")[0]
            kept[name] = {"file": file, "encoding": encoding, "collate": collate, "ctype": ctype, "owner": owner}
        return {"engine": self.engine, "version": self.version(), "databases": kept}

    def restore(self, backup: Backup) -> str:
        kept = backup.stores[self.service]
        theirs, ours = (int(each.split(".")[0]) for each in (kept["version"], self.version()))
        if theirs > ours:
            refuse(f"backup {backup.id} is of Postgres {theirs}, and {self.service} runs {ours}. Nothing was touched")
        files = {name: backup.file(self.service, each["file"]) for name, each in kept["databases"].items()}
        roles = backup.file(self.service, "roles.sql").read_text()
        self.discard()
        there = {row[0] for row in self.sql("select rolname from pg_roles")}
        self.sql("\n".join(line for line in roles.splitlines() if (role := _role(line)) and role not in there))
        try:
            for name, each in kept["databases"].items():
                self._load(name, each, files[name])
        except BaseException:
            self.discard()
            raise
        # Said last, and of all at once: what has no such comment is incomplete.
        self.sql(
            "begin;" + "".join(f"comment on database {quoted(name + '_restored')} is {literal(backup.id)};" for name in files) + "commit;"
        )
        shell = f"docker exec -it {self.container} psql -U {self.environment.get('POSTGRES_USER') or 'postgres'}"
        main = next((name for name in files if name != "postgres"), "postgres")
        return f"{shell} {main}_restored"

    def _load(self, name: str, kept: Mapping[str, Any], file: Path) -> None:
        fresh = name + "_restored"
        like = f"encoding {literal(kept['encoding'])} lc_collate {literal(kept['collate'])} lc_ctype {literal(kept['ctype'])}"
        self.sql(f"create database {quoted(fresh)} template template0 owner {quoted(kept['owner'])} {like}")
        with file.open("rb") as dump:
            words = self.words("pg_restore", "--exit-on-error", f"--dbname={fresh}")
            done = subprocess.run(words, stdin=dump, capture_output=True, check=False)
        if done.returncode != 0:
            refuse(f"{self.service}: {name} cannot be restored: {last_words(done.stderr.decode(errors='replace'))}. Nothing was touched")

    def _restored(self) -> dict[str, str]:
        query = "select datname, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database where datname ~ '_restored$'"
        return {row[0]: row[1] for row in self.sql(query)}

    def beside(self) -> str:
        found = self._restored()
        return next(iter(found.values())) if found and all(found.values()) else ""

    def take(self, stamp: str) -> str:
        there, aside = {row[0] for row in self.sql("select datname from pg_database")}, "_before_" + stamp.replace("-", "_")
        names = [each.removesuffix("_restored") for each in self._restored()]
        # Nobody comes in between: a database that takes no connections can be renamed once those that there were have ended.
        shut = [each for name in names for each in (name, name + "_restored") if each in there]
        closed = "".join(f"alter database {quoted(each)} allow_connections false;" for each in shut)
        opened = "".join(f"alter database {quoted(each)} allow_connections true;" for each in shut)
        moves = "".join(f"alter database {quoted(name)} rename to {quoted(name + aside)};" for name in names if name in there)
        moves += "".join(f"alter database {quoted(name + '_restored')} rename to {quoted(name)};" for name in names)
        opens = "".join(
            f"alter database {quoted(each)} allow_connections true;" for name in names for each in (name, name + aside * (name in there))
        )
        clears = "".join(f"comment on database {quoted(name)} is null;" for name in names)
        try:
            self.sql(closed)
            self._alone(*shut)
            self.sql(f"begin; {moves} {opens} {clears} commit;")
        except BerthError:
            self.sql(opened)
            raise
        kept = [name + aside for name in names if name in there]
        return f"the database{'s' * (len(kept) > 1)} {', '.join(kept)}" if kept else ""

    def _alone(self, *names: str) -> None:
        """End the connections to databases, and wait until they have."""
        there, end = f"from pg_stat_activity where datname in ({', '.join(map(literal, names))})", time.monotonic() + 20
        while self.sql(f"select pg_terminate_backend(pid) {there}"):
            if time.monotonic() > end:
                refuse(f"{self.service}: connections to {', '.join(names)} do not end. Nothing was changed")
            time.sleep(0.1)

    def _drop(self, pattern: str) -> list[str]:
        found = [row[0] for row in self.sql(f"select datname from pg_database where datname ~ {literal(pattern)} order by 1")]
        for name in found:
            self.sql(f"alter database {quoted(name)} allow_connections false")
            self._alone(name)
            self.sql(f"drop database {quoted(name)}")
        return found

    def discard(self) -> bool:
        return bool(self._drop("_restored$"))

    def forget(self) -> list[str]:
        return self._drop("_before_[0-9]{8}_[0-9]{6}$")


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def _role(line: str) -> str:
    """The role that a line of ``pg_dumpall --roles-only`` makes or sets."""
    found = re.match(r'(?:CREATE|ALTER) ROLE ("(?:[^"]|"")+"|[^\s;]+)', line)
    return found[1].strip('"').replace('""', '"') if found else ""
