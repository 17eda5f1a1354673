"""What has to happen to droplets and volumes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from berth import droplet_plan
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

DATA = {"name": "data-1", "groups": ["postgres", "redis"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 20}]}
APP = {"name": "app-1", "groups": ["app"], "size": "s-1vcpu-2gb"}


def droplet(name: str, number: int, groups: list[str], size: str, volumes: list[str] | None = None) -> dict[str, Any]:
    tags = ["berth:shop", *(f"berth:shop:{group}" for group in groups), *(["berth:shop:app:front"] if "app" in groups else [])]
    where = {"region": {"slug": "fra1"}, "tags": tags, "volume_ids": volumes or []}
    return {"id": number, "name": f"shop-{name}", "size_slug": size, "status": "active", **where}


THERE = [droplet("data-1", 1, ["postgres", "redis"], "s-2vcpu-4gb", ["v"]), droplet("app-1", 2, ["app"], "s-1vcpu-2gb")]
VOLUME = {"id": "v", "name": "shop-data-1-data", "size_gigabytes": 20, "droplet_ids": [1], "region": {"slug": "fra1"}}


def plan(wanted: list[dict[str, Any]], there: list[dict[str, Any]], volumes: list[dict[str, Any]]) -> droplet_plan.Plan:
    return droplet_plan.plan("shop", droplet_plan.described(wanted), there, volumes, "fra1", "debian-13-x64")


def test_nothing_is_planned_where_all_is_as_described():
    assert not plan([DATA, APP], THERE, [VOLUME])


def test_from_nothing_everything_is_made():
    lines = plan([DATA, APP], [], []).lines()
    assert lines == [
        "make volume shop-data-1-data, 20 GiB, fra1",
        "make droplet shop-data-1, s-2vcpu-4gb, debian-13-x64, fra1",
        "make droplet shop-app-1, s-1vcpu-2gb, debian-13-x64, fra1",
        "attach volume shop-data-1-data to shop-data-1",
    ]


def test_a_lost_droplet_gets_its_volume_back():
    lines = plan([DATA, APP], THERE[1:], [{**VOLUME, "droplet_ids": []}]).lines()
    assert lines == ["make droplet shop-data-1, s-2vcpu-4gb, debian-13-x64, fra1", "attach volume shop-data-1-data to shop-data-1"]


def test_a_size_a_volume_and_a_droplet_that_goes():
    wanted = [{**DATA, "volumes": [{"name": "data", "size": 30}]}, {**APP, "name": "app-2"}]
    lines = plan([*wanted, {**APP, "size": "s-2vcpu-2gb"}], THERE, [VOLUME]).lines()
    assert "resize droplet shop-app-1 from s-1vcpu-2gb to s-2vcpu-2gb: it is off for a minute" in lines
    assert "grow volume shop-data-1-data from 20 to 30 GiB" in lines
    assert "destroy droplet shop-app-1: no longer described" in plan(wanted, THERE, [VOLUME]).lines()


def test_one_that_is_off_is_switched_on_by_its_new_size_or_by_itself():
    there = [THERE[0], {**THERE[1], "status": "off"}]
    assert plan([DATA, APP], there, [VOLUME]).lines() == ["switch on droplet shop-app-1"]
    resized = plan([DATA, {**APP, "size": "s-2vcpu-2gb"}], there, [VOLUME])
    assert ([each["name"] for each, _size in resized.resize], resized.switch_on) == (["shop-app-1"], [])


REFUSED = {
    "data that is described no more": ([APP], "A converge destroys no data"),
    "a volume that shrinks": ([{**DATA, "volumes": [{"name": "data", "size": 5}]}, APP], "cannot shrink to 5"),
    "another region": ([{**DATA, "region": "ams3"}, APP], "a droplet cannot move"),
    "data that leaves a group": ([{**DATA, "groups": ["postgres"]}, APP], "move the data away"),
    "a name twice": ([APP, APP], "app-1 is described twice"),
    "two that keep one store": ([DATA, {**DATA, "name": "data-2"}], "are in the group redis, and two cannot agree"),
    "a key that is none": ([{**APP, "sizes": "x"}], "unknown key 'sizes'; did you mean 'size'?"),
    "a name with capitals": ([{**APP, "name": "App"}], "digitalocean_droplets[0].name"),
}


@pytest.mark.parametrize("given", ["[]", "app-1", {"name": "app-1"}])
def test_what_is_no_list_is_said_with_how_to_give_one(given: Any):
    with pytest.raises(BerthError, match=r"digitalocean_droplets has to be a list, and is .* -e '\{"):
        droplet_plan.described(given)


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_by_name(what: str):
    wanted, words = REFUSED[what]
    with pytest.raises(BerthError) as caught:
        plan(wanted, THERE, [VOLUME])
    assert words in str(caught.value)


REGIONS = [
    {"slug": "fra1", "available": True, "sizes": ["s-1vcpu-2gb", "s-2vcpu-4gb"]},
    {"slug": "ams3", "available": True, "sizes": ["s-1vcpu-2gb", "g-2vcpu-8gb"]},
]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({**APP, "size": "g-2vcpu-8gb"}, "region fra1 has no size g-2vcpu-8gb; g-2vcpu-8gb is in ams3"),
        ({**APP, "region": "fra9"}, "did you mean 'fra1'?"),
        ({**APP, "image": "debian-13"}, "did you mean 'debian-13-x64'?"),
    ],
)
def test_what_is_not_offered_is_said_with_what_is(wanted: dict[str, Any], words: str):
    problem = droplet_plan.offer_problem(plan([wanted], [], []), REGIONS, [{"slug": "debian-13-x64"}])
    assert problem
    assert words in problem


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["name", "groups", "size", "volumes", "x"]), st.none() | st.text() | st.lists(st.text()), max_size=4
        ),
        max_size=3,
    )
)
def test_no_description_ends_in_a_traceback(wanted: list[dict[str, Any]]):
    try:
        droplet_plan.described(wanted)
    except BerthError as problem:
        assert "digitalocean_droplets" in str(problem)
