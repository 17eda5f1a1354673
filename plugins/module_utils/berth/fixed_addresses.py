# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An address of its own for each container of a release, in the release's networks.

Docker gives a container that is started again whichever address is free. nginx, as most proxies, looks a name up once, when it starts: where two
services ended at the same time, as when a store was away, and came back with each other's addresses, it asked the wrong one for ever.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .machine_docker import Docker
    from .release_machine import Machine

# The network's own address comes before, and the machine's in it, the gateway.
_FIRST = 2
# By which Docker is asked for a network that nothing else has. https://docs.docker.com/reference/cli/docker/network/create/
_ASKED = "berth-asked-for-addresses"
_SUBNET = "{{(index .IPAM.Config 0).Subnet}}"


def members(model: Mapping[str, Any]) -> dict[str, list[str]]:
    """The networks of a release in which containers find one another, and in each the services that can have an address of their own.

    Not the networks of others, nor those with another driver, with settings of addresses, or with one service alone, and no service of
    several containers.
    """
    found: dict[str, list[str]] = {}
    for name, service in sorted((model.get("services") or {}).items()):
        for network in service.get("networks") or {}:
            found.setdefault(network, []).append(name)
    networks = model.get("networks") or {}
    return {
        network: [each for each in names if _is_one(model["services"][each])]
        for network, names in found.items()
        if len(names) > 1 and _is_plain(networks.get(network) or {})
    }


def _is_plain(network: Mapping[str, Any]) -> bool:
    kept = not network.get("external") and not network.get("ipam") and not network.get("enable_ipv6")
    return kept and network.get("driver") in (None, "bridge")


def _is_one(service: Mapping[str, Any]) -> bool:
    deploy = service.get("deploy") or {}
    return deploy.get("mode") in (None, "replicated") and deploy.get("replicas") in (None, 1) and service.get("scale") in (None, 1)


def fixed(model: Mapping[str, Any], subnets: Mapping[str, str]) -> dict[str, Any]:
    """The model with fixed addresses. ``subnets``: those of :func:`members`' networks, such as ``172.20.0.0/16``.

    The lower half is for them, the upper one for whoever else comes: accessories, and services of several containers. A network that has no
    room for that stays as it is.
    """
    result: dict[str, Any] = json.loads(json.dumps(model))
    for network, names in members(model).items():
        whole = ipaddress.ip_network(subnets[network])
        lower, upper = whole.subnets() if whole.prefixlen < whole.max_prefixlen else (whole, whole)
        if whole.version != 4 or len(names) + _FIRST >= lower.num_addresses:
            continue
        config = {"subnet": str(whole), "gateway": str(whole[1]), "ip_range": str(upper)}
        result.setdefault("networks", {})[network] = {**(result.get("networks", {}).get(network) or {}), "ipam": {"config": [config]}}
        for place, name in enumerate(names, _FIRST):
            joined = result["services"][name]["networks"]
            joined[network] = {**(joined[network] or {}), "ipv4_address": str(whole[place])}
    return result


def without(model: Mapping[str, Any]) -> dict[str, Any]:
    """The model as it was before :func:`fixed`, as one has it that is kept."""
    result: dict[str, Any] = json.loads(json.dumps(model))
    for network in (result.get("networks") or {}).values():
        (network or {}).pop("ipam", None)
    for service in result["services"].values():
        for joined in (service.get("networks") or {}).values():
            (joined or {}).pop("ipv4_address", None)
    return result


def of_its_own(machine: Machine, model: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted release's model with fixed addresses. ``before``: what this machine has of it already, whose networks may be there.

    Raises :class:`BerthError` where Docker has no network left.
    """
    fresh = without(model)
    wanted = members(fresh)
    if not wanted:
        return fresh
    label = f"label=com.docker.compose.project={machine.project(machine.params['release'])}"
    if before and machine.docker.check("docker network ls", "network", "ls", "--quiet", "--filter", label):
        subnets = _subnets(before)
        return fixed(fresh, subnets) if subnets.keys() >= wanted.keys() else fresh
    return fixed(fresh, free(machine.docker, list(wanted)))


def _subnets(model: Mapping[str, Any]) -> dict[str, str]:
    """The subnets that a model names."""
    found = {name: ((network or {}).get("ipam") or {}).get("config") for name, network in (model.get("networks") or {}).items()}
    return {name: config[0]["subnet"] for name, config in found.items() if config}


def free(docker: Docker, networks: list[str]) -> dict[str, str]:
    """A subnet for each network, which nothing on this machine has: Docker knows its pools, and looks at the machine's routes.

    Raises :class:`BerthError` where there is none left.
    """
    names = [f"{_ASKED}-{number}" for number, _network in enumerate(networks)]
    try:
        for name in names:
            if docker("network", "create", name)[0] != 0:
                # Of a run that was killed here.
                docker("network", "rm", name)
                docker.check("Docker makes no network", "network", "create", name)
        said = docker.check("docker network inspect", "network", "inspect", "--format", _SUBNET, *names)
    finally:
        docker("network", "rm", *names)
    return dict(zip(networks, said.split(), strict=True))
