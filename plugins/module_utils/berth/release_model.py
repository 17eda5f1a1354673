# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release as a Compose project of its own, that can run beside another release of the same app on one machine.

Pure: from a production Compose model to one in which nothing can be had only once - host ports, container names - and what has to be the
same in every release is: named volumes, and the network on which the edge finds the front door.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, count
from typing import Any

from .problems import BerthError
from .written import FOLDERS_LABEL, folders

EDGE_NETWORK = "berth-edge"
APP_LABEL, RELEASE_LABEL, TRUST_LABEL = "org.berth.app", "org.berth.release", "org.berth.authorities"
ACCESSORY_LABEL, FILES_LABEL = "org.berth.accessories", "org.berth.files"
# Where a release's model has what is to be of its accessories; Compose does not read it.
ACCESSORIES = "x-berth-accessories"
AUTHORITIES = "/etc/berth/authorities.pem"
# The variables by which OpenSSL (and with it Python, Ruby, PHP, Go), Node.js and libpq find the authorities they trust.
_TRUST = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PGSSLROOTCERT")
_PROCESSES = 4096
_MACHINE = "host-gateway"
# What a network's interface on the machine is called.
_BRIDGE = "com.docker.network.bridge.name"
# Of Swarm, and of a network that a machine's own interface is in.
_OVER_MACHINES = frozenset({"overlay", "macvlan", "ipvlan"})
# In the order in which they are preferred.
WEB_PORTS = (80, 8080, 3000, 8000, 5000)
_HTTPS = (443, 8443)
_OWN_HTTPS = ", and answers HTTPS for it where app_domain is given: one that leads HTTP to HTTPS by itself, whatever X-Forwarded-Proto says, leads nowhere"


def project_name(app: str, release: str) -> str:
    """The Compose project of a release: lower case, digits, hyphens and underscores."""
    return re.sub(r"[^a-z0-9_-]+", "-", f"{app}-{release}".lower())


def identifier(release: str, model: Mapping[str, Any]) -> str:
    """What tells a release from another: its name, and a digest of all that it runs with."""
    return f"{release}-{digest(model)}"


def digest(model: Any) -> str:
    """Eight hexadecimal digits that tell a thing of JSON from another."""
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()[:8]


def door_port(service: Mapping[str, Any]) -> int | None:
    """The container port that visitors are led to: a web port where there are several."""
    targets = [int(port["target"]) for port in service.get("ports") or [] if (port.get("protocol") or "tcp") == "tcp"]
    return next((each for each in WEB_PORTS if each in targets), targets[0] if targets else None)


def free_name(wish: str, taken: Collection[str]) -> str:
    """A name that nothing of an app has: the one that is wished for, else that with a number."""
    return next(each for each in chain([wish], (f"{wish}-{number}" for number in count(2))) if each not in taken)


