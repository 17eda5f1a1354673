"""Volumes: block devices that outlive the droplets that they are attached to, and their snapshots."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .. import containers, state
from . import catalog, machines, tags
from .droplets import action
from .routing import Answer, ApiError, Call, Cloud, new_id, now, refused, route

_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_DEVICES = "abcdefghijklmno"


def _shown(volume: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in volume.items() if not key.startswith("_")}


def _run(*words: str) -> str:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise containers.ContainerError(f"volumes need {words[0]}, which this machine has not") from None
    if done.returncode != 0:
        raise containers.ContainerError(f"volumes need loop devices, as root on Linux: {done.stderr.strip()}")
    return done.stdout.strip()


def loops() -> dict[str, str]:
    """The rehearsal's files that are block devices now: file to device."""
    found = _run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")
    pairs = [line.split(None, 1) for line in found.splitlines()]
    return {file.removesuffix(" (deleted)").strip(): device for device, file in (pair for pair in pairs if len(pair) == 2)}


def give_back(folder: Path) -> None:
    """Free the block devices of a rehearsal that ends."""
    if shutil.which("losetup") is None or not (folder / "volumes").is_dir():
        return
    for file, device in loops().items():
        if file.startswith(str(folder.resolve() / "volumes")):
            subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)


@route("GET", "/v2/volumes")
def list_volumes(call: Call) -> Answer:
    """Volumes, by name and region where asked so."""
    found = list(call.cloud.all("volumes").values())
    if call.query.get("name"):
        found = [each for each in found if each["name"] == call.query["name"]]
    if call.query.get("region"):
        found = [each for each in found if each["region"]["slug"] == call.query["region"]]
    return call.page("volumes", map(_shown, found))


@route("POST", "/v2/volumes")
def create(call: Call) -> Answer:
    """Make a volume: empty, with a filesystem, or from a snapshot."""
    name, size, region = call.need("name"), call.need("size_gigabytes", int), catalog.region(str(call.body.get("region") or ""))
    if not _NAME.fullmatch(name):
        raise refused("name must be lowercase letters, digits and hyphens, start with a letter, and be 64 characters at most")
    if not 1 <= size <= 16384:
        raise refused("size_gigabytes must be between 1 and 16384")
    snapshot = call.cloud.get("snapshots", call.body["snapshot_id"]) if call.body.get("snapshot_id") else None
    if region is None:
        raise refused("region is invalid")
    if any(each["name"] == name and each["region"]["slug"] == region["slug"] for each in call.cloud.all("volumes").values()):
        raise ApiError(409, "conflict", "a volume with this name already exists")
    uid, kind = new_id(), call.body.get("filesystem_type") or ""
    if kind not in ("", "ext4", "xfs"):
        raise refused("filesystem_type must be ext4 or xfs")
    file = state.folder("volumes") / f"{uid}.img"
    if snapshot:
        _run("cp", "--sparse=always", snapshot["_file"], str(file))
    _run("truncate", "--size", f"{size}G", str(file))
    if kind and not snapshot:
        label = str(call.body.get("filesystem_label") or "")
        # A droplet's image has what makes filesystems; this machine may not.
        within = ("docker", "run", "--rm", "--network=none", f"--volume={file.parent.resolve()}:/volumes", f"--entrypoint=mkfs.{kind}")
        _run(*within, machines.IMAGE, "-q", *(("-L", label) if label else ()), f"/volumes/{file.name}")
    volume = {
        "id": uid,
        "region": region,
        "droplet_ids": [],
        "name": name,
        "description": call.body.get("description") or "",
        "size_gigabytes": size,
        "created_at": now(),
        "filesystem_type": kind,
        "filesystem_label": call.body.get("filesystem_label") or "",
        "tags": tags.check(call.cloud, call.body.get("tags")),
        "_file": str(file),
        "_device": "",
    }
    call.cloud.all("volumes")[uid] = volume
    return 201, {"volume": _shown(volume)}


@route("GET", "/v2/volumes/<uid>")
def show(call: Call, uid: str) -> Answer:
    """A volume."""
    return 200, {"volume": _shown(call.cloud.get("volumes", uid))}


@route("DELETE", "/v2/volumes/<uid>")
def delete(call: Call, uid: str) -> Answer:
    """Destroy a volume with all that is on it."""
    volume = call.cloud.get("volumes", uid)
    if volume["droplet_ids"]:
        raise ApiError(409, "conflict", "an attached volume cannot be deleted")
    device = loops().get(volume["_file"])
    if device:
        _run("losetup", "--detach", device)
    Path(volume["_file"]).unlink(missing_ok=True)
    del call.cloud.all("volumes")[uid]
    return 204, None


@route("POST", "/v2/volumes/<uid>/actions")
def act(call: Call, uid: str) -> Answer:
    """Attach, detach or resize a volume."""
    return _act(call, call.cloud.get("volumes", uid))


