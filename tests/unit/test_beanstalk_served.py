"""Which version a rollback on Beanstalk goes back to."""

from __future__ import annotations

from typing import Any

import pytest
from berth.beanstalk_served import is_noted, noted, rollback_target
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

FIRST, SECOND, THIRD = "2026-01-01T10:00:00Z", "2026-01-02T10:00:00Z", "2026-01-03T10:00:00Z"


def version(label: str, description: str, created: str) -> dict[str, Any]:
    return {"VersionLabel": label, "Description": description, "DateCreated": created}


VERSIONS = [
    version("a1-11", noted("Release a1 of shop", FIRST), FIRST),
    version("b2-22", "Release b2 of shop, which never got healthy", SECOND),
    version("c3-33", noted("Release c3 of shop", THIRD), THIRD),
]


def test_it_is_the_one_that_was_in_service_before_and_not_one_that_never_was():
    assert rollback_target(VERSIONS, "c3-33", "") == "a1-11"


def test_a_second_rollback_stays_where_the_first_one_went():
    back = [version("a1-11", noted(VERSIONS[0]["Description"], THIRD, "c3-33"), FIRST), *VERSIONS[1:]]
    assert rollback_target(back, "a1-11", "") == "a1-11"


def test_a_version_is_named_by_its_release_or_in_full():
    assert rollback_target(VERSIONS, "c3-33", "b2") == "b2-22"
    assert rollback_target(VERSIONS, "c3-33", "a1-11") == "a1-11"


@pytest.mark.parametrize(
    ("versions", "wanted", "words"),
    [(VERSIONS, "d4", "there is no version d4 any more. The application has c3-33, b2-22"), (VERSIONS[1:], "", "No version is noted")],
)
def test_what_is_not_there_is_said_with_what_is(versions: list[dict[str, Any]], wanted: str, words: str):
    with pytest.raises(BerthError, match=words):
        rollback_target(versions, "c3-33", wanted)


@given(st.text(max_size=300), st.sampled_from(["", "c3-33"]))
def test_a_note_fits_and_is_replaced_by_the_next(description: str, left: str):
    once = noted(description, FIRST, left)
    twice = noted(once, SECOND)
    assert len(once) <= 200
    assert is_noted(once)
    assert (SECOND in twice, FIRST in twice) == (True, False)
