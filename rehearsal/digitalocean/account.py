"""The account, what it offers, its SSH keys, and tags."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from . import balancers, catalog, firewalls, tags
from .routing import Answer, Call, Cloud, new_id, not_found, now, refused, route

# The kinds that can be tagged, as the API names them.
TAGGED = {"droplet": "droplets", "volume": "volumes", "volume_snapshot": "snapshots", "load_balancer": "load_balancers"}


def prepare(cloud: Cloud) -> None:
    """What an account has from its first day."""
    uid = new_id()
    cloud.all("projects")[uid] = {
        "id": uid,
        "owner_uuid": new_id(),
        "owner_id": 1,
        "name": "first-project",
        "description": "Update your project information under Settings",
        "purpose": "Just trying out DigitalOcean",
        "environment": "Development",
        "is_default": True,
        "created_at": now(),
        "updated_at": now(),
    }
    cloud.all("registry")["own"] = {
        "name": "rehearsal",
        "created_at": now(),
        "region": "nyc3",
        "storage_usage_bytes": 0,
        "read_only": False,
    }


@route("GET", "/v2/account")
def show_account(_call: Call) -> Answer:
    """The account."""
    limits = {"droplet_limit": 25, "floating_ip_limit": 3, "reserved_ip_limit": 3, "volume_limit": 100}
    known = {
        "email": "rehearsal@example.com",
        "name": "Rehearsal",
        "uuid": "b6fr89dbf6d9156cace5f3c78dc9851d957381ef",
        "email_verified": True,
    }
    team = {"uuid": "5df3e3004a17e242b7c20ca6c9fc25b701a47ece", "name": "Rehearsal"}
    return 200, {"account": {**limits, **known, "status": "active", "status_message": "", "team": team}}


@route("GET", "/v2/regions")
def list_regions(call: Call) -> Answer:
    """Regions."""
    return call.page("regions", catalog.regions())


@route("GET", "/v2/sizes")
def list_sizes(call: Call) -> Answer:
    """Sizes."""
    return call.page("sizes", catalog.sizes())


@route("GET", "/v2/images")
def list_images(call: Call) -> Answer:
    """Images."""
    return call.page("images", [] if call.query.get("private") == "true" else catalog.images())


@route("GET", "/v2/images/<wanted>")
def show_image(_call: Call, wanted: str) -> Answer:
    """An image."""
    found = catalog.image(wanted)
    if found is None:
        raise not_found()
    return 200, {"image": found}


@route("GET", "/v2/account/keys")
def list_keys(call: Call) -> Answer:
    """SSH keys."""
    return call.page("ssh_keys", call.cloud.all("keys").values())


@route("POST", "/v2/account/keys")
def create_key(call: Call) -> Answer:
    """Add an SSH key."""
    name, public = call.need("name"), call.need("public_key").strip()
    parts = public.split()
    try:
        digest = hashlib.md5(base64.b64decode(parts[1], validate=True), usedforsecurity=False).hexdigest()
    except (IndexError, binascii.Error):
        raise refused("Key invalid, key should be of the format `type key [comment]`") from None
    fingerprint = ":".join(digest[at : at + 2] for at in range(0, 32, 2))
    if any(each["fingerprint"] == fingerprint for each in call.cloud.all("keys").values()):
        raise refused("SSH Key is already in use on your account")
    number = call.cloud.number()
    key = {"id": number, "fingerprint": fingerprint, "public_key": public, "name": name}
    call.cloud.all("keys")[number] = key
    return 201, {"ssh_key": key}


def key_of(cloud: Cloud, wanted: Any) -> dict[str, Any] | None:
    """A key by its number or fingerprint, or None."""
    return next((each for each in cloud.all("keys").values() if str(wanted) in (str(each["id"]), each["fingerprint"])), None)


@route("GET", "/v2/account/keys/<wanted>")
def show_key(call: Call, wanted: str) -> Answer:
    """An SSH key."""
    found = key_of(call.cloud, wanted)
    if found is None:
        raise not_found()
    return 200, {"ssh_key": found}


@route("PUT", "/v2/account/keys/<wanted>")
def rename_key(call: Call, wanted: str) -> Answer:
    """Give an SSH key another name."""
    found = key_of(call.cloud, wanted)
    if found is None:
        raise not_found()
    found["name"] = call.need("name")
    return 200, {"ssh_key": found}


@route("DELETE", "/v2/account/keys/<wanted>")
def delete_key(call: Call, wanted: str) -> Answer:
    """Forget an SSH key. Droplets keep it."""
    found = key_of(call.cloud, wanted)
    if found is None:
        raise not_found()
    del call.cloud.all("keys")[found["id"]]
    return 204, None


def tag_document(cloud: Cloud, name: str) -> dict[str, Any]:
    """A tag with what it is on."""
    cloud.get("tags", name)
    resources: dict[str, Any] = {"count": 0}
    for kind in TAGGED.values():
        count = sum(name in each.get("tags", []) for each in cloud.all(kind).values())
        resources[kind if kind != "snapshots" else "volume_snapshots"] = {"count": count}
        resources["count"] += count
    return {"name": name, "resources": resources}


@route("GET", "/v2/tags")
def list_tags(call: Call) -> Answer:
    """Tags."""
    return call.page("tags", [tag_document(call.cloud, name) for name in sorted(call.cloud.all("tags"))])


@route("POST", "/v2/tags")
def create_tag(call: Call) -> Answer:
    """Make a tag, or find that it is there."""
    name = tags.check(call.cloud, [call.need("name")])[0]
    return 201, {"tag": tag_document(call.cloud, name)}


@route("GET", "/v2/tags/<name>")
def show_tag(call: Call, name: str) -> Answer:
    """A tag."""
    return 200, {"tag": tag_document(call.cloud, name)}


@route("DELETE", "/v2/tags/<name>")
def delete_tag(call: Call, name: str) -> Answer:
    """Take a tag away, from everything."""
    call.cloud.get("tags", name)
    for kind in TAGGED.values():
        for each in call.cloud.all(kind).values():
            each["tags"] = [tag for tag in each.get("tags", []) if tag != name]
    del call.cloud.all("tags")[name]
    _changed(call.cloud)
    return 204, None


def _changed(cloud: Cloud) -> None:
    # Firewalls and load balancers choose droplets by their tags.
    firewalls.refresh(cloud)
    balancers.refresh(cloud)


def _tag(call: Call, name: str, *, on: bool) -> Answer:
    call.cloud.get("tags", name)
    for each in call.need("resources", list):
        kind, key = TAGGED.get(each.get("resource_type")), each.get("resource_id")
        if kind is None:
            raise refused("resource_type is not one that can be tagged")
        thing = call.cloud.get(kind, int(key) if kind == "droplets" else key)
        thing["tags"] = sorted({*thing["tags"], name}) if on else [tag for tag in thing["tags"] if tag != name]
    _changed(call.cloud)
    return 204, None


@route("POST", "/v2/tags/<name>/resources")
def tag_resources(call: Call, name: str) -> Answer:
    """Put a tag on things."""
    return _tag(call, name, on=True)


@route("DELETE", "/v2/tags/<name>/resources")
def untag_resources(call: Call, name: str) -> Answer:
    """Take a tag off things."""
    return _tag(call, name, on=False)
