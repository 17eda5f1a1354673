"""What all commands share: notes of this machine's, other programs, alarms, and one command at a time."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The engine's own failures to begin a command: in a container that runs, or in one of its own.
_NOT_BEGUN = ("OCI runtime exec failed", "OCI runtime create failed")


class BackupError(Exception):
    """What keeps a command from its work. The message is shown as it is."""


def say(text: str) -> None:
    """Progress, for who watches and for the journal."""
    print(text, file=sys.stderr, flush=True)


def now() -> datetime.datetime:
    """This moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def moment(seconds: float) -> str:
    """A time as it is shown: in UTC, to the second."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")


class Notes:
    """What this machine remembers of a store's backups, a file a note."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> dict[str, Any]:
        """A note, empty where there is none."""
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found

    def write(self, name: str, note: dict[str, Any]) -> None:
        """Keep a note, in one step."""
        path = self.folder / f"{name}.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(note))
        fresh.replace(path)

    def names(self, folder: str) -> list[str]:
        """The notes in a folder of their own."""
        return sorted(path.stem for path in (self.folder / folder).glob("*.json"))

    def drop(self, name: str) -> None:
        """Forget a note."""
        (self.folder / f"{name}.json").unlink(missing_ok=True)


def run(*words: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit code and output of a command."""
    for _each in range(3):
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", input=stdin, check=False)
        # Where it happens, now and then, nothing was begun. It is said on either stream.
        if done.returncode == 0 or not (done.stdout.startswith(_NOT_BEGUN) or any(sign in done.stderr for sign in _NOT_BEGUN)):
            break
        time.sleep(1)
        if "--name" in words:
            # A container that could not be started keeps its name.
            subprocess.run(["docker", "rm", "--force", words[words.index("--name") + 1]], capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr


def runs(container: str) -> bool:
    """Whether a container runs."""
    return run("docker", "inspect", "--format", "{{.State.Running}}", container)[:2] == (0, "true\n")


def check(problem: str, *words: str, stdin: str = "") -> str:
    """The output of a command. Raises :class:`BackupError` with its last words."""
    code, out, err = run(*words, stdin=stdin)
    if code != 0:
        raise BackupError(f"{problem}: {meaning(out + err)}")
    return out


def meaning(text: str) -> str:
    """What a command's output means, where that is known; else its last words."""
    if "unable to load info file" in text and any(sign in text for sign in _GARBLED):
        return UNREADABLE
    for sign, hint in HINTS.items():
        if sign in text:
            return hint
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.split("ERROR: ", 1)[-1].split("FATAL: ", 1)[-1].strip() for line in lines if "ERROR:" in line or "FATAL:" in line]
    return " ".join((errors or lines)[-3:])[:600] or "it said nothing"


UNREADABLE = "the repository cannot be decrypted: backup_passphrase is not the one that it was made with, or what it holds is damaged"
# Another passphrase makes random bytes of a file. Most end in wrong padding, but about one in 256 does not: that one is read, and is no
# file of settings, or is one whose checksum is missing.
_GARBLED = ("CryptoError", "FormatError", "ChecksumError")
UNTRUSTED = "the certificate of backup_endpoint is not trusted; backup_authority names the file of its authority"
HINTS = {
    # pgBackRest calls this a CryptoError too.
    "unable to verify certificate": UNTRUSTED,
    "certificate verify failed": UNTRUSTED,
    "CryptoError": UNREADABLE,
    "InvalidAccessKeyId": "the object store does not know backup_access_key",
    "SignatureDoesNotMatch": "backup_secret_key does not belong to backup_access_key",
    "NoSuchBucket": "there is no such bucket as backup_bucket",
    "AccessDenied": "backup_access_key may not use this bucket",
    "QuotaExceeded": "the object store is full",
    "ServiceUnavailable": "the object store does not answer",
    "[503]": "the object store does not answer",
    "HostConnectError": "the object store cannot be reached at backup_endpoint",
    "unable to connect": "the object store cannot be reached at backup_endpoint",
    "Temporary failure in name resolution": "the object store cannot be reached at backup_endpoint",
    "No space left on device": "the disk is full",
    "recovery ended before configured recovery target was reached": (
        "the archived log ends before that time; the nearest that there is, is restore_to=latest"
    ),
}


def post(url: str, text: str) -> None:
    """Tell who is to be told, in the form that chat services take."""
    request = urllib.request.Request(url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20):
            pass
    except (OSError, ValueError) as error:
        say(f"backup_alarm_url does not take the alarm: {error}")


@contextlib.contextmanager
def alone(path: Path, seconds: int) -> Iterator[None]:
    """One of these commands at a time. Raises :class:`BackupError` where another one does not end."""
    with path.open("w") as lock:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > end:
                    raise BackupError("another backup, restore or drill is running on this machine; try again when it has ended") from None
                time.sleep(0.2)
        yield


def when_of(wanted: str, backups: list[dict[str, Any]]) -> datetime.datetime:
    """A time that a user gave; UTC where it names no zone. Raises :class:`BackupError` for what is none, or cannot be restored."""
    try:
        when = datetime.datetime.fromisoformat(wanted)
    except ValueError:
        known = ", ".join(each["id"] for each in backups)
        raise BackupError(
            f"restore_to is {wanted}: give latest, a time such as 2026-01-31T12:00:00Z, or one of the backups {known}"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    if when > now():
        raise BackupError(f"restore_to is {wanted}, which is in the future; it is {moment(time.time())} now")
    if when.timestamp() < backups[0]["ended"]:
        first = backups[0]["at"]
        raise BackupError(f"restore_to is {wanted}, and the first backup ended at {first}; a time before that cannot be restored")
    return when
