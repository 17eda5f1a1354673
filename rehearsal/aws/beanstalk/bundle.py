"""Source bundles: fetched from S3, unpacked as an instance does, and the task that their Dockerrun.aws.json describes."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import Any

import botocore.exceptions

from ... import state
from .. import boto


class BundleError(Exception):
    """A bundle that cannot be deployed. The message is what the environment's events say."""


def exists(region: str, bucket: str, key: str) -> bool:
    """Whether S3 holds the object."""
    try:
        boto.client("s3", region).head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError:
        return False
    return True


def unpack(region: str, bucket: str, key: str, *where: str) -> Path:
    """Fetch a bundle into a fresh folder. A single Dockerrun.aws.json is a bundle too. Raises :class:`BundleError`."""
    folder = state.folder("bundles", *where)
    shutil.rmtree(folder)
    folder.mkdir(parents=True)
    try:
        body = boto.client("s3", region).get_object(Bucket=bucket, Key=key)["Body"].read()
    except botocore.exceptions.ClientError as error:
        raise BundleError(f"Unable to download from S3 location (Bucket: {bucket} Key: {key}). Reason: {error}") from None
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile:
        (folder / "Dockerrun.aws.json").write_bytes(body)
    return folder


def task_of(folder: Path) -> dict[str, Any]:
    """The task that a bundle describes, as a document of version 2. Raises :class:`BundleError`."""
    path = folder / "Dockerrun.aws.json"
    if not path.is_file():
        raise BundleError("Instance deployment failed: the source bundle has no Dockerrun.aws.json")
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(document["AWSEBDockerrunVersion"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"Instance deployment failed: Dockerrun.aws.json is no valid JSON with AWSEBDockerrunVersion: {error}") from None
    if version == 2:
        return document
    if version == 1 and document.get("Image"):
        return _from_version_1(document)
    raise BundleError(f"Instance deployment failed: a Dockerrun.aws.json of version {version} without an image is not rehearsed")


def _from_version_1(document: dict[str, Any]) -> dict[str, Any]:
    ports = document.get("Ports") or []
    volumes = document.get("Volumes") or []
    definition: dict[str, Any] = {
        "name": "current",
        "image": document["Image"]["Name"],
        # The platform's own nginx listens on port 80 and passes on to the first port.
        "portMappings": [{"hostPort": 80, "containerPort": int(port["ContainerPort"])} for port in ports[:1]],
        "mountPoints": [
            {"sourceVolume": f"v{index}", "containerPath": volume["ContainerDirectory"]} for index, volume in enumerate(volumes)
        ],
    }
    if document.get("Command"):
        definition["command"] = shlex.split(document["Command"])
    if document.get("Entrypoint"):
        definition["entryPoint"] = shlex.split(document["Entrypoint"])
    declared = [{"name": f"v{index}", "host": {"sourcePath": volume["HostDirectory"]}} for index, volume in enumerate(volumes)]
    return {"AWSEBDockerrunVersion": 2, "volumes": declared, "containerDefinitions": [definition]}
