"""Load balancers: HAProxy, in front of the droplets that are healthy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .. import containers, images
from ..aws.clock import later
from . import catalog, firewalls, names, tags, vpcs
from .routing import Answer, ApiError, Call, Cloud, new_id, now, refused, route

IMAGE = "berth/rehearsed-balancer"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_HEALTH = {
    "protocol": "http",
    "port": 80,
    "path": "/",
    "check_interval_seconds": 10,
    "response_timeout_seconds": 5,
    "healthy_threshold": 5,
    "unhealthy_threshold": 3,
}
_applied: dict[str, str] = {}


def image() -> None:
    """Have the load balancers' image, built where it is missing. Raises :class:`images.ImageError`."""
    images.build(IMAGE, Path(__file__).parent / "balancer")


def _check(cloud: Cloud, body: dict[str, Any]) -> dict[str, Any]:
    """A load balancer's settings as they are kept. Raises :class:`ApiError` for what the API refuses."""
    if not _NAME.fullmatch(str(body.get("name") or "")):
        raise refused("name is invalid")
    region = catalog.region(str(body.get("region") or ""))
    if region is None:
        raise refused("region is invalid")
    rules = body.get("forwarding_rules") or []
    if not rules:
        raise refused("forwarding_rules must have at least one rule")
    for rule in rules:
        if rule.get("entry_protocol") not in ("http", "https", "http2", "tcp", "udp") or not rule.get("entry_port"):
            raise refused("a forwarding rule needs entry_protocol and entry_port")
        if rule["entry_protocol"] not in ("http", "https", "tcp"):
            raise refused(f"{rule['entry_protocol']} is not rehearsed")
        if rule["entry_protocol"] == "https" and rule.get("certificate_id") not in cloud.all("certificates"):
            raise refused("certificate_id is invalid")
    if body.get("tag") and body.get("droplet_ids"):
        raise refused("tag and droplet_ids cannot be given together")
    if body.get("tag"):
        tags.check(cloud, [body["tag"]])
    vpc = body.get("vpc_uuid") or (vpcs.default_of(cloud, region["slug"]) or {}).get("id")
    if vpc not in cloud.all("vpcs"):
        raise refused("vpc_uuid is invalid")
    return {
        "name": body["name"],
        "region": region,
        "forwarding_rules": [{"certificate_id": "", "tls_passthrough": False, **rule} for rule in rules],
        "health_check": {**_HEALTH, **(body.get("health_check") or {})},
        "sticky_sessions": body.get("sticky_sessions") or {"type": "none"},
        "redirect_http_to_https": bool(body.get("redirect_http_to_https")),
        "enable_proxy_protocol": bool(body.get("enable_proxy_protocol")),
        "enable_backend_keepalive": bool(body.get("enable_backend_keepalive")),
        "http_idle_timeout_seconds": body.get("http_idle_timeout_seconds") or 60,
        "algorithm": "round_robin",
        "size": "lb-small",
        "size_unit": body.get("size_unit") or 1,
        "type": "REGIONAL",
        "network": "EXTERNAL",
        "vpc_uuid": vpc,
        "project_id": body.get("project_id") or "",
        "tag": body.get("tag") or "",
        "droplet_ids": [int(each) for each in body.get("droplet_ids") or []],
        "disable_lets_encrypt_dns_records": bool(body.get("disable_lets_encrypt_dns_records")),
    }


def _shown(cloud: Cloud, balancer: dict[str, Any]) -> dict[str, Any]:
    return {**balancer, "droplet_ids": [each["id"] for each in _droplets(cloud, balancer)]}


@route("GET", "/v2/load_balancers")
def list_balancers(call: Call) -> Answer:
    """Load balancers."""
    return call.page("load_balancers", [_shown(call.cloud, each) for each in call.cloud.all("load_balancers").values()])


@route("POST", "/v2/load_balancers")
def create(call: Call) -> Answer:
    """Make a load balancer."""
    kept, uid, cloud = _check(call.cloud, call.body), new_id(), call.cloud
    if any(each["name"] == kept["name"] for each in cloud.all("load_balancers").values()):
        raise ApiError(422, "unprocessable_entity", "name has already been taken")
    balancer = {"id": uid, "ip": "", "ipv6": "", "status": "new", "created_at": now(), "tags": [], **kept}
    cloud.all("load_balancers")[uid] = balancer
    machine = {"address": containers.free_address(), "private_address": vpcs.free_address(cloud, cloud.all("vpcs")[kept["vpc_uuid"]])}
    cloud.all("balancer_machines")[uid] = machine
    later(lambda: _start(cloud, balancer), failed=lambda _error: balancer.update({"status": "errored"}))
    return 202, {"load_balancer": _shown(cloud, balancer)}


