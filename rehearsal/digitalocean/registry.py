"""The container registry of the account, and a mirror of Docker Hub from which droplets pull what the rehearsal has."""

from __future__ import annotations

import base64
import functools
import http.client
import subprocess
from collections.abc import Iterable
from typing import Any

import docker.errors

from .. import containers, images
from .routing import Answer, ApiError, Call, not_found, now, refused, route

USER, PASSWORD = "rehearsal@example.com", "dop_v1_" + "0c8e11" * 10 + "7a21"
# The same in bcrypt, as a registry asks for it.
_HTPASSWD = f"{USER}:$2b$04$5RJTSU8CKMl4Hcn9VaDIYOj86sccfIziaUQLfKgtgJVhFjFfWYc6W\n"
_IMAGE = "registry:2"
_PORT = "5000/tcp"
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "docker.distribution.manifest.v2+json",
        "docker.distribution.manifest.list.v2+json",
        "oci.image.manifest.v1+json",
        "oci.image.index.v1+json",
    )
)


def start() -> None:
    """Have both registries, started where they do not run."""
    images.ensure([_IMAGE], say=lambda _text: None)
    for name in ("mirror", "registry"):
        if containers.find(f"do-{name}"):
            continue
        settings: dict[str, Any] = {"ports": {_PORT: ("127.0.0.1", None)}, "restart_policy": {"Name": "unless-stopped"}}
        if name == "registry":
            settings["files"] = {"etc/rehearsal/htpasswd": (_HTPASSWD.encode(), 0o644, 0)}
            settings["environment"] = {
                "REGISTRY_AUTH": "htpasswd",
                "REGISTRY_AUTH_HTPASSWD_REALM": "DigitalOcean",
                "REGISTRY_AUTH_HTPASSWD_PATH": "/etc/rehearsal/htpasswd",
            }
        volume = containers.volume(f"do-{name}", name)
        settings["volumes"] = {volume: {"bind": "/var/lib/registry", "mode": "rw"}}
        address = containers.free_address()
        containers.create(f"do-{name}", _IMAGE, kind=f"do-{name}", owner=name, address=address, **settings).start()
    for name in ("mirror", "registry"):
        containers.wait_until(functools.partial(_answers, name), 30, f"the {name} does not answer")


def _answers(name: str) -> bool:
    return _ask(_port(name), "/v2/")[0] in (200, 401)


def _port(name: str) -> int:
    """The port of this machine's loopback address at which a registry answers; droplets have it at the same port of theirs."""
    found = containers.find(f"do-{name}")
    if not found:
        raise containers.ContainerError(f"the {name} does not run")
    return int(found[0].attrs["NetworkSettings"]["Ports"][_PORT][0]["HostPort"])


def forwards() -> dict[str, tuple[int, str]]:
    """Each registry's port on loopback, and its address on the rehearsal's network."""
    return {
        name: (_port(name), containers.find(f"do-{name}")[0].attrs["NetworkSettings"]["Networks"][containers.NETWORK]["IPAddress"])
        for name in ("mirror", "registry")
    }


def server() -> str:
    """The account's registry, as images are named: engines take it without TLS, since it is on their loopback address."""
    return f"127.0.0.1:{_port('registry')}"


def _ask(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("HEAD", path, headers={"Accept": _MANIFESTS})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("docker-content-digest") or ""
    finally:
        connection.close()


def offer(names: Iterable[str]) -> None:
    """Let droplets pull images of this machine's engine under their names on Docker Hub. What the mirror has already stays."""
    port, client = _port("mirror"), containers.client()
    for image in dict.fromkeys(names):
        repository, _colon, tag = image.removeprefix("docker.io/").partition(":")
        repository = repository if "/" in repository else f"library/{repository}"
        if _ask(port, f"/v2/{repository}/manifests/{tag or 'latest'}")[0] == 200:
            continue
        there = f"127.0.0.1:{port}/{repository}:{tag or 'latest'}"
        try:
            client.images.get(image).tag(there)
        except docker.errors.ImageNotFound:
            raise containers.ContainerError(f"{image} is not on this machine") from None
        done = subprocess.run(["docker", "push", "--quiet", there], capture_output=True, text=True, check=False)
        client.images.remove(there)
        if done.returncode != 0:
            raise containers.ContainerError(f"{image}: the mirror does not take it: {done.stderr.strip()}")


@route("GET", "/v2/registry")
def show(call: Call) -> Answer:
    """The account's registry."""
    found = call.cloud.all("registry").get("own")
    if found is None:
        raise not_found()
    return 200, {"registry": found}


@route("POST", "/v2/registry")
def create(call: Call) -> Answer:
    """Make the account's registry. Its name is the first part of its images' names."""
    name = call.need("name")
    if call.cloud.all("registry"):
        raise ApiError(409, "conflict", "registry already exists")
    if call.need("subscription_tier_slug") not in ("starter", "basic", "professional"):
        raise refused("subscription_tier_slug is invalid")
    found = {"name": name, "created_at": now(), "region": call.body.get("region") or "nyc3", "storage_usage_bytes": 0, "read_only": False}
    call.cloud.all("registry")["own"] = found
    return 201, {"registry": found}


@route("DELETE", "/v2/registry")
def delete(call: Call) -> Answer:
    """Take the account's registry away."""
    if not call.cloud.all("registry"):
        raise not_found()
    call.cloud.all("registry").clear()
    return 204, None


@route("GET", "/v2/registry/docker-credentials")
def credentials(call: Call) -> Answer:
    """What Docker's client needs to sign in: a document for its config.json."""
    if not call.cloud.all("registry"):
        raise not_found()
    word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return 200, {"auths": {server(): {"auth": word}}}
