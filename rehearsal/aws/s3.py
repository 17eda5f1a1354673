"""S3 is moto's, but for one thing: it takes no notice of a bucket policy's conditions."""

from __future__ import annotations

import json
from typing import Any

from moto.s3.models import FakeBucket


def install() -> None:
    """Let a policy that refuses plain text let the rehearsal's clients pass, which reach it on the loopback address without TLS."""
    original = FakeBucket.get_permission

    def get_permission(self: Any, action: str, resource: str) -> Any:
        kept = self.policy
        try:
            if kept:
                document = json.loads(kept)
                document["Statement"] = [each for each in document["Statement"] if not _asks_for_tls(each)]
                self.policy = json.dumps(document).encode() if document["Statement"] else None
            return original(self, action, resource)
        finally:
            self.policy = kept

    FakeBucket.get_permission = get_permission  # type: ignore[method-assign]


def _asks_for_tls(statement: dict[str, Any]) -> bool:
    condition = statement.get("Condition") or {}
    return str((condition.get("Bool") or {}).get("aws:SecureTransport", "")).lower() == "false"
