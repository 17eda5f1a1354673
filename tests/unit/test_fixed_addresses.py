"""That each container of a release has an address of its own, also when it is started again."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from berth import fixed_addresses, release_machine
from berth.release_machine import Machine
from hypothesis import given
from hypothesis import strategies as st

SHOP: dict[str, Any] = {
    "services": {
        "nginx": {"networks": {"default": None, "edge": {"aliases": ["shop-r1"]}}},
        "api": {"networks": {"default": {"aliases": ["backend"]}}},
        "worker": {"networks": {"default": None}, "deploy": {"replicas": 2}},
    },
    "networks": {"default": {"name": "shop_default", "ipam": {}}, "edge": {"name": "berth-edge", "external": True}},
}


def addresses(model: Mapping[str, Any], network: str = "default") -> dict[str, str]:
    joined = {name: (service.get("networks") or {}).get(network) or {} for name, service in model["services"].items()}
    return {name: each["ipv4_address"] for name, each in joined.items() if "ipv4_address" in each}


def test_each_service_of_one_container_has_one_and_the_others_come_from_the_upper_half():
    found = fixed_addresses.fixed(SHOP, {"default": "172.20.0.0/16"})
    assert addresses(found) == {"api": "172.20.0.2", "nginx": "172.20.0.3"}
    assert found["services"]["api"]["networks"]["default"]["aliases"] == ["backend"]
    config = {"subnet": "172.20.0.0/16", "gateway": "172.20.0.1", "ip_range": "172.20.128.0/17"}
    assert found["networks"] == {**SHOP["networks"], "default": {"name": "shop_default", "ipam": {"config": [config]}}}
    assert SHOP["services"]["nginx"]["networks"]["default"] is None
    assert fixed_addresses.members(fixed_addresses.without(found)) == {"default": ["api", "nginx"]}


@pytest.mark.parametrize(
    "network",
    [{"external": True}, {"driver": "overlay"}, {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}, {"enable_ipv6": True}],
    ids=lambda each: next(iter(each)),
)
def test_what_is_no_plain_network_of_the_release_is_left_as_it_is(network: dict[str, Any]):
    assert fixed_addresses.members({**SHOP, "networks": {"default": network}}) == {}


def test_one_service_alone_asks_nobody_by_an_address():
    assert fixed_addresses.members({"services": {"web": {"networks": {"default": None}}, "once": {"network_mode": "none"}}}) == {}


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), st.sampled_from([None, 1, 3]), min_size=2, max_size=40),
    st.integers(8, 30),
)
def test_addresses_are_of_the_subnet_and_nobody_elses(services: dict[str, int | None], length: int):
    model = {"services": {name: {"networks": {"default": None}, "scale": scale} for name, scale in services.items()}}
    whole = ipaddress.ip_network((10 << 24, length))
    found = fixed_addresses.fixed(model, {"default": str(whole)})
    mine = [ipaddress.ip_address(each) for each in addresses(found).values()]
    assert len(mine) in (0, len([scale for scale in services.values() if scale != 3]))
    assert len(set(mine)) == len(mine)
    for each in mine:
        config = found["networks"]["default"]["ipam"]["config"][0]
        assert each in whole and each not in ipaddress.ip_network(config["ip_range"])
        assert str(each) not in (config["gateway"], str(whole.network_address))


class Engine:
    """A Docker that gives networks away; ``there``: those of the release, ``left``: those of a run that was killed."""

    def __init__(self) -> None:
        self.there, self.left, self.asked = "", {"berth-asked-for-addresses-0"}, []

    def __call__(self, words: list[str], **_more: Any) -> tuple[int, str, str]:
        verb, name = words[2], words[-1]
        self.asked.append(verb)
        if verb == "ls":
            return 0, self.there, ""
        if verb == "create" and name in self.left:
            return 1, "", "network with name berth-asked-for-addresses-0 already exists"
        if verb == "rm":
            self.left.discard(name)
        return 0, "192.168.48.0/20\n" if verb == "inspect" else "", ""


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def machine(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(release_machine, "_ROOT", tmp_path)
    return Machine({"app": "shop", "release": "r1"}, engine)


def test_a_new_release_has_a_subnet_that_docker_gave_away_and_took_back(machine: Machine, engine: Engine):
    found = fixed_addresses.of_its_own(machine, SHOP, {})
    assert addresses(found) == {"api": "192.168.48.2", "nginx": "192.168.48.3"}
    assert engine.asked == ["create", "rm", "create", "inspect", "rm"] and not engine.left


def test_one_that_is_taken_up_again_keeps_its_own_where_its_networks_are_there(machine: Machine, engine: Engine):
    before = fixed_addresses.fixed(SHOP, {"default": "172.20.0.0/16"})
    engine.there, engine.left = "0123abcd\n", set()
    # What comes back is what the machine has of it.
    assert fixed_addresses.of_its_own(machine, json.loads(json.dumps(before)), before) == before
    assert addresses(fixed_addresses.of_its_own(machine, SHOP, fixed_addresses.without(before))) == {}
    # Its networks are gone with its containers: another may have the subnet since.
    engine.there = ""
    assert addresses(fixed_addresses.of_its_own(machine, before, before)) == {"api": "192.168.48.2", "nginx": "192.168.48.3"}
