# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to happen so that a stack's droplets and volumes are as they are described. Pure: from documents to a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .digitalocean import front_tag, group_tag, groups_of, stack_tag
from .problems import BerthError, listed, suggestion

# What these keep would be lost with their droplet.
DATA_GROUPS = frozenset({"postgres", "redis", "accessories"})
GROUPS = ("app", "postgres", "redis", "accessories")
_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_KEYS = ("name", "groups", "size", "image", "region", "volumes", "user_data")
_VOLUME_KEYS = ("name", "size")


class Plan(NamedTuple):
    """``volumes``, ``create``: what to make, as the API takes it; ``grow``: volume to its new size in GiB; ``resize``: (droplet, new size);
    ``switch_on``: droplets that are off and need no other size; ``tag``, ``untag``: (droplet, tag); ``attach``: (volume's name, droplet's
    name); ``remove``: droplets that are described no more.
    """

    volumes: list[dict[str, Any]]
    create: list[dict[str, Any]]
    grow: list[tuple[dict[str, Any], int]]
    resize: list[tuple[dict[str, Any], str]]
    switch_on: list[dict[str, Any]]
    tag: list[tuple[dict[str, Any], str]]
    untag: list[tuple[dict[str, Any], str]]
    attach: list[tuple[str, str]]
    remove: list[dict[str, Any]]

    def __bool__(self) -> bool:
        return any(self[index] for index in range(len(self)))

    def lines(self) -> list[str]:
        """The plan in words, one line a step, with what it interrupts."""
        said = [f"make volume {each['name']}, {each['size_gigabytes']} GiB, {each['region']}" for each in self.volumes]
        said += [f"make droplet {each['name']}, {each['size']}, {each['image']}, {each['region']}" for each in self.create]
        said += [f"grow volume {each['name']} from {each['size_gigabytes']} to {size} GiB" for each, size in self.grow]
        said += [resizing(each, size) for each, size in self.resize]
        said += [f"switch on droplet {each['name']}" for each in self.switch_on]
        said += [f"tag droplet {each['name']} {tag}" for each, tag in self.tag]
        said += [f"untag droplet {each['name']} {tag}" for each, tag in self.untag]
        said += [f"attach volume {volume} to {droplet}" for volume, droplet in self.attach]
        return said + [f"destroy droplet {each['name']}: no longer described" for each in self.remove]


def resizing(droplet: Mapping[str, Any], size: str) -> str:
    """In words, that a droplet gets another size, and what that interrupts."""
    return f"resize droplet {droplet['name']} from {droplet['size_slug']} to {size}: it is off for a minute"


