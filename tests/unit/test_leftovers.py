"""What a run that was killed left behind."""

from __future__ import annotations

import os
import tempfile
import time

from berth import leftovers


def test_what_is_a_day_old_goes_and_what_may_be_in_use_or_is_another_ones_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("berth-x-old.json", "berth-x-new.json", "other-old"):
        (tmp_path / name).write_text("x")
    (tmp_path / "berth-x-folder").mkdir()
    (tmp_path / "berth-x-folder" / "config.json").write_text("x")
    (tmp_path / "kept").mkdir()
    (tmp_path / "berth-x-link").symlink_to(tmp_path / "kept")
    yesterday = time.time() - 25 * 3600
    for name in ("berth-x-old.json", "other-old", "berth-x-folder", "kept"):
        os.utime(tmp_path / name, (yesterday, yesterday))
    leftovers.sweep("berth-x-")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["berth-x-link", "berth-x-new.json", "kept", "other-old"]


def test_what_another_user_left_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "berth-x-old").write_text("x")
    os.utime(tmp_path / "berth-x-old", (0, 0))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    leftovers.sweep("berth-x-")
    assert (tmp_path / "berth-x-old").exists()
