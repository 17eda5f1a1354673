"""The rehearsal as its own client: what AWS's services ask of one another."""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import boto3
import botocore.config
import botocore.exceptions

# Long and unlike any other text: Ansible masks every secret that it knows wherever it stands.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSREHEARSAL7EXA",
    "AWS_SECRET_ACCESS_KEY": "rehearsed/bPxRfiCYEXAMPLEKEYonThisMachine",
}
REGION = "us-east-1"
# How the rehearsal's own requests are told from its users'.
USER_AGENT = "berth-rehearsal-itself"


class SecretError(Exception):
    """A secret that a task cannot be given. The message is what ECS would say."""


@cache
def client(service: str, region: str = REGION) -> Any:
    """A client of this very server."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=os.environ["BERTH_REHEARSAL_ENDPOINT"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=botocore.config.Config(user_agent_extra=USER_AGENT),
    )


def secret(reference: str) -> str:
    """The value behind ``arn:…:secret:name[:json-key:version-stage:version-id]`` or the ARN of a parameter.

    Raises :class:`SecretError` where it cannot be had.
    """
    parts = reference.split(":")
    try:
        if parts[2] == "ssm":
            found = client("ssm", parts[3]).get_parameter(Name=reference.partition(":parameter")[2], WithDecryption=True)
            return str(found["Parameter"]["Value"])
        arn, extra = ":".join(parts[:7]), [*parts[7:], "", "", ""]
        wanted = {"SecretId": arn, **({"VersionStage": extra[1]} if extra[1] else {}), **({"VersionId": extra[2]} if extra[2] else {})}
        text = str(client("secretsmanager", parts[3]).get_secret_value(**wanted)["SecretString"])
    except (botocore.exceptions.ClientError, IndexError) as error:
        raise SecretError(f"ResourceInitializationError: unable to pull secrets: {reference}: {error}") from None
    if not extra[0]:
        return text
    try:
        return str(json.loads(text)[extra[0]])
    except (ValueError, KeyError):
        raise SecretError(f"ResourceInitializationError: unable to pull secrets: {arn} has no key {extra[0]}") from None
