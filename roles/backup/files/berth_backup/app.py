"""Backups of an app's named volumes: those of accessories such as MySQL, and what its own containers write, such as uploads."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from .accessory_copies import AccessoryCopies
from .common import BackupError, check, meaning, now, run, say
from .restic import Restic
from .volumes import Volume, copied, copy_of, counted, same, volumes
from .work import Watch

# No volume can be called so.
_NOTE = ".berth.json"
_STOP_SECONDS = "60"


class AppKeeper(Restic, Watch):
    """All commands of an app's volumes. A copy is a folder with one for each volume; where accessories keep data, they run on it, apart from all else."""

    kind = "volumes"
    programs = ("restic", "rsync")
    numbers = ("bytes", "files")

    def __init__(self, settings: dict[str, Any]) -> None:
        # On the disk of the volumes, so that a copy takes their place without another copy.
        root = check("the engine does not answer", "docker", "info", "--format", "{{.DockerRootDir}}").strip()
        super().__init__({"container": "", "data": f"{root}/berth/app", **settings})
        self.accessories = AccessoryCopies(Path(settings["accessories"]), self.data.parent)

    def found(self) -> list[Volume]:
        """The volumes, as they are now."""
        return volumes(self.settings["app"], self.settings["without"], self.notes.read("backup").get("volumes") or [])

    def is_empty(self) -> bool:
        """Whether this machine has none."""
        return not self.serves()

    def holds(self, folder: Path) -> bool:
        """Whether there is anything in a folder."""
        return folder.is_dir() and any(folder.iterdir())

    def serves(self) -> bool:
        """Whether there is anything to keep: each machine has volumes of its own."""
        return bool(self.found())

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

    def backup(self, *, full: bool = False) -> dict[str, Any]:
        """Take one of all volumes, at one moment."""
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
            started = self.accessories.begin(kind, folder)
        except BaseException:
            self.discard(kind)
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        return {"folder": str(folder), "container": ", ".join(started), "started": started, "seconds": round(time.monotonic() - begin, 1)}

    def stands_beside(self) -> dict[str, Any]:
        """What was restored, where it is there."""
        return self.notes.read("restored-beside") if self.place("restored").is_dir() else {}

    def discard(self, kind: str = "restored") -> dict[str, Any]:
        """Take a copy away."""
        there = self.place(kind).exists()
        self.accessories.end(kind)
        shutil.rmtree(self.place(kind), ignore_errors=True)
        self.notes.drop(kind + "-beside")
        return {"changed": there}

    def take(self) -> dict[str, Any]:
        """Put what was restored in the place of the volumes, whose data is moved aside. It ends also where it was killed before."""
        folder, taking = self.place("restored"), self.notes.read("taking")
        if not taking:
            if not self.holds(folder):
                raise BackupError("nothing is restored beside the running app; give restore_to=latest, a backup's id or a time")
            self.accessories.end("restored")
            restored: dict[str, Any] = json.loads((folder / _NOTE).read_text())
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
            # A release may have taken its place meanwhile, which keeps its containers or removes them.
            if run("docker", "inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", writer)[1].strip() == "no":
                continue
            code, out, err = run("docker", "start", writer)
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
