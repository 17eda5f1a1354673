"""Domains whose DNS the account manages, and certificates: the user's own, or Let's Encrypt's for those domains."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .. import certificates
from ..aws.clock import later
from .routing import Answer, ApiError, Call, Cloud, new_id, now, refused, route

_LETS_ENCRYPT_DAYS = 90


@route("GET", "/v2/domains")
def list_domains(call: Call) -> Answer:
    """Domains."""
    return call.page("domains", call.cloud.all("domains").values())


@route("POST", "/v2/domains")
def create_domain(call: Call) -> Answer:
    """Have a domain's DNS managed."""
    name = call.need("name")
    if name in call.cloud.all("domains"):
        raise refused("domain name already exists")
    domain = call.cloud.all("domains")[name] = {"name": name, "ttl": 1800, "zone_file": f"$ORIGIN {name}.\n"}
    return 201, {"domain": domain}


@route("DELETE", "/v2/domains/<name>")
def delete_domain(call: Call, name: str) -> Answer:
    """Have it managed no more."""
    call.cloud.get("domains", name)
    del call.cloud.all("domains")[name]
    call.cloud.all("records").pop(name, None)
    return 204, None


_ALONE = ("A", "AAAA", "CNAME")


def _records(cloud: Cloud, name: str) -> dict[str, Any]:
    """A domain's records, by id."""
    cloud.get("domains", name)
    found: dict[str, Any] = cloud.all("records").setdefault(name, {})
    return found


def _taken(call: Call, kept: Mapping[str, Any], own: str) -> dict[str, Any]:
    """A record as it is asked for. Raises :class:`ApiError`, 422."""
    body: dict[str, Any] = {key: call.body[key] for key in ("type", "name", "data", "ttl") if key in call.body}
    others = [each for uid, each in kept.items() if uid != own and each["name"] == body.get("name") and each["type"] in _ALONE]
    if body.get("type") == "CNAME" and body.get("name") == "@":
        raise refused("CNAME records cannot be created for the root of a domain")
    if others and "CNAME" in (body.get("type"), *(each["type"] for each in others)):
        raise refused("CNAME records cannot share a name with other records")
    if body.get("type") == "CNAME" and not str(body.get("data")).endswith("."):
        raise refused("Data needs to end with a dot (.)")
    return body


@route("GET", "/v2/domains/<name>/records")
def list_records(call: Call, name: str) -> Answer:
    """Records of a domain, of one name where that is given, which is then the whole one."""
    found = list(_records(call.cloud, name).values())
    if wanted := call.query.get("name"):
        found = [each for each in found if (name if each["name"] == "@" else f"{each['name']}.{name}") == wanted]
    return call.page("domain_records", [each for each in found if each["type"] == call.query.get("type", each["type"])])


@route("POST", "/v2/domains/<name>/records")
def create_record(call: Call, name: str) -> Answer:
    """Have one more record."""
    kept = _records(call.cloud, name)
    for field in ("type", "name", "data"):
        call.need(field)
    uid = str(max((int(each) for records in call.cloud.all("records").values() for each in records), default=3352891) + 1)
    kept[uid] = {"id": int(uid), "ttl": 1800, "priority": None, "port": None, "weight": None, **_taken(call, kept, "")}
    return 201, {"domain_record": kept[uid]}


@route("PUT", "/v2/domains/<name>/records/<uid>")
def update_record(call: Call, name: str, uid: str) -> Answer:
    """Change a record, also its type."""
    kept = _records(call.cloud, name)
    if uid not in kept:
        raise ApiError(404, "not_found", "The resource you were accessing could not be found.")
    kept[uid] = {**kept[uid], **_taken(call, kept, uid)}
    return 200, {"domain_record": kept[uid]}


@route("DELETE", "/v2/domains/<name>/records/<uid>")
def delete_record(call: Call, name: str, uid: str) -> Answer:
    """Have it no more."""
    if _records(call.cloud, name).pop(uid, None) is None:
        raise ApiError(404, "not_found", "The resource you were accessing could not be found.")
    return 204, None


@route("GET", "/v2/certificates")
def list_certificates(call: Call) -> Answer:
    """Certificates."""
    return call.page("certificates", call.cloud.all("certificates").values())


@route("GET", "/v2/certificates/<uid>")
def show_certificate(call: Call, uid: str) -> Answer:
    """A certificate."""
    return 200, {"certificate": call.cloud.get("certificates", uid)}


@route("POST", "/v2/certificates")
def create_certificate(call: Call) -> Answer:
    """Take the user's own certificate, or have one of Let's Encrypt's for domains that the account manages."""
    cloud, name, kind = call.cloud, call.need("name"), str(call.body.get("type") or "custom")
    if any(each["name"] == name for each in cloud.all("certificates").values()):
        raise refused("certificate name must be unique")
    uid = new_id()
    if kind == "lets_encrypt":
        names = [str(each) for each in call.need("dns_names", list)]
        for each in names:
            if not any(each == zone or each.endswith(f".{zone}") for zone in cloud.all("domains")):
                raise refused(f"{each}: domain is not managed by DigitalOcean")
        chain, key = certificates.issue(names[0], names[1:], named=True)
        pem = chain + key
    else:
        names, pem = (
            [],
            "\n".join((call.need("leaf_certificate"), str(call.body.get("certificate_chain") or ""), call.need("private_key"))).encode(),
        )
    cloud.all("certificate_files")[uid] = {"pem": pem}
    kept = cloud.all("certificates")[uid] = {
        "id": uid,
        "name": name,
        "not_after": (datetime.now(UTC) + timedelta(days=_LETS_ENCRYPT_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sha1_fingerprint": hashlib.sha1(pem, usedforsecurity=False).hexdigest(),
        "created_at": now(),
        "dns_names": names,
        "state": "pending" if kind == "lets_encrypt" else "verified",
        "type": kind,
    }
    if kind == "lets_encrypt":
        later(lambda: kept.update({"state": "verified"}))
    return 201, {"certificate": dict(kept)}


@route("DELETE", "/v2/certificates/<uid>")
def delete_certificate(call: Call, uid: str) -> Answer:
    """Take a certificate away, which nothing may use."""
    call.cloud.get("certificates", uid)
    rules = [rule for each in call.cloud.all("load_balancers").values() for rule in each["forwarding_rules"]]
    if any(rule["certificate_id"] == uid for rule in rules):
        raise refused("certificate is in use by a load balancer")
    del call.cloud.all("certificates")[uid]
    call.cloud.all("certificate_files").pop(uid, None)
    return 204, None


def files(cloud: Cloud, balancer: dict[str, Any]) -> dict[str, tuple[bytes, int, int]]:
    """The certificates of a load balancer's rules, as files of its machine."""
    uids = {rule["certificate_id"] for rule in balancer["forwarding_rules"] if rule["certificate_id"]}
    return {f"etc/haproxy/certificates/{uid}.pem": (cloud.all("certificate_files")[uid]["pem"], 0o600, 0) for uid in uids}