@route("POST", "/v2/volumes/actions")
def act_by_name(call: Call) -> Answer:
    """The same, for a volume that is named."""
    wanted = call.need("volume_name")
    found = [each for each in call.cloud.all("volumes").values() if each["name"] == wanted]
    if not found:
        raise ApiError(404, "not_found", "volume not found")
    return _act(call, found[0])


def _act(call: Call, volume: dict[str, Any]) -> Answer:
    kind, cloud, region = call.need("type"), call.cloud, volume["region"]["slug"]
    if kind == "resize":
        size = call.need("size_gigabytes", int)
        if size <= volume["size_gigabytes"]:
            raise refused("volumes can only be made larger")

        def work() -> None:
            _run("truncate", "--size", f"{size}G", volume["_file"])
            device = loops().get(volume["_file"])
            if device:
                _run("losetup", "--set-capacity", device)
            volume["size_gigabytes"] = size

        return 202, {"action": action(cloud, kind, None, "volume", region, work)}
    droplet = cloud.get("droplets", int(call.need("droplet_id", int)))
    if kind == "attach":
        if volume["droplet_ids"]:
            raise refused("volume is already attached to a droplet")
        if droplet["region"]["slug"] != region:
            raise refused("droplet and volume are in different regions")
        if droplet["status"] == "new":
            raise refused("Droplet already has a pending event.")
        return 202, {"action": action(cloud, kind, droplet["id"], "droplet", region, lambda: _attach(cloud, volume, droplet))}
    if kind == "detach":
        if droplet["id"] not in volume["droplet_ids"]:
            raise refused("volume is not attached to that droplet")
        return 202, {"action": action(cloud, kind, droplet["id"], "droplet", region, lambda: _detach(volume, droplet))}
    raise refused(f"{kind} is no action of a volume")


def _attach(cloud: Cloud, volume: dict[str, Any], droplet: dict[str, Any]) -> None:
    loop = loops().get(volume["_file"]) or _run("losetup", "--find", "--show", volume["_file"])
    with cloud.lock:
        taken = {each["_device"] for each in cloud.all("volumes").values() if droplet["id"] in each["droplet_ids"]}
        volume["_device"] = next(f"sd{letter}" for letter in _DEVICES if f"sd{letter}" not in taken)
        volume["droplet_ids"] = [droplet["id"]]
        droplet["volume_ids"] = [*droplet["volume_ids"], volume["id"]]
    machines.attach(int(droplet["id"]), volume["_device"], loop, volume["name"])


def _detach(volume: dict[str, Any], droplet: dict[str, Any]) -> None:
    machines.detach(int(droplet["id"]), volume["_device"], volume["name"])
    volume["droplet_ids"] = []
    droplet["volume_ids"] = [each for each in droplet["volume_ids"] if each != volume["id"]]


def _snapshot(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in snapshot.items() if not key.startswith("_")}


@route("POST", "/v2/volumes/<uid>/snapshots")
def create_snapshot(call: Call, uid: str) -> Answer:
    """Keep what is on a volume, as a power cut would leave it."""
    volume, number = call.cloud.get("volumes", uid), new_id()
    file = state.folder("volumes") / f"{number}.snapshot"
    _run("cp", "--sparse=always", volume["_file"], str(file))
    snapshot = {
        "id": number,
        "name": call.need("name"),
        "created_at": now(),
        "regions": [volume["region"]["slug"]],
        "min_disk_size": volume["size_gigabytes"],
        "size_gigabytes": 0,
        "resource_id": uid,
        "resource_type": "volume",
        "tags": tags.check(call.cloud, call.body.get("tags")),
        "_file": str(file),
    }
    call.cloud.all("snapshots")[number] = snapshot
    return 201, {"snapshot": _snapshot(snapshot)}


@route("GET", "/v2/volumes/<uid>/snapshots")
def volume_snapshots(call: Call, uid: str) -> Answer:
    """A volume's snapshots."""
    return call.page("snapshots", [_snapshot(each) for each in call.cloud.all("snapshots").values() if each["resource_id"] == uid])


@route("GET", "/v2/snapshots")
def list_snapshots(call: Call) -> Answer:
    """All snapshots."""
    return call.page("snapshots", map(_snapshot, call.cloud.all("snapshots").values()))


@route("GET", "/v2/snapshots/<uid>")
def show_snapshot(call: Call, uid: str) -> Answer:
    """A snapshot."""
    return 200, {"snapshot": _snapshot(call.cloud.get("snapshots", uid))}


@route("DELETE", "/v2/snapshots/<uid>")
def delete_snapshot(call: Call, uid: str) -> Answer:
    """Forget a snapshot."""
    Path(call.cloud.get("snapshots", uid)["_file"]).unlink(missing_ok=True)
    del call.cloud.all("snapshots")[uid]
    return 204, None
