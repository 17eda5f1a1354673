"""ECR's API: moto's, with a registry behind it that can be pushed to and pulled from."""

from __future__ import annotations

import http.client
import json
import threading
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from .. import containers, images
from .beanstalk.instances import now
from .unrehearsed import NotRehearsed

_IMAGE = "registry:2"
_MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "docker.distribution.manifest.v2+json",
        "docker.distribution.manifest.list.v2+json",
        "oci.image.manifest.v1+json",
        "oci.image.index.v1+json",
    )
)
_lock = threading.Lock()


class NoImage(ServiceException):
    """ImageNotFoundException."""

    code = "ImageNotFoundException"


def registry() -> str:
    """The registry's address, ``127.0.0.1:port``, which engines take without TLS. Started where it does not run."""
    with _lock:
        found = containers.find("ecr")
        if found and found[0].status != "running":
            containers.remove(found[0].name)
            found = []
        if not found:
            images.ensure([_IMAGE], say=lambda _text: None)
            volume = containers.volume("registry", "ecr")
            container = containers.create(
                "registry",
                _IMAGE,
                kind="ecr",
                owner="ecr",
                ports={"5000/tcp": ("127.0.0.1", None)},
                volumes={volume: {"bind": "/var/lib/registry", "mode": "rw"}},
            )
            container.start()
            container.reload()
            found = [container]
        port = found[0].attrs["NetworkSettings"]["Ports"]["5000/tcp"][0]["HostPort"]
        address = f"127.0.0.1:{port}"
        containers.wait_until(lambda: _ask(address, "GET", "/v2/")[0] == 200, 30, "the registry does not answer")
        return address


def _ask(address: str, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": _MANIFESTS})
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _digest(address: str, name: str, reference: str) -> str | None:
    status, headers, _body = _ask(address, "HEAD", f"/v2/{name}/manifests/{reference}")
    return headers.get("docker-content-digest") if status == 200 else None


class RehearsedEcr(ECRResponse):
    """Dispatches a request to the method of its operation."""

    def create_repository(self) -> ActionResult:
        answer = super().create_repository()
        for repository in self.ecr_backend.describe_repositories(repository_names=[self._get_param("repositoryName")]):
            found = self.ecr_backend.repositories[_field(repository, "name", "repositoryName")]
            found.uri = f"{registry()}/{found.name}"
        return answer

    def get_authorization_token(self) -> ActionResult:
        answer = super().get_authorization_token()
        found: Any = answer.result
        for entry in found["authorizationData"]:
            entry["proxyEndpoint"] = f"http://{registry()}"
            entry["expiresAt"] = now()
        return answer

    def _tagged(self, name: str, address: str) -> list[dict[str, str]]:
        """Every tag in a repository, as the API names images."""
        self.ecr_backend.describe_repositories(repository_names=[name])
        status, _headers, body = _ask(address, "GET", f"/v2/{name}/tags/list")
        return [{"imageTag": tag} for tag in (json.loads(body).get("tags") or [] if status == 200 else [])]

    def list_images(self) -> ActionResult:
        name, address = self._get_param("repositoryName"), registry()
        tags = self._tagged(name, address)
        return ActionResult({"imageIds": [{**each, "imageDigest": _digest(address, name, each["imageTag"])} for each in tags]})

    def batch_get_image(self) -> ActionResult:
        raise NotRehearsed("BatchGetImage of ecr is not rehearsed; the registry itself can be asked")

    def batch_delete_image(self) -> ActionResult:
        raise NotRehearsed("BatchDeleteImage of ecr is not rehearsed; images go with their repository")

    def describe_images(self) -> ActionResult:
        name, address = self._get_param("repositoryName"), registry()
        wanted = self._get_param("imageIds") or self._tagged(name, address)
        self.ecr_backend.describe_repositories(repository_names=[name])
        details: dict[str, dict[str, Any]] = {}
        for each in wanted:
            reference = each.get("imageDigest") or each["imageTag"]
            digest = _digest(address, name, reference)
            if digest is None:
                raise NoImage(f"The image with imageId {each} does not exist within the repository with name '{name}'")
            entry = details.setdefault(
                digest,
                {
                    "registryId": self.current_account,
                    "repositoryName": name,
                    "imageDigest": digest,
                    "imageTags": [],
                    "imagePushedAt": now(),
                },
            )
            if each.get("imageTag"):
                entry["imageTags"].append(each["imageTag"])
        return ActionResult({"imageDetails": list(details.values())})


def _field(thing: Any, *names: str) -> Any:
    for name in names:
        if isinstance(thing, dict) and name in thing:
            return thing[name]
        if hasattr(thing, name):
            return getattr(thing, name)
    raise KeyError(names)
