# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the module ``compose_backup`` does, and documents: backups of the backing services that a Compose project runs itself."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .backup_choice import now, shown
from .beside import called
from .compose import Project
from .compose_postgres import Postgres
from .compose_redis import Redis
from .compose_stores import Store
from .problems import listed, refuse
from .store_dumps import Backups
from .topology import backing_services

COMMANDS = ("list", "backup", "restore", "take", "discard", "forget")
_STORES: dict[str, type[Store]] = {"postgres": Postgres, "redis": Redis, "valkey": Redis}
# How long another command of the same app is waited for.
_SECONDS = 60


class App:
    """A project, and the folder of its backups."""

    def __init__(self, project: Project, name: str, folder: str) -> None:
        self.project, self.name, self.backups = project, name, Backups(Path(folder))
        found = backing_services(project.services, {}, ())
        self.engines = {service: engine.name for service, engine in found.items() if engine}

    def do(self, command: str, given: Mapping[str, Any], *, check: bool) -> dict[str, Any]:
        """Run a command; ``check``: only say whether it would change something. Returns what the module does."""
        done: dict[str, Any] = {"changed": False, "backup": ""}
        if command == "backup" and self.engines:
            done.update({"changed": True} if check else self._alone(lambda: self.backup(given["keep"])))
        elif command != "list" and command != "backup":
            store = self._chosen(given["store"])
            if check:
                done["changed"] = command != "forget"
            else:
                done.update(self._alone(lambda: getattr(self, command)(store, given)))
        return {**done, "lines": self.backups.lines()}

    def _alone(self, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """One command at a time."""
        self.backups.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.backups.folder / ".lock").open("w") as lock:
            end = time.monotonic() + _SECONDS
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > end:
                        refuse(f"another backup or restore of {self.name} is running; try again when it has ended")
                    time.sleep(0.2)
            return action()

    def _chosen(self, wanted: str) -> str:
        """The service that a user means."""
        if wanted in self.engines:
            return wanted
        kind = _STORES.get(wanted)
        same = [service for service, engine in self.engines.items() if _STORES[engine] is kind]
        if len(same) != 1:
            names = listed(sorted(self.engines)) if self.engines else "none"
            refuse(f"restore_store is {wanted}; this project's backing services are {names}. Name one of them. Nothing was touched")
        return same[0]

    def store(self, service: str, *, start: bool = False) -> Store:
        """A backing service whose container runs. ``start``: start it where it was stopped."""
        return running(self.name, service, self.engines[service], start=start)

    def backup(self, keep: int) -> dict[str, Any]:
        """Dump every backing service."""
        stores = {service: self.store(service) for service in sorted(self.engines)}
        fresh, kept = self.backups.begin(), {}
        for service, store in stores.items():
            (fresh / service).mkdir(mode=0o700)
            kept[service] = store.dump(fresh / service)
        return {"changed": True, "backup": self.backups.finish(fresh, kept, keep).id}

    def restore(self, service: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Bring a backup beside what is served."""
        backup = self.backups.target(given["wanted"], service)
        return {"changed": True, "backup": backup.id, "look": self.store(service).restore(backup), "at": shown(backup.at)}

    def take(self, service: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        """Let what was restored take the place."""
        store = self.store(service, start=True)
        backup = store.beside()
        if not backup:
            refuse(f"nothing is restored beside {service}; give restore_to=latest, a backup's name or a time. Nothing was touched")
        if store.closed():
            refuse(
                f"{service} takes no writes since its data was moved away with playbooks/migrate.yml, and what was restored would take them. To "
                "use it again, open it with that move's from and to, -e migrate=back -e migrate_lose=true; then take it once more. What is "
                "served was not touched"
            )
        return {"changed": True, "backup": backup, "aside": store.take(f"{now():%Y%m%d-%H%M%S}")}

    def discard(self, service: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        """Remove what was restored."""
        return {"changed": self.store(service).discard()}

    def forget(self, service: str, _given: Mapping[str, Any]) -> dict[str, Any]:
        """Remove what was moved aside."""
        removed = self.store(service).forget()
        return {"changed": bool(removed), "removed": removed}


def running(project: str, service: str, engine: str, *, start: bool = False) -> Store:
    """A backing service of a project, whose container runs. ``start``: start it where it was stopped. Raises :class:`BerthError`."""
    words = ["docker", "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={project}"]
    found = called(service, [*words, "--filter", f"label=com.docker.compose.service={service}"]).split()
    if not found:
        refuse(f"{service} has no container on this machine; run playbooks/site.yml first. Nothing was touched")
    seen = json.loads(called(service, ["docker", "container", "inspect", found[0]]))[0]
    if not seen["State"]["Running"]:
        if not start:
            refuse(f"{service} does not run; run playbooks/site.yml first. Nothing was touched")
        called(service, ["docker", "start", found[0]])
    return _STORES[engine](project, service, seen)