def described(droplets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Check the description of droplets. Raises :class:`BerthError` naming ``digitalocean_droplets[…]`` and the key."""
    found: list[dict[str, Any]] = []
    if isinstance(droplets, str | Mapping):
        raise BerthError(
            f"digitalocean_droplets has to be a list, and is {droplets!r}; on a command line, -e '{{\"digitalocean_droplets\": […]}}'"
        )
    for index, given in enumerate(droplets):
        where = f"digitalocean_droplets[{index}]"
        if not isinstance(given, Mapping):
            raise BerthError(f"{where}: {given!r} is no description; give name, groups and size")
        _known(where, given, _KEYS)
        name = str(given.get("name") or "")
        if not _NAME.fullmatch(name) or len(name) > 20:
            raise BerthError(f"{where}.name: {name!r} has to be 1 to 20 lower-case letters, digits and single hyphens")
        if any(each["name"] == name for each in found):
            raise BerthError(f"{where}.name: {name} is described twice")
        groups = list(given.get("groups") or [])
        for group in groups:
            if group not in GROUPS:
                raise BerthError(f"{where}.groups: {group!r} is not one of {listed(GROUPS)}{suggestion(str(group), GROUPS)}")
        if not given.get("size"):
            raise BerthError(f"{where}.size: give one of DigitalOcean's sizes, such as s-1vcpu-2gb")
        volumes = []
        for number, volume in enumerate(given.get("volumes") or []):
            _known(f"{where}.volumes[{number}]", volume, _VOLUME_KEYS)
            try:
                size = int(volume.get("size") or 0)
            except ValueError:
                size = 0
            if not 1 <= size <= 16384:
                raise BerthError(f"{where}.volumes[{number}].size: {volume.get('size')!r} is not 1 to 16384 GiB")
            if not _NAME.fullmatch(str(volume.get("name") or "")):
                raise BerthError(f"{where}.volumes[{number}].name: {volume.get('name')!r} has to be lower-case letters, digits and hyphens")
            volumes.append({"name": str(volume["name"]), "size": size})
        found.append({**given, "name": name, "groups": groups, "volumes": volumes})
    # Of several that keep a store one takes writes, and the others follow it.
    holders = [each["name"] for each in found if "redis" in each["groups"]]
    if len(holders) == 2:
        raise BerthError(
            f"digitalocean_droplets: {listed(holders)} are in the group redis, and two cannot agree on which of them is lost; give it to one, or "
            "to three, of which another takes over by itself"
        )
    return found


def _known(where: str, given: Mapping[str, Any], keys: Sequence[str]) -> None:
    for key in given:
        if key not in keys:
            raise BerthError(f"{where}: unknown key {key!r}{suggestion(str(key), keys)}")


def volume_name(stack: str, droplet: str, volume: str) -> str:
    """A volume's full name."""
    return f"{stack}-{droplet}-{volume}"


def plan(
    stack: str,
    wanted: Sequence[Mapping[str, Any]],
    droplets: Sequence[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
    region: str,
    image: str,
) -> Plan:
    """What has to happen. ``droplets``, ``volumes``: what the API lists of this stack.

    Raises :class:`BerthError` for what cannot be had without losing data.
    """
    there: dict[str, Any] = {}
    for droplet in droplets:
        if droplet["name"] in there:
            raise BerthError(f"there are two droplets {droplet['name']}; destroy the one that is not in use, and run again")
        there[droplet["name"]] = droplet
    kept = {volume["name"]: volume for volume in volumes}
    result = Plan([], [], [], [], [], [], [], [], [])
    for each in wanted:
        _one(stack, each, there.get(f"{stack}-{each['name']}"), kept, region, image, result)
    names = {f"{stack}-{each['name']}" for each in wanted}
    for name, droplet in there.items():
        if name not in names:
            if set(groups_of(droplet, stack)) & DATA_GROUPS or droplet["volume_ids"]:
                raise BerthError(
                    f"droplet {name} keeps data and is not in digitalocean_droplets any more. A converge destroys no data: describe it again, "
                    "or move its data away and destroy it by hand"
                )
            result.remove.append(dict(droplet))
    return result


def _one(
    stack: str, each: Mapping[str, Any], there: Mapping[str, Any] | None, kept: Mapping[str, Any], region: str, image: str, result: Plan
) -> None:
    full, place = f"{stack}-{each['name']}", each.get("region") or region
    tags = [stack_tag(stack), *(group_tag(stack, group) for group in each["groups"])]
    tags += [front_tag(stack)] if "app" in each["groups"] else []
    if there is None:
        wanted = {"name": full, "region": place, "size": each["size"], "image": each.get("image") or image, "tags": tags}
        result.create.append({**wanted, "user_data": each.get("user_data") or ""})
    else:
        if there["region"]["slug"] != place:
            raise BerthError(
                f"droplet {full} is in {there['region']['slug']}, and {place} is asked for; a droplet cannot move. Describe one "
                "of another name there, and take this one out of digitalocean_droplets when the new one serves"
            )
        if there["size_slug"] != each["size"]:
            result.resize.append((dict(there), each["size"]))
        elif there["status"] == "off":
            result.switch_on.append(dict(there))
        result.tag.extend((dict(there), tag) for tag in tags if tag not in there["tags"])
        stale = [group_tag(stack, group) for group in groups_of(there, stack) if group not in each["groups"]]
        for tag in stale:
            if tag.rsplit(":", 1)[1] in DATA_GROUPS:
                raise BerthError(f"droplet {full} keeps {tag.rsplit(':', 1)[1]}; move the data away before it leaves that group")
        stale += [front_tag(stack)] if front_tag(stack) in there["tags"] and front_tag(stack) not in tags else []
        result.untag.extend((dict(there), tag) for tag in stale)
    for volume in each["volumes"]:
        name = volume_name(stack, each["name"], volume["name"])
        found = kept.get(name)
        if found is None:
            result.volumes.append({"name": name, "size_gigabytes": volume["size"], "region": place, "tags": [stack_tag(stack)]})
        elif found["size_gigabytes"] > volume["size"]:
            raise BerthError(f"volume {name} has {found['size_gigabytes']} GiB; a volume cannot shrink to {volume['size']}")
        elif found["size_gigabytes"] < volume["size"]:
            result.grow.append((dict(found), volume["size"]))
        if found is None or there is None or there["id"] not in found["droplet_ids"]:
            if found is not None and found["droplet_ids"] and (there is None or there["id"] not in found["droplet_ids"]):
                raise BerthError(f"volume {name} is attached to another droplet; detach it, and run again")
            result.attach.append((name, full))


def offer_problem(plan_: Plan, regions: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]]) -> str | None:
    """What of a plan DigitalOcean does not have, or None. ``regions``, ``images``: as the API lists them."""
    by_slug = {str(each["slug"]): each for each in regions}
    wanted = [(each["name"], each["region"], each["size"]) for each in plan_.create]
    wanted += [(each["name"], each["region"]["slug"], size) for each, size in plan_.resize]
    for name, region, size in wanted:
        found = by_slug.get(region)
        if found is None:
            return f"{name}: there is no region {region!r}{suggestion(region, by_slug)}; there are {listed(by_slug)}"
        if not found["available"]:
            return f"{name}: region {region} takes no new droplets"
        if size not in found["sizes"]:
            elsewhere = [slug for slug, each in by_slug.items() if size in each["sizes"]]
            more = f"{size} is in {listed(elsewhere)}" if elsewhere else f"nowhere{suggestion(size, found['sizes'])}"
            return f"{name}: region {region} has no size {size}; {more}"
    slugs = {str(each.get("slug") or "") for each in images}
    for each in plan_.create:
        if each["image"] not in slugs and not str(each["image"]).isdigit():
            return f"{each['name']}: there is no image {each['image']!r}{suggestion(str(each['image']), slugs)}"
    return None