def _start(cloud: Cloud, balancer: dict[str, Any]) -> None:
    machine = cloud.all("balancer_machines")[balancer["id"]]
    text = configuration(balancer, _targets(cloud, balancer))
    container = containers.create(
        f"balancer-{balancer['id'][:8]}",
        IMAGE,
        kind="load-balancer",
        owner=balancer["id"],
        address=machine["address"],
        files={"etc/haproxy/haproxy.cfg": (text.encode(), 0o644, 0), **names.files(cloud, balancer)},
    )
    containers.client().networks.get(vpcs.network_name(balancer["vpc_uuid"])).connect(container, ipv4_address=machine["private_address"])
    container.start()
    with cloud.lock:
        _applied[balancer["id"]] = text
        balancer.update({"status": "active", "ip": machine["address"]})
        firewalls.refresh(cloud)
        refresh(cloud)


@route("GET", "/v2/load_balancers/<uid>")
def show(call: Call, uid: str) -> Answer:
    """A load balancer."""
    return 200, {"load_balancer": _shown(call.cloud, call.cloud.get("load_balancers", uid))}


@route("PUT", "/v2/load_balancers/<uid>")
def update(call: Call, uid: str) -> Answer:
    """Replace a load balancer's settings."""
    balancer = call.cloud.get("load_balancers", uid)
    balancer.update(_check(call.cloud, call.body))
    refresh(call.cloud)
    return 200, {"load_balancer": _shown(call.cloud, balancer)}


@route("DELETE", "/v2/load_balancers/<uid>")
def delete(call: Call, uid: str) -> Answer:
    """Take a load balancer away."""
    call.cloud.get("load_balancers", uid)
    containers.remove(containers.full_name(f"balancer-{uid[:8]}"))
    del call.cloud.all("load_balancers")[uid]
    call.cloud.all("balancer_machines").pop(uid, None)
    return 204, None


def _droplets(cloud: Cloud, balancer: dict[str, Any]) -> list[dict[str, Any]]:
    found = cloud.all("droplets").values()
    if balancer["tag"]:
        return [each for each in found if balancer["tag"] in each["tags"]]
    return [each for each in found if each["id"] in balancer["droplet_ids"]]


def _targets(cloud: Cloud, balancer: dict[str, Any]) -> dict[int, str]:
    """Droplet to its address in the VPC, by which it is reached."""
    return {
        each["id"]: next(str(net["ip_address"]) for net in each["networks"]["v4"] if net["type"] == "private")
        for each in _droplets(cloud, balancer)
    }


def refresh(cloud: Cloud) -> None:
    """Let every load balancer serve the droplets that there are now, without losing a request."""
    for uid, balancer in cloud.all("load_balancers").items():
        if balancer["status"] != "active":
            continue
        text = configuration(balancer, _targets(cloud, balancer))
        if _applied.get(uid) != text:
            container = containers.client().containers.get(containers.full_name(f"balancer-{uid[:8]}"))
            containers.put(container, {"etc/haproxy/haproxy.cfg": (text.encode(), 0o644, 0), **names.files(cloud, balancer)})
            container.kill("SIGUSR2")
            _applied[uid] = text


def configuration(balancer: dict[str, Any], targets: dict[int, str]) -> str:
    """HAProxy's configuration of a load balancer. ``targets``: droplet to address."""
    check, idle = balancer["health_check"], balancer["http_idle_timeout_seconds"]
    # What was not answered as it should be is in the container's log, with who ended it.
    lines = ["global", "  maxconn 4000", "  hard-stop-after 60s", "  log stdout format raw local0", "defaults", "  timeout connect 5s"]
    lines += ["  log global", "  option httplog", "  option dontlog-normal"]
    lines += [f"  timeout client {idle}s", f"  timeout server {idle}s", "  option redispatch", "  retries 3"]
    for rule in balancer["forwarding_rules"]:
        name = f"{rule['entry_protocol']}-{rule['entry_port']}"
        secured, mode = rule["entry_protocol"] == "https", "tcp" if rule["entry_protocol"] == "tcp" else "http"
        more = f" ssl crt /etc/haproxy/certificates/{rule['certificate_id']}.pem" if secured else ""
        lines += [f"frontend {name}", f"  bind :{rule['entry_port']}{more}", f"  mode {mode}", f"  default_backend to-{name}"]
        if mode == "http":
            lines += ["  option forwardfor", f"  http-request set-header X-Forwarded-Proto {rule['entry_protocol']}"]
        if rule["entry_protocol"] == "http" and balancer["redirect_http_to_https"]:
            lines.append("  http-request redirect scheme https code 307")
        lines += [f"backend to-{name}", f"  mode {mode}", "  balance roundrobin"]
        if check["protocol"] == "http":
            lines += [f"  option httpchk GET {check['path']}", "  http-check expect status 200-399"]
        more = " send-proxy" if balancer["enable_proxy_protocol"] else ""
        lines += [
            f"  server droplet-{number} {address}:{rule['target_port']}{more} check port {check['port']} "
            f"inter {check['check_interval_seconds']}s rise {check['healthy_threshold']} fall {check['unhealthy_threshold']}"
            for number, address in sorted(targets.items())
        ]
    return "\n".join([*lines, ""])
