"""An app's named volumes and folders on this machine, and copies of them that are as its containers would find them after a loss of power.

What writes into them stands still while the last changes are copied, and not for longer than is allowed, nor than this program lives. Every server
that keeps data can begin on what it had at one moment; on files copied one after another while it writes, none can.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .common import BackupError, check, meaning, run, say

_ATTEMPTS = 3
# The kernel's clock for files goes on every 10 ms at the latest.
_TICK_NANOSECONDS = 50_000_000
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
# As releases have them: whose containers are those of releases and of accessories, and which folders of the machine one has, with colons between.
RELEASES, ACCESSORIES, FOLDERS = "org.berth.app", "org.berth.accessories", "org.berth.folders"
# Compared to the nanosecond: within one second a file can be copied and change.
_COPY = ("rsync", "--archive", "--hard-links", "--acls", "--xattrs", "--sparse", "--numeric-ids", "--delete", "--modify-window=-1")
# A live folder: some files vanish meanwhile, or cannot be read any more.
_LIVE_CODES = (0, 23, 24)
# Ends with a word of whoever began it, or lets go when that one is gone, whatever ended it, or when the time is up. A pause that was still
# being asked for is let go a moment later.
_GUARD = """trap '' TERM INT HUP
seconds=$1; shift
read -r -t "$seconds" && exit
docker unpause "$@"; sleep 2; docker unpause "$@"
"""


@dataclass(frozen=True)
class Volume:
    """A named volume: where it is, with what labels, and which running containers may write into it, with the time at which each began.

    A folder of the machine is one whose name is its path.
    """

    name: str
    path: Path
    labels: Mapping[str, str]
    writers: Mapping[str, str]

    @property
    def copy(self) -> str:
        """What a copy of it is called."""
        return copy_of(self.name)


def copy_of(name: str) -> str:
    """What a copy of a volume is called; that of a folder as no volume can be."""
    return name.replace("%", "%25").replace("/", "%")


def volumes(app: str, without: Collection[str], known: Collection[str]) -> list[Volume]:
    """Those that an app's containers write into, by name, and those of ``known`` that are still there. ``without``: names not asked for."""
    writers: dict[str, dict[str, str]] = {name: {} for name in known}
    for label in (RELEASES, ACCESSORIES):
        listed = check("the containers cannot be listed", "docker", "ps", "--all", "--quiet", "--filter", f"label={label}={app}").split()
        for each in _inspected(listed):
            runs = each["State"]["Status"] in ("running", "restarting", "paused")
            # Of a release only what runs: what ran to an end, such as a copy of an image's files, makes them anew.
            for mount in each["Mounts"] if runs or label == ACCESSORIES else []:
                folders = (each["Config"]["Labels"] or {}).get(FOLDERS, "").split(":")
                name = mount["Source"] if mount["Type"] == "bind" and mount["Source"] in folders else mount.get("Name") or ""
                if name and mount["RW"] and not _ANONYMOUS.fullmatch(name):
                    mine = writers.setdefault(name, {})
                    if runs:
                        mine[each["Name"].lstrip("/")] = each["State"]["StartedAt"]
    found = []
    for name in sorted(set(writers) - set(without)):
        if name.startswith("/"):
            found += [Volume(name, Path(name), {}, writers[name])] if Path(name).is_dir() else []
            continue
        code, out, _err = run("docker", "volume", "inspect", name)
        shown = json.loads(out)[0] if code == 0 else {}
        # What has options is no folder of this machine, but somebody else's, such as a file server's.
        if shown and shown["Driver"] == "local" and not shown["Options"]:
            found.append(Volume(name, Path(shown["Mountpoint"]), shown["Labels"] or {}, writers[name]))
    return found


def _inspected(containers: Sequence[str]) -> list[dict[str, Any]]:
    code, out, _err = run("docker", "inspect", *containers) if containers else (0, "[]", "")
    # One that has gone meanwhile is left out, and makes the command fail.
    found: list[dict[str, Any]] = json.loads(out or "[]") if code in (0, 1) else []
    return found


