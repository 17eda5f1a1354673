"""What a restore means: which snapshot or dump, and which of several stores serves."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from berth import cache_restores, store_dumps
from berth.problems import BerthError

NOON = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
FOR, SINCE = cache_restores.FOR_TAG, cache_restores.SINCE_TAG


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, ("", "", [], "shop-r2")),
        ({"shop": {}}, ("shop", "", [], "shop-r2")),
        ({"shop": {}, "shop-r2": {FOR: "shop"}}, ("shop", "shop-r2", [], "shop-r3")),
        ({"shop": {}, "shop-r2": {FOR: "shop", SINCE: "2026-01-31T12:00:00Z"}}, ("shop-r2", "", ["shop"], "shop-r3")),
        (
            {"shop-r2": {FOR: "shop", SINCE: "2026-02-01T12:00:00Z"}, "shop-r3": {FOR: "shop", SINCE: "2026-01-31T12:00:00Z"}},
            ("shop-r2", "", ["shop-r3"], "shop-r4"),
        ),
        # The first one was deleted, and what was restored has not been told to serve.
        ({"shop-r2": {FOR: "shop"}}, ("", "shop-r2", [], "shop-r3")),
        # Another stack that is called so.
        ({"shop": {}, "shop-r2": {}}, ("shop", "", [], "shop-r3")),
    ],
)
def test_tags_say_which_group_serves(groups, expected):
    assert tuple(cache_restores.members("shop", groups)) == expected


def test_only_names_of_the_stack_are_candidates():
    assert cache_restores.candidates("shop", ["shop", "shop-r2", "shop-r", "shop-r2-r3", "shops", "my-shop", "shop-2"]) == [
        "shop",
        "shop-r2",
    ]


def test_a_long_name_leaves_room_for_a_number_and_the_newest_of_ten_is_the_last():
    name = "berth-" + "a" * 34
    groups = {name: {}, **{f"{name[:36]}-r{number}": {FOR: name} for number in range(2, 11)}}
    found = cache_restores.members(name, groups)
    assert (found.serving, found.beside, found.free) == (name, f"{name[:36]}-r10", f"{name[:36]}-r11")
    assert len(found.free) <= 40
    assert cache_restores.candidates(name, list(groups)) == list(groups)


def snapshots(*hours: int):
    return [{"name": f"at-{hour}", "at": NOON.replace(hour=hour), "status": "available"} for hour in hours]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("latest", "at-10"),
        ("at-8", "at-8"),
        ("2026-01-31T09:00:00Z", "at-8"),
        ("2026-01-31T09:00:00", "at-8"),
        ("2026-01-31 11:59+00:00", "at-10"),
    ],
)
def test_the_snapshot_that_is_meant(wanted, expected):
    assert cache_restores.snapshot_for(wanted, snapshots(8, 10)) == expected


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("2026-01-31T07:59:59Z", "the first backup is of 2026-01-31 08:00:00Z"),
        ("2099-01-31T12:00:00Z", "in the future"),
        ("yesterday", "give latest, a time such as"),
    ],
)
def test_what_cannot_be_restored(wanted, said):
    with pytest.raises(BerthError, match=said):
        cache_restores.snapshot_for(wanted, snapshots(8, 10))


def test_a_snapshot_that_is_not_complete_is_no_choice():
    unfinished = [{**snapshots(8)[0], "status": "creating"}]
    with pytest.raises(BerthError, match="no snapshot"):
        cache_restores.snapshot_for("latest", unfinished)


@pytest.fixture
def backups(tmp_path: Path) -> store_dumps.Backups:
    found = store_dumps.Backups(tmp_path / "backups")
    for number in range(3):
        fresh = found.begin()
        (fresh / "db").mkdir()
        (fresh / "db" / "rows").write_text(f"rows {number}")
        finished = found.finish(fresh, {"db": {"engine": "postgres", "version": "17.2"}}, 0)
        finished.folder.rename(finished.folder.with_name(f"20260131-1{number}0000"))
    return found


def test_a_dump_is_found_by_name_and_by_time(backups: store_dumps.Backups):
    assert backups.target("latest", "db").id == "20260131-120000"
    assert backups.target("20260131-100000", "db").id == "20260131-100000"
    assert backups.target("2026-01-31T11:30:00Z", "db").id == "20260131-110000"
    for wanted, said in (("2026-01-31T09:00:00Z", "a time before that"), ("2099-01-01", "in the future"), ("soon", "give latest")):
        with pytest.raises(BerthError, match=said):
            backups.target(wanted, "db")
    with pytest.raises(BerthError, match="no backup of queue"):
        backups.target("latest", "queue")


def test_only_so_many_dumps_are_kept_and_what_was_cut_off_is_removed(backups: store_dumps.Backups):
    (backups.begin() / "half").write_text("")
    fresh = backups.begin()
    assert not (fresh / "half").exists()
    (fresh / "db").mkdir()
    done = backups.finish(fresh, {"db": {"engine": "postgres", "version": "17.2"}}, 2)
    assert [each.id for each in backups.all()] == ["20260131-120000", done.id]
    assert not list(backups.folder.glob("*.partial"))


def test_a_file_that_was_changed_is_never_restored(backups: store_dumps.Backups):
    found = backups.target("latest", "db")
    assert found.file("db", "rows").read_text() == "rows 2"
    (found.folder / "db" / "rows").write_text("rows 3")
    with pytest.raises(BerthError, match="is not what was written then"):
        found.file("db", "rows")
    (found.folder / "db" / "rows").unlink()
    with pytest.raises(BerthError, match="cannot be read"):
        found.file("db", "rows")
    (found.folder / "backup.json").write_text(json.dumps({"stores": {}})[:-3])
    assert [each.id for each in backups.all()] == ["20260131-100000", "20260131-110000"]
    assert "the backup is damaged" in backups.lines()[-1]
