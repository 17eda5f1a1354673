# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A JSON object in AWS Secrets Manager, for modules whose parameters name it (``name``, ``description``, ``kms_key_id``, ``recovery_days``, ``tags``)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from .aws import AWS_ERRORS, absent_as_none, fail_aws, made, tag_difference, tag_list

_MISSING = ("ResourceNotFoundException",)


def describe(module: Any, client: Any) -> dict[str, Any] | None:
    """The secret's description, or None."""
    name = module.params["name"]
    found: dict[str, Any] | None = absent_as_none(
        module, _MISSING, lambda: client.describe_secret(aws_retry=True, SecretId=name), f"Looking up secret {name}"
    )
    return found


def content(
    module: Any, client: Any, there: Mapping[str, Any] | None, confidential: Collection[str] | None = None
) -> dict[str, str] | None:
    """What the secret holds, or None where it holds nothing yet. ``confidential``: the keys whose values are never shown; by default all."""
    if there is None:
        return None
    name = module.params["name"]
    found = absent_as_none(
        module, _MISSING, lambda: client.get_secret_value(aws_retry=True, SecretId=name), f"Reading secret {name} (for its other fields)"
    )
    if found is None:
        return None
    try:
        value = json.loads(found["SecretString"])
    except (KeyError, ValueError):
        value = None
    if not isinstance(value, dict):
        module.fail_json(msg=f"Secret {name} is not a JSON object; it was not made by this module, and is left alone. Choose another name")
    module.no_log_values.update(str(each) for key, each in value.items() if confidential is None or key in confidential)
    return {str(key): str(each) for key, each in value.items()}


def apply(
    module: Any, client: Any, there: Mapping[str, Any] | None, wanted: Mapping[str, str], *, changed: bool, ordered: bool = False
) -> dict[str, Any]:
    """Make or change the secret. Returns what it is then. ``changed``: its content is another; ``ordered``: its keys stay in their order."""
    params, text = module.params, json.dumps(wanted, sort_keys=not ordered)
    try:
        if there is None:
            more = {"KmsKeyId": params["kms_key_id"]} if params.get("kms_key_id") else {}
            made(
                client.create_secret,
                aws_retry=True,
                Name=params["name"],
                Description=params["description"],
                SecretString=text,
                Tags=tag_list(params["tags"]),
                **more,
            )
        else:
            if there.get("DeletedDate"):
                client.restore_secret(aws_retry=True, SecretId=params["name"])
            if changed:
                client.put_secret_value(aws_retry=True, SecretId=params["name"], SecretString=text)
            tags = tag_difference({each["Key"]: each["Value"] for each in there.get("Tags", [])}, params["tags"])
            if tags:
                client.tag_resource(aws_retry=True, SecretId=params["name"], Tags=tag_list(tags))
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Writing secret {params['name']}")
    return describe(module, client) or {}


def remove(module: Any, client: Any, there: Mapping[str, Any] | None) -> bool:
    """Delete the secret, unless it is only looked at. Whether it was there."""
    days = module.params["recovery_days"]
    gone = there is None or bool(there.get("DeletedDate") and days)
    if not gone and not module.check_mode:
        how = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
        try:
            client.delete_secret(aws_retry=True, SecretId=module.params["name"], **how)
        except AWS_ERRORS as error:
            fail_aws(module, error, f"Deleting secret {module.params['name']}")
    return not gone


def field(client: Any, reference: str) -> str:
    """The value that a reference of ECS's leads to, ``arn:aws:secretsmanager:region:account:secret:name:key:stage:version``, of which the last two may be empty.

    Raises KeyError or ValueError where the secret has no such key, and what the client raises.
    """
    parts = reference.split(":")
    more = {name: value for name, value in zip(("VersionStage", "VersionId"), parts[8:], strict=False) if value}
    text = client.get_secret_value(aws_retry=True, SecretId=":".join(parts[:7]), **more)["SecretString"]
    return str(json.loads(text)[parts[7]])
