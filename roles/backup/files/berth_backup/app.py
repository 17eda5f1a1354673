"""Backups of an app's named volumes: those of accessories such as MySQL, and what its own containers write, such as uploads."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from .common import BackupError, check, meaning, now, run, say
from .restic import Restic
from .volumes import Volume, copied, copy_of, counted, same, volumes
from .work import Copies, Watch

# No volume can be called so.
_NOTE = ".berth.json"
_STOP_SECONDS = "60"
_UP_SECONDS = "180"
# For so long what was begun on a copy has to go on.
_STEADY_SECONDS = 3


class AppKeeper(Restic, Copies, Watch):
    """All commands of an app's volumes. A copy is a folder with one for each volume; where accessories keep data, they run on it, apart from all else."""

    kind = "volumes"
    programs = ("restic", "rsync")
    numbers = ("bytes", "files")

    def __init__(self, settings: dict[str, Any]) -> None:
        # On the disk of the volumes, so that a copy takes their place without another copy.
        root = check("the engine does not answer", "docker", "info", "--format", "{{.DockerRootDir}}").strip()
        super().__init__({"container": "", "data": f"{root}/berth/app", **settings})

    def found(self) -> list[Volume]:
        """The volumes, as they are now."""
        return volumes(self.settings["labels"], self.settings["without"], self.notes.read("backup").get("volumes") or [])

    def is_empty(self) -> bool:
        """Whether this machine has none."""
        return not self.found()

    def holds(self, folder: Path) -> bool:
        """Whether there is anything in a folder."""
        return folder.is_dir() and any(folder.iterdir())

    def serves(self) -> bool:
        """Always: each machine keeps its own."""
        return True

    def stopped(self) -> str:
        """Never: the volumes are there, whatever runs."""
        return ""

    def closed(self) -> bool:
        """No move takes them away."""
        return False

    def room(self, needed: int) -> None:
        """Of a new machine nobody has asked before."""
        self.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        super().room(needed)

    def keep(self) -> dict[str, Any]:
        """Have a first backup. Nothing is done where there was one already, or where there is nothing to keep."""
        if self.notes.read("backup").get("id") or self.is_empty():
            return {"changed": False}
        return {"changed": True, "backup": self.backup()}

    def backup(self, *, full: bool = False) -> dict[str, Any]:
        """Take one, check it, remove those that are too old. ``full`` makes no difference: restic keeps what is alike once."""
        del full
        found = self.found()
        if not found:
            return {"changed": False, "skipped": "without volumes that the app writes into, so there is nothing to back up"}
        folder = self.place("snapshot")
        try:
            with self.noted("backup", volumes=[each.name for each in found]):
                say(f"copying {', '.join(each.name for each in found)}")
                shutil.rmtree(folder, ignore_errors=True)
                self.room(sum(counted(each.path)[1] for each in found))
                folder.mkdir(mode=0o700)
                found, stood = copied(self.found, folder, self.settings["pause_seconds"])
                (folder / _NOTE).write_text(json.dumps({each.name: dict(each.labels) for each in found}))
                files, size = counted(folder)
                say(f"sending {files} files, {size >> 20} MiB")
                self.send(folder, *(f"volume={each.name}" for each in found), files=files, bytes=size)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        taken = self.backups()[-1]
        self.notes.write("backup", {"id": taken["id"], "volumes": [each.name for each in found], "stood": stood})
        return {"changed": True, **taken, "stood": stood}

    # Restores

    def restore(self, wanted: str) -> dict[str, Any]:
        """Bring a backup into a folder beside the volumes, and let accessories run on it."""
        backup = self.target(wanted)
        self.room(backup["bytes"])
        say(f"restoring backup {backup['id']} of {backup['at']}")
        found = {"meant": f"backup {backup['id']}", "until": backup["at"], **self.bring("restored", backup)}
        self.notes.write("restored-beside", {"wanted": wanted, "at": time.time(), **found})
        return {"changed": True, "wanted": wanted, **found, "lacks": "" if self.is_empty() else f"what was written since {backup['at']}"}

    def bring(self, kind: str, backup: dict[str, Any]) -> dict[str, Any]:
        """Restore into a folder, see that all is in it, and let accessories run on it."""
        folder, begin = self.place(kind), time.monotonic()
        self.discard(kind)
        fresh = folder.with_name(f"{folder.name}.new")
        fresh.mkdir(mode=0o700, parents=True)
        try:
            self.must("the backup cannot be restored", "restore", backup["id"], "--target", str(fresh))
            inner = fresh / backup["path"].lstrip("/")
            files, size = counted(inner)
            if (files, size) != (backup["files"], backup["bytes"]):
                raise BackupError(
                    f"backup {backup['id']} holds {files} files with {size} bytes, and {backup['files']} with {backup['bytes']} were recorded with it"
                )
            inner.rename(folder)
            started = self._begin(kind, folder)
        except BaseException:
            self.discard(kind)
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return {"folder": str(folder), "container": ", ".join(started), "started": started, "seconds": round(time.monotonic() - begin, 1)}

    def _begin(self, kind: str, folder: Path) -> list[str]:
        """Let accessories run on a copy, where nobody reaches them. Returns their containers. Raises :class:`BackupError`."""
        home = Path(self.settings["accessories"])
        model = apart(_read(home / "compose.json"), folder)
        if not model["services"]:
            return []
        file = self._file(kind)
        file.touch(mode=0o600)
        file.write_text(json.dumps(model))
        words = ("up", "--detach", "--no-build", "--pull", "never", "--wait", "--wait-timeout", _UP_SECONDS)
        code, out, err = run(*self._compose(kind), *words)
        time.sleep(_STEADY_SECONDS if code == 0 else 0)
        running = run(*self._compose(kind), "ps", "--services", "--status", "running")[1].split()
        lost = sorted(set(model["services"]) - set(running))
        if code != 0 or lost:
            logs = run(*self._compose(kind), "logs", "--no-color", "--tail", "20")
            raise BackupError(
                f"{', '.join(lost) or 'a server'} does not run on what was restored: {meaning(''.join(logs[1:]) or err + out)}"
            )
        return run(*self._compose(kind), "ps", "--format", "{{.Name}}")[1].split()

    def _file(self, kind: str) -> Path:
        return self.place(kind).with_name(f"{self.place(kind).name}.json")

    def _compose(self, kind: str) -> tuple[str, ...]:
        project = f"{Path(self.settings['accessories']).parent.name}-{kind}"
        return (
            "docker",
            "compose",
            "--file",
            str(self._file(kind)),
            "--project-directory",
            self.settings["accessories"],
            "--project-name",
            project,
        )

    def stands_beside(self) -> dict[str, Any]:
        """What was restored, where it is there."""
        return self.notes.read("restored-beside") if self.place("restored").is_dir() else {}

    def discard(self, kind: str = "restored") -> dict[str, Any]:
        """Take a copy away."""
        there = self.place(kind).exists()
        if self._file(kind).is_file():
            run(*self._compose(kind), "down", "--volumes", "--timeout", "5")
            self._file(kind).unlink()
        shutil.rmtree(self.place(kind), ignore_errors=True)
        self.notes.drop(kind + "-beside")
        return {"changed": there}

    def take(self) -> dict[str, Any]:
        """Put what was restored in the place of the volumes, whose data is moved aside. It ends also where it was killed before."""
        folder, taking = self.place("restored"), self.notes.read("taking")
        if not taking:
            if not self.holds(folder):
                raise BackupError("nothing is restored beside the running app; give restore_to=latest, a backup's id or a time")
            if self._file("restored").is_file():
                check("what runs on the copy cannot be stopped", *self._compose("restored"), "down", "--timeout", _STOP_SECONDS)
                self._file("restored").unlink()
            restored = _read(folder / _NOTE)
            found = [each for each in self.found() if each.name in restored]
            writers = sorted({name for each in found for name in each.writers})
            taking = {"aside": str(self.place(f"before-{now():%Y%m%d-%H%M%S}")), "writers": writers, "volumes": restored}
            self.notes.write("taking", taking)
        # Where it was cut off, others may have begun meanwhile.
        writers = sorted({*taking["writers"], *(name for each in self.found() if each.name in taking["volumes"] for name in each.writers)})
        if writers:
            say(f"stopping {', '.join(writers)}")
            run("docker", "stop", "--time", _STOP_SECONDS, *writers)
        aside = Path(taking["aside"])
        aside.mkdir(mode=0o700, exist_ok=True)
        for name, labels in taking["volumes"].items():
            self._exchange(name, labels, folder / copy_of(name), aside / copy_of(name))
        for each in (*aside.iterdir(), aside):
            if not self.holds(each):
                each.rmdir()
        for writer in writers:
            code, out, err = run("docker", "start", writer)
            # A release may have taken its place meanwhile.
            if code != 0 and "No such container" not in err:
                raise BackupError(f"{writer} cannot be started again: {meaning(err + out)}")
        shutil.rmtree(folder, ignore_errors=True)
        # On a new machine no container has them yet.
        noted = self.notes.read("backup")
        self.notes.write("backup", {**noted, "volumes": sorted({*(noted.get("volumes") or []), *taking["volumes"]})})
        for name in ("taking", "restored-beside"):
            self.notes.drop(name)
        return {"changed": True, "aside": str(aside) if aside.exists() else ""}

    def _exchange(self, name: str, labels: dict[str, str], restored: Path, aside: Path) -> None:
        """Put a folder in a volume's place, whose data is moved ``aside``. Nothing is done where that was done before."""
        if not restored.is_dir():
            return
        if name.startswith("/"):
            _fill(Path(name), restored, aside)
            return
        told = [word for label, value in labels.items() for word in ("--label", f"{label}={value}")]
        if run("docker", "volume", "inspect", name)[0] != 0:
            check(f"the volume {name} cannot be made", "docker", "volume", "create", *told, name)
        shown = check(f"the volume {name} cannot be looked at", "docker", "volume", "inspect", "--format", "{{.Mountpoint}}", name)
        place = Path(shown.strip())
        if self.holds(place):
            place.rename(aside)
        elif place.is_dir():
            place.rmdir()
        restored.rename(place)

    # Drills

    def rehearse(self, backup: dict[str, Any]) -> tuple[float, list[str]]:
        """By files and bytes, and by the accessories, which have to run on them."""
        self.room(backup["bytes"])
        brought = self.bring("drill", backup)
        names = [tag.removeprefix("volume=") for tag in backup["tags"] if tag.startswith("volume=")]
        said = f"{backup['files']} files with {backup['bytes']} bytes in {', '.join(names)} are what the backup recorded"
        return brought["seconds"], [said, *(f"{each} runs on them" for each in brought["started"])]

    def further(self) -> list[str]:
        """Volumes of which there is no backup yet, where there are others."""
        kept = self.notes.read("backup").get("volumes") or []
        new = [each.name for each in self.found() if each.name not in kept]
        return [f"{', '.join(new)} came after the newest backup"] if new and self._is_late() else []

    def _is_late(self) -> bool:
        kept = self.backups()
        return bool(kept) and time.time() - kept[-1]["ended"] > self.settings["late_hours"] * 3600


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _fill(place: Path, restored: Path, aside: Path) -> None:
    """Let a folder of the machine hold what was restored: it may be a volume of its own, which cannot be moved, nor what is in it in one step."""
    # Complete once it has its name, so that a second run does not take half of what is new for what was there before.
    half = aside.with_name(f"{aside.name}.half")
    if not aside.exists():
        place.mkdir(parents=True, exist_ok=True)
        half.mkdir(exist_ok=True)
        same(place, half)
        half.rename(aside)
    same(restored, place)
    shutil.rmtree(restored)


