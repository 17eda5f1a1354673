"""Which release a rollback goes back to."""

from __future__ import annotations

import pytest
from berth.problems import BerthError
from berth.release_model import rollback_target

KEPT = ["b2-22222222", "a1-11111111", "a1-00000000"]


def test_it_is_the_one_that_served_before():
    assert rollback_target({"release": "b2-22222222", "before": "a1-11111111"}, KEPT, "") == "a1-11111111"


def test_a_second_rollback_stays_where_the_first_one_went():
    assert rollback_target({"release": "a1-11111111", "before": "a1-00000000", "after": "b2-22222222"}, KEPT, "") == "a1-11111111"


def test_a_release_is_named_by_its_first_part_or_in_full():
    assert rollback_target({"release": "b2-22222222"}, KEPT, "a1") == "a1-11111111"
    assert rollback_target({"release": "b2-22222222"}, KEPT, "a1-00000000") == "a1-00000000"


@pytest.mark.parametrize(
    ("current", "kept", "wanted", "words"),
    [
        ({"release": "b2-22222222"}, KEPT, "c3", "release c3 is not on the machine any more. The machine has b2-22222222"),
        ({"release": "b2-22222222", "before": "gone"}, KEPT, "", "No release served before b2-22222222 that is still there"),
        ({}, [], "", "The machine has none"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(current: dict[str, str], kept: list[str], wanted: str, words: str):
    with pytest.raises(BerthError, match=words):
        rollback_target(current, kept, wanted)
