"""What a machine does for its backups, as far as it needs no engine: times that can be restored, what is said, a restore that is cut off."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import pytest
from berth_backup import common, work
from berth_backup.common import BackupError, Notes, meaning, when_of
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.killed import Killed, Steps

BACKUPS = [{"id": "first", "at": "2026-01-01 00:00:00Z", "ended": 1767225600.0}, {"id": "second", "at": "later", "ended": 1767312000.0}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
    ],
)
def test_a_time_is_utc_unless_it_names_a_zone(given: str, expected: str):
    assert when_of(given, BACKUPS).astimezone(datetime.UTC).isoformat() == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("2025-12-31T23:59:59Z", "the first backup ended at 2026-01-01 00:00:00Z"),
        ("2999-01-01", "in the future"),
        ("", "one of the backups first, second"),
        ("third", "one of the backups first, second"),
    ],
)
def test_what_cannot_be_restored_is_said(given: str, words: str):
    with pytest.raises(BackupError, match=words):
        when_of(given, BACKUPS)


@given(st.text())
def test_whatever_is_given_as_a_time_is_a_time_or_said(text: str):
    try:
        when = when_of(text, BACKUPS)
    except BackupError as problem:
        assert str(problem).startswith("restore_to is ")
    else:
        assert when.tzinfo is not None


def test_what_is_known_of_an_error_is_said_instead_of_its_code():
    said = "<Error><Code>QuotaExceeded</Code><Message>…</Message></Error>\nERROR: [039]: HTTP request failed with 403"
    assert meaning(said) == "the object store is full"
    assert meaning("WARN: a\nERROR: [055]: unable to load info file\n") == "[055]: unable to load info file"
    assert meaning("") == "it said nothing"


@pytest.mark.parametrize(
    "said",
    [
        "[CryptoError] unable to load info file '/repo/backup.info' or '/repo/backup.info.copy':\nCryptoError: unable to flush",
        "[FormatError] unable to load info file '/repo/backup.info' or '/repo/backup.info.copy':\n"
        "FormatError: key/value found outside of section at line 1: Q\ufffd=",
        "[ChecksumError] unable to load info file '/repo/archive.info':\nChecksumError: invalid checksum, actual 'a' but no checksum found",
    ],
)
def test_another_passphrase_is_named_whatever_it_makes_of_the_files(said: str):
    assert "backup_passphrase is not the one" in meaning(said)


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: [095]: unable to verify certificate presented by 's3.example.com:443': [20] unable to get local issuer certificate",
        "CryptoError: unable to verify certificate presented by 's3.example.com:443'",
        "x509: certificate verify failed",
    ],
)
def test_a_certificate_that_is_not_trusted_is_no_wrong_passphrase(said: str):
    assert "backup_authority" in meaning(said)


def test_the_summary_says_what_is_wrong_last():
    drill = {"at": 1767225600.0, "restored": 4.5}
    assert work.summary(BACKUPS, [], drill) == ("2 backups, the newest of later; last drill 2026-01-01 00:00:00Z, well, restored in 4.5 s")
    assert work.summary([], ["there is no backup"], {}) == "0 backups; no drill yet. WRONG: there is no backup"


class Store(work.Copies):
    """A store whose data is a file."""

    kind = "Store"

    def holds(self, folder: Path) -> bool:
        return (folder / "data").is_file()

    def ready(self, restored: str) -> bool:
        return bool(restored)

    def closed(self) -> bool:
        return False


@pytest.mark.parametrize("steps", range(12))
def test_a_restore_that_is_killed_anywhere_is_ended_by_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int):
    home, data = tmp_path / "home", tmp_path / "volume" / "store"
    for folder, content in ((data, "old"), (data.with_name("store.restored"), "restored")):
        folder.mkdir(parents=True)
        (folder / "data").write_text(content)
    home.mkdir()
    (home / "compose.yaml").touch()
    store = Store({"container": "store", "data": str(data), "home": str(home), "notes": str(tmp_path / "notes")})
    machine = Steps(monkeypatch, steps)
    monkeypatch.setattr(work, "run", machine.step)
    monkeypatch.setattr(work, "check", machine.step)
    monkeypatch.setattr(work, "runs", lambda _name: True)
    try:
        store.take()
    except Killed:
        machine.on()
        store.finish()
    kept = {path.name.split("-")[0]: (path / "data").read_text() for path in data.parent.iterdir()}
    # Before it has begun, what was restored is still beside the running one.
    assert kept in ({"store": "restored", "store.before": "old"}, {"store": "old", "store.restored": "restored"})
    assert store.notes.read("taking") == {}


def test_a_note_is_whole_or_not_there(tmp_path: Path):
    notes = Notes(tmp_path / "notes")
    assert notes.read("nothing") == {}
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "half.json").write_text('{"a": ')
    assert notes.read("half") == {}
    notes.write("records/one", {"a": 1})
    assert (notes.names("records"), notes.read("records/one")) == (["one"], {"a": 1})


# What an engine under load said once of a container whose first process had not come up.
NOT_CREATED = (
    "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: waiting for init preliminary setup: read init-p: connection reset by peer"
)


@pytest.mark.parametrize(
    "said",
    [("", "OCI runtime exec failed: exec failed"), ("OCI runtime exec failed: exec failed", ""), ("", NOT_CREATED)],
    ids=["said as an error", "said as output", "a container of its own"],
)
def test_a_command_in_a_container_that_was_never_begun_is_tried_again(monkeypatch: pytest.MonkeyPatch, said: tuple[str, str]):
    answers = [(125, *said), (0, "done", "")]

    class Done:
        def __init__(self, code: int, out: str, err: str) -> None:
            self.returncode, self.stdout, self.stderr = code, out, err

    monkeypatch.setattr(common.subprocess, "run", lambda *_words, **_more: Done(*answers.pop(0)))
    monkeypatch.setattr(common.time, "sleep", lambda _seconds: None)
    assert common.run("docker", "exec") == (0, "done", "")


def test_a_named_container_that_was_never_begun_leaves_its_name_to_the_next(monkeypatch: pytest.MonkeyPatch):
    ran: list[str] = []

    def once_in_the_way(words: list[str], **_more: object) -> subprocess.CompletedProcess[str]:
        ran.append(" ".join(words))
        failed = len(ran) == 1
        return subprocess.CompletedProcess(words, 125 if failed else 0, "" if failed else "done", NOT_CREATED if failed else "")

    monkeypatch.setattr(common.subprocess, "run", once_in_the_way)
    monkeypatch.setattr(common.time, "sleep", lambda _seconds: None)
    assert common.run("docker", "run", "--detach", "--name", "restored", "image")[0] == 0
    assert ran == ["docker run --detach --name restored image", "docker rm --force restored", "docker run --detach --name restored image"]
