"""Which of several machines' Redis takes writes, by what each of them holds and says."""

from __future__ import annotations

from typing import Any

import pytest
from berth.problems import BerthError
from berth.redis_members import primary
from hypothesis import given
from hypothesis import strategies as st

HOSTS = ["one", "two", "three"]
ADDRESSES = {"one": "10.0.0.1", "two": "10.0.0.2", "three": "10.0.0.3"}


def member(**more: Any) -> dict[str, Any]:
    return {"holds": False, "role": "", "leads": "", "epoch": 0, "noted": "", **more}


def test_the_first_begins_where_there_is_no_data():
    assert primary(HOSTS, {host: member() for host in HOSTS}, ADDRESSES) == "one"


def test_one_that_has_run_alone_is_it_wherever_it_stands_in_the_inventory():
    assert primary(HOSTS, {**{host: member() for host in HOSTS}, "two": member(holds=True, role="master")}, ADDRESSES) == "two"
    assert primary(HOSTS, {**{host: member() for host in HOSTS}, "three": member(holds=True)}, ADDRESSES) == "three"


def test_what_the_sentinels_agreed_on_last_counts():
    members = {
        "one": member(holds=True, role="master", leads="10.0.0.1", epoch=3),
        "two": member(holds=True, role="master", leads="10.0.0.2", epoch=4),
        "three": member(holds=True, role="slave", leads="10.0.0.2", epoch=4),
    }
    assert primary(HOSTS, members, ADDRESSES) == "two"
    # Also where that one cannot be looked at itself.
    del members["two"]
    assert primary(HOSTS, members, ADDRESSES) == "two"


def test_all_of_them_stopped_it_is_the_one_that_followed_nobody():
    members = {"one": member(holds=True, noted="10.0.0.3"), "two": member(holds=True, noted="10.0.0.3"), "three": member(holds=True)}
    assert primary(HOSTS, members, ADDRESSES) == "three"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"one": member(holds=True, role="master"), "two": member(holds=True, role="master"), "three": member()}, "one and two hold data"),
        ({"one": member(), "two": member()}, "three could not be looked at"),
        ({"one": member(holds=True, noted="10.0.0.9"), "two": member(), "three": member()}, "one hold copies"),
        # Somebody who left agreed on somebody who left.
        ({"one": member(leads="10.0.0.9", epoch=7), "two": member()}, "three could not be looked at"),
    ],
)
def test_no_second_one_is_begun_where_it_cannot_be_told(members: dict[str, Any], said: str):
    with pytest.raises(BerthError, match=said):
        primary(HOSTS, members, ADDRESSES)


MEMBERS = st.fixed_dictionaries(
    {
        "holds": st.booleans(),
        "role": st.sampled_from(["", "master", "slave"]),
        "leads": st.sampled_from(["", *ADDRESSES.values(), "10.0.0.9"]),
        "epoch": st.integers(0, 5),
        "noted": st.sampled_from(["", *ADDRESSES.values()]),
    }
)


@given(st.dictionaries(st.sampled_from(HOSTS), MEMBERS))
def test_an_empty_one_is_never_begun_beside_data(members: dict[str, dict[str, Any]]):
    try:
        found = primary(HOSTS, members, ADDRESSES)
    except BerthError:
        return
    agreed = any(each["leads"] in ADDRESSES.values() for each in members.values())
    holding = {host for host, each in members.items() if each["holds"]}
    # Where the Sentinels agree they know better than this machine, and one that is empty does not begin then.
    assert agreed or found in holding or (not holding and len(members) == len(HOSTS))
