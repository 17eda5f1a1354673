"""A Postgres in a container of this machine: the running one, or one that was restored."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from .common import BackupError, check, meaning, run, runs
from .pgbackrest import Repository
from .work import Work

# One line a table: its name, rows, and a sum over all rows that does not depend on their order.
TABLES = """SELECT format('SELECT %L || '' '' || count(*) || '' '' || %s FROM %I.%I t', n.nspname || '.' || c.relname,
 CASE WHEN pg_table_size(c.oid) > {most}::bigint THEN '0' ELSE 'coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)' END,
 n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"""

ARCHIVER = """SELECT json_build_object('failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
 'failed', last_failed_wal) FROM pg_stat_archiver"""


class Server:
    """A container with Postgres: the running one, or one that was restored."""

    def __init__(self, name: str) -> None:
        self.name = name

    def runs(self) -> bool:
        """Whether its container runs."""
        return runs(self.name)

    def ask(self, query: str, database: str = "postgres") -> str:
        """What it answers. Raises :class:`BackupError`."""
        words = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1", "--dbname", database)
        return check("Postgres", "docker", "exec", "--interactive", "--user", "postgres", self.name, *words, stdin=query).strip()

    def primary(self) -> bool:
        """Whether it takes writes."""
        return (
            self.runs()
            and run("docker", "exec", "--user", "postgres", self.name, "psql", "-qAtc", "SELECT pg_is_in_recovery()")[1] == "f\n"
        )


def counted(server: Server, database: str, most: int) -> list[str]:
    """Rows and sums of a server that nobody writes to."""
    queries = server.ask(TABLES.format(most=most), database).splitlines()
    return server.ask(";\n".join(queries) + ";", database).splitlines() if queries else []


def still(container: str, database: str, most: int, seconds: int) -> tuple[list[str], str]:
    """Rows and sums at a moment at which nothing was being written, and the moment's place in the log; no place where there was none.

    Two readings of the log's end with a snapshot between them that has no transaction in it: what is before the place is all that the
    snapshot sees. Nothing is locked.
    """
    words = ["docker", "exec", "--interactive", "--user", "postgres", container]
    words += ["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]
    lines: list[str] = []
    with subprocess.Popen([*words, "--dbname", database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        asked, said = client.stdin, client.stdout
        assert asked
        assert said

        def ask(query: str) -> list[str]:
            asked.write(f"{query};\n\\echo .\n")
            asked.flush()
            answer: list[str] = []
            for line in iter(said.readline, ""):
                if line == ".\n":
                    return answer
                answer.append(line.rstrip("\n"))
            raise BackupError("Postgres ended the connection")

        end, place = time.monotonic() + seconds, ""
        while not place and time.monotonic() < end:
            before = ask("SELECT pg_current_wal_insert_lsn()")
            snapshot, after = ask(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_current_snapshot(), pg_current_wal_insert_lsn()"
            )[0].split("|")
            oldest, newest, _running = snapshot.split(":")
            if [after] == before and oldest == newest:
                place = after
            else:
                ask("ROLLBACK")
                time.sleep(0.02)
        if place:
            # Every row is read now, with what that leaves of the processors: it is for the app first.
            asked.write(
                "SELECT pg_backend_pid() AS backend \\gset\n\\setenv BACKEND :backend\n\\! renice -n 19 -p $BACKEND > /dev/null 2>&1\n"
            )
            queries = ask(TABLES.format(most=most))
            lines = ask(";\n".join(queries)) if queries else []
            ask("COMMIT")
            if len(lines) != len(queries):  # a table was dropped meanwhile
                lines, place = [], ""
        asked.close()
        return lines, place


class Postgres(Work):
    """The Postgres of this machine, and the repository of its backups."""

    kind = "Postgres"

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(settings)
        self.server = Server(self.container)
        self.repository = Repository(settings)

    def holds(self, folder: Path) -> bool:
        """Whether there is a cluster in a folder."""
        return (folder / "PG_VERSION").is_file()

    def backups(self) -> list[dict[str, Any]]:
        """The backups, oldest first."""
        return self.repository.backups()

    def serves(self) -> bool:
        """Whether it takes writes; a standby's machine takes no backups."""
        return self.server.primary()

    def further(self) -> list[str]:
        """Whether the log is archived."""
        archiver = json.loads(self.server.ask(ARCHIVER))
        return [f"the log cannot be archived (since {archiver['failed']}); it fills the volume until it can"] if archiver["failing"] else []

    def archived(self) -> None:
        """See that the log is archived, all up to now. Raises :class:`BackupError`."""
        self.beside("the log is not archived", "check")

    def beside(self, problem: str, *words: str) -> str:
        """pgBackRest beside the running server. Raises :class:`BackupError`; where the log is what is missing, with what the server was told."""
        end = time.monotonic() + self.settings["patience"]
        try:
            while True:
                try:
                    return self.repository.within(problem, *words)
                except BackupError as error:
                    # One whose client was killed goes on in the container.
                    if "unable to acquire lock" not in str(error) or time.monotonic() > end:
                        raise
                    time.sleep(1)
        except BackupError as error:
            if "was not archived before" not in str(error):
                raise
            _code, out, err = run("docker", "logs", "--since", "2m", self.server.name)
            raise BackupError(f"{problem}, since the log is not archived: {meaning(err + out)}") from None