def beside(
    app: str,
    model: Mapping[str, Any],
    door: str | None,
    *,
    trust: Sequence[str],
    on_machine: Sequence[str] = (),
    hosts: Mapping[str, Mapping[str, str]] | None = None,
    accessories: Collection[str] = (),
    led_out: Collection[str] = (),
) -> tuple[dict[str, Any], list[str]]:
    """The model of a release, and what of the app it does not carry, as warnings.

    ``trust``: the certificates of those who sign what the stores show. Where there are some, containers are given the machine's authorities and
    those of the stores. ``on_machine``: host names that lead to the machine that a container runs on. ``hosts``: service to names by which
    it knew the backing services to where these live now: programs that never asked their environment find them there.
    ``accessories``: services that a new authority does not begin anew; ``led_out``: those that had a store beside them which is elsewhere now.
    """
    result: dict[str, Any] = json.loads(json.dumps(model))
    lost: list[str] = []
    # The app may have a network of that name, of which each release has its own.
    edge = free_name("edge", result.get("networks") or {})
    for name, service in result["services"].items():
        for port in service.pop("ports", None) or []:
            if name != door or int(port["target"]) != door_port(model["services"][name]):
                published = port.get("published") or "(any)"
                hint = _OWN_HTTPS if name == door and int(port["target"]) in _HTTPS else ""
                lost.append(
                    f"{name}: host port {published} is not open: two releases cannot have one port; the edge leads to the front door{hint}"
                )
        called = service.pop("container_name", None)
        if called:
            lost.append(f"{name}: container_name is left out: two releases cannot have one name")
        if not service.get("network_mode"):
            service["networks"] = {
                each: _joined(how, called if called != name else None)
                for each, how in (service.get("networks") or {"default": None}).items()
            }
        if service.get("network_mode") == "host":
            lost.append(f"{name}: network_mode host is kept, and its ports stand in the way of the next release")
        # Some lists of labels come as mappings, and the other way round is not of `docker compose config`.
        service["labels"] = {**(service.get("labels") or {}), APP_LABEL: app}
        if folders(service):
            service["labels"][FOLDERS_LABEL] = ":".join(folders(service))
        check = service.get("healthcheck") or {}
        if check.get("start_period") and not check.get("disable"):
            # How long a deploy takes is mostly how long it waits to be told that a service is well.
            check.setdefault("start_interval", "1s")
        if trust and name not in accessories:
            _trust(service)
            service["labels"][TRUST_LABEL] = hashlib.sha256("\n".join(trust).encode()).hexdigest()[:16]
        _bound(service)
        # Who shares another one's network has its hosts.
        if not str(service.get("network_mode") or "").startswith(("none", "service:", "container:")):
            _add_hosts(service, {**dict.fromkeys(on_machine, _MACHINE), **_addresses((hosts or {}).get(name, {}), on_machine)})
        if name == door and not service.get("network_mode"):
            service["networks"][edge] = {"aliases": ["FRONT"]}
    for name, volume in (result.get("volumes") or {}).items():
        if (volume or {}).get("external"):
            # The machine may have it already, with data in it, under this very name.
            result["volumes"][name] = {"name": volume.get("name") or name}
            lost.append(f"volumes.{name}: it is external, and is made on a machine that does not have it")
        else:
            result["volumes"][name] = {**(volume or {}), "name": f"{app}_{name}"}
    outward = {network for each in led_out for network in _closed_in(result["services"][each], result.get("networks") or {})}
    for name, network in (result.get("networks") or {}).items():
        result["networks"][name], told = _network(name, network or {}, outward=name in outward)
        lost += told
    if door:
        result.setdefault("networks", {})[edge] = {"name": EDGE_NETWORK, "external": True}
    return result, lost


def _closed_in(service: Mapping[str, Any], networks: Mapping[str, Any]) -> set[str]:
    """The networks of a service where none of them leads out."""
    mine = set(service.get("networks") or {})
    return mine if mine and all((networks.get(each) or {}).get("internal") for each in mine) else set()


def _network(name: str, network: Mapping[str, Any], *, outward: bool) -> tuple[dict[str, Any], list[str]]:
    """A network as a release has its own, and what is told of that. ``outward``: it has to lead to where the stores are."""
    told = []
    if network.get("external"):
        return {}, [f"networks.{name}: it is external, which no machine here has; the release has one of its own in its place"]
    if (network.get("ipam") or {}).get("config"):
        told.append(
            f"networks.{name}: its addresses are left out: two releases cannot have the same; let containers find one another by name"
        )
    if outward:
        told.append(f"networks.{name}: it is internal, and is not here, since a store that was in it is outside it now")
    over = str(network.get("driver") or "")
    if over in _OVER_MACHINES:
        told.append(f"networks.{name}: its driver {over} is of another network of machines than these, and is left out")
    options = {key: value for key, value in (network.get("driver_opts") or {}).items() if key != _BRIDGE}
    without = ("ipam", "driver_opts", *(["internal"] if outward else []), *(["driver", "attachable"] if over in _OVER_MACHINES else []))
    return {**{key: value for key, value in network.items() if key not in without}, **({"driver_opts": options} if options else {})}, told


def _joined(how: Mapping[str, Any] | None, called: str | None) -> dict[str, Any] | None:
    """How a service joins a network: by its container's name too, by which others may ask for it, and without an address that is fixed."""
    kept = {key: value for key, value in (how or {}).items() if key not in ("ipv4_address", "ipv6_address", "mac_address")}
    if called:
        kept["aliases"] = list(dict.fromkeys([*(kept.get("aliases") or []), called]))
    return kept or None