def apart(model: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Of a Compose model the services that have any of the volumes of which ``folder`` holds copies, on those, in a network of their own."""
    called = {key: (how or {}).get("name") or key for key, how in (model.get("volumes") or {}).items()}
    services = {}
    for name, service in (model.get("services") or {}).items():
        mounts, mine = [], False
        for mount in service.get("volumes") or []:
            source = str(mount.get("source") or "")
            copy = folder / copy_of(called.get(source, source))
            if source and copy.is_dir():
                mine = True
                mounts.append({"type": "bind", "source": str(copy), "target": mount["target"], "read_only": bool(mount.get("read_only"))})
            elif mount["type"] == "volume":
                # One of its own, without what is in the real one.
                mounts.append({"type": "volume", "target": mount["target"]})
            else:
                mounts.append(mount)
        if mine:
            left = ("ports", "networks", "network_mode", "labels", "restart", "container_name", "volumes")
            services[name] = {**{key: how for key, how in service.items() if key not in left}, "volumes": mounts, "restart": "no"}
    for service in services.values():
        if "depends_on" in service:
            service["depends_on"] = {other: how for other, how in service["depends_on"].items() if other in services}
    needed = {key: model[key] for key in ("secrets", "configs") if model.get(key)}
    return {"services": services, "networks": {"default": {"internal": True}}, **needed}
