"""Backups of a store on this machine, or of an app's volumes: ``berth-backup STORE COMMAND``, run by timers, by playbooks, and by hand.

Each command says on standard error what it does, and ends with one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .app import AppKeeper
from .common import BackupError, alone
from .postgres_backups import Backups
from .postgres_drills import Drills
from .redis import RedisKeeper
from .work import Watch


class PostgresKeeper(Backups, Drills, Watch):
    """All commands of Postgres."""


SETTINGS = "/etc/berth/{store}/backup.json"
STORES: dict[str, type[PostgresKeeper] | type[RedisKeeper] | type[AppKeeper]] = {
    "app": AppKeeper,
    "postgres": PostgresKeeper,
    "redis": RedisKeeper,
}
COMMANDS = {
    "prepare": "have what backups need on this machine",
    "keep": "have the log archived, and a first backup",
    "backup": "take a backup",
    "state": "say what there is",
    "watch": "raise an alarm where something is wrong",
    "restore": "restore into a server beside the running one",
    "take": "put the restored server in the running one's place",
    "discard": "remove the restored server",
    "forget": "remove data that was moved aside",
    "drill": "restore the latest backup into a throwaway server and look at it",
}
# These only look.
TOGETHER = ("state", "watch")


def main() -> int:
    """Run one command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="berth-backup", description="Backups of a store on this machine.")
    parser.add_argument("store", choices=sorted(STORES))
    commands = parser.add_subparsers(dest="command", required=True)
    known = {name: commands.add_parser(name, help=text) for name, text in COMMANDS.items()}
    known["prepare"].add_argument("--candidate", default="", help="another configuration of the tool, to be tried")
    known["backup"].add_argument("--full", action="store_true", help="all of it, not what changed since the last one")
    known["restore"].add_argument("wanted", help="latest, a backup's id, or a time")
    options = vars(parser.parse_args())
    store, command = options.pop("store"), options.pop("command")
    try:
        settings = json.loads(Path(SETTINGS.format(store=store)).read_text())
        keeper = STORES[store](settings)
        act: Callable[..., dict[str, Any]] = getattr(keeper, command)
        if command in TOGETHER:
            result = act(**options)
        else:
            with alone(Path(f"/run/berth-backup-{store}.lock"), settings["patience"]):
                if command not in ("take", "forget"):
                    keeper.finish()
                result = act(**options)
    except (BackupError, OSError) as problem:
        print(json.dumps({"failed": True, "msg": str(problem)}))
        print(f"berth-backup {store} {command}: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