def _trust(service: dict[str, Any]) -> None:
    environment = service.setdefault("environment", {})
    for variable in _TRUST:
        environment.setdefault(variable, AUTHORITIES)
    mount = {"type": "bind", "source": AUTHORITIES, "target": AUTHORITIES, "read_only": True, "bind": {"create_host_path": False}}
    if not any(volume.get("target") == AUTHORITIES for volume in service.get("volumes") or []):
        service["volumes"] = [*(service.get("volumes") or []), mount]


def _bound(service: dict[str, Any]) -> None:
    """What a service that does not say otherwise may not: gain privileges, and start processes without end."""
    limits = ((service.get("deploy") or {}).get("resources") or {}).get("limits") or {}
    if limits:
        # Compose refuses one limit there and another one here.
        limits.setdefault("pids", service.pop("pids_limit", _PROCESSES))
    else:
        service.setdefault("pids_limit", _PROCESSES)
    given = [str(each) for each in service.get("security_opt") or []]
    if not any("no-new-privileges" in each for each in given):
        service["security_opt"] = [*given, "no-new-privileges:true"]


def _addresses(hosts: Mapping[str, str], on_machine: Sequence[str]) -> dict[str, str]:
    """Host names to addresses, as far as they are known here; Docker takes no other names for them."""
    found = {}
    for name, host in hosts.items():
        with contextlib.suppress(ValueError):
            found[name] = _MACHINE if host in on_machine else str(ipaddress.ip_address(host))
    return found


def _add_hosts(service: dict[str, Any], addresses: Mapping[str, str]) -> None:
    given = [str(each) for each in service.get("extra_hosts") or []]
    known = {each.split("=" if "=" in each else ":", 1)[0] for each in given}
    more = [f"{name}:{address}" for name, address in sorted(addresses.items()) if name not in known]
    if more:
        service["extra_hosts"] = [*given, *more]


def rollback_target(current: Mapping[str, str], kept: Sequence[str], wanted: str) -> str:
    """The release to go back to: what is ``wanted``, or what served before; the one that serves where that has been done already.

    ``current``: release, before and after, as far as they are noted; ``kept``: releases on the machine, the newest first.
    Raises :class:`BerthError` where there is none.
    """
    there = f"The machine has {', '.join(kept)}; name one with -e app_release=NAME" if kept else "The machine has none"
    if wanted:
        found = [each for each in kept if each == wanted or each.startswith(f"{wanted}-")]
        if not found:
            raise BerthError(f"app_release: release {wanted} is not on the machine any more. {there}, or deploy it anew with deploy.yml")
        return found[0]
    if current.get("after") and current.get("release") in kept:
        return current["release"]
    before = current.get("before") or ""
    if before not in kept:
        raise BerthError(f"No release served before {current.get('release') or 'this'} that is still there. {there}")
    return before


def without(model: Mapping[str, Any], services: Collection[str]) -> dict[str, Any]:
    """The model without some services, for which nobody waits then."""
    left = {}
    for name, service in model["services"].items():
        if name not in services:
            awaited = {other: how for other, how in (service.get("depends_on") or {}).items() if other not in services}
            left[name] = {**service, "depends_on": awaited} if "depends_on" in service else service
    return {**model, "services": left}


def led(model: dict[str, Any], accessories: Mapping[str, Any]) -> dict[str, Any]:
    """The model, in which containers find accessories at the machine that keeps them. ``accessories``: see ``accessory_model.part``."""
    for service in model["services"].values():
        networks = service.get("networks") or {}
        found = {
            name
            for joins in (accessories.get("joins") or {}).values()
            for network in joins
            if network in networks
            for name in joins[network]
        }
        # Docker knows by no name of its own what is on another machine.
        found |= {str(each).partition(":")[2] for each in service.pop("external_links", [])}
        _add_hosts(service, dict.fromkeys(found, accessories.get("address") or ""))
    return model


def named(model: Mapping[str, Any], app: str, release: str) -> dict[str, Any]:
    """The model under its release's name, by which the edge finds its front door."""
    project = project_name(app, release)
    text = json.dumps(model).replace('"aliases": ["FRONT"]', f'"aliases": ["{project}"]')
    result: dict[str, Any] = {"name": project, **json.loads(text)}
    for service in result["services"].values():
        service["labels"][RELEASE_LABEL] = release
    return result