@contextlib.contextmanager
def still(containers: Collection[str], seconds: float) -> Iterator[None]:
    """Containers that run stand still meanwhile: at most so many ``seconds``, and not for longer than this process lives.

    Raises :class:`BackupError` where one did not until the end, as when somebody stops it: Docker lets it go on for that.
    """
    if not containers:
        yield
        return
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    words = ["bash", "-c", _GUARD, "guard", str(int(seconds)), *containers]
    with subprocess.Popen(words, stdin=subprocess.PIPE, text=True, start_new_session=True, **quiet) as guard:
        try:
            check("the containers that write cannot be paused", "docker", "pause", *containers)
            yield
            stood = run("docker", "inspect", "--format", "{{.State.Paused}}", *containers)[1].split()
            if stood.count("true") < len(containers):
                raise BackupError("containers that write were let go while it was copied")
        finally:
            run("docker", "unpause", *containers)
            with contextlib.suppress(BrokenPipeError):
                guard.communicate("done\n")


def copied(find: Callable[[], list[Volume]], folder: Path, seconds: float) -> tuple[list[Volume], float]:
    """Copy an app's volumes, each into a folder of its name in ``folder``. Returns them, and for how many seconds containers stood still.

    ``find``: gives the volumes as they are now. Raises :class:`BackupError` where they would have stood still for more than ``seconds``.
    """
    begun = time.time_ns()
    for each in find():
        code, out, err = run(*_COPY, f"{each.path}/", f"{folder / each.copy}/")
        if code not in _LIVE_CODES:
            raise BackupError(f"{each.name} cannot be copied: {meaning(err + out)}")
    # A file that is written again within one tick of the clock has the same time. These come anew.
    for path, status in _files(folder):
        if status.st_mtime_ns > begun - _TICK_NANOSECONDS:
            path.unlink()
    problem = ""
    for _attempt in range(_ATTEMPTS):
        found = find()
        writers = _writers(found)
        begin = time.monotonic()
        try:
            with still(writers, seconds):
                changed = _mapped([each.path for each in found])
                for each in found:
                    _finish(each, folder / each.copy, changed, begin + seconds)
        except (BackupError, subprocess.TimeoutExpired) as error:
            problem = str(error) if isinstance(error, BackupError) else f"{', '.join(writers)} would stand still for more than {seconds} s"
            say(f"{problem}; once more")
            continue
        stood = time.monotonic() - begin if writers else 0.0
        if writers and stood > seconds:
            problem = f"{', '.join(writers)} would stand still for more than {seconds} s"
        elif _writers(find()) != writers:
            problem = "containers that write began or ended while it was copied"
        else:
            return found, round(stood, 2)
        say(f"{problem}; once more")
    raise BackupError(f"no copy of the volumes that is of one moment could be made: {problem}. Nothing was changed")


def _writers(found: Collection[Volume]) -> dict[str, str]:
    return {name: begun for each in found for name, begun in each.writers.items()}


def _finish(volume: Volume, copy: Path, changed: Collection[tuple[int, int]], end: float) -> None:
    """Bring a copy up to date."""
    if changed:
        for path, status in _files(volume.path):
            if (status.st_dev, status.st_ino) in changed:
                (copy / path.relative_to(volume.path)).unlink(missing_ok=True)
    words = (*_COPY, f"{volume.path}/", f"{copy}/")
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=max(0.1, end - time.monotonic()), check=False)
    if done.returncode != 0:
        raise BackupError(f"{volume.name} cannot be copied: {meaning(done.stderr + done.stdout)}")


def same(source: Path, target: Path) -> None:
    """Let a folder hold what another one does, and nothing else."""
    check(f"{source} cannot be copied", *_COPY, f"{source}/", f"{target}/")


def _mapped(paths: Collection[Path]) -> set[tuple[int, int]]:
    """Files that any program has in memory to write into, by device and number: a change there need not show in a file's time."""
    if not paths:
        return set()
    found = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            for line in maps.read_text(errors="replace").splitlines():
                words = line.split(maxsplit=5)
                if words[1].startswith("rw") and words[1].endswith("s") and words[4] != "0":
                    major, minor = (int(each, 16) for each in words[3].split(":"))
                    found.add((os.makedev(major, minor), int(words[4])))
    return found


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files, also of a folder in which some vanish meanwhile."""
    for root, _folders, names in os.walk(folder):
        for name in names:
            path = Path(root) / name
            with contextlib.suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status


def counted(folder: Path) -> tuple[int, int]:
    """How many files a folder holds, and how many bytes they have."""
    sizes = [status.st_size for _path, status in _files(folder)]
    return len(sizes), sum(sizes)
