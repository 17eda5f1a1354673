# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Generated credentials: a password, what is kept beside it, and the forms in which stores and apps want it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Mapping
from typing import Any

from .references import percent_encoded

# Letters and digits alone: every store's alphabet holds them, no shell, URL or configuration file trips over them, and 32 of them
# are 190 bits. RDS refuses / " @ and space, ElastiCache all special characters but ! & # $ ^ < > -.
ALPHABET = string.ascii_letters + string.digits
_ITERATIONS = 4096  # as PostgreSQL's own scram_iterations


def generate(length: int) -> str:
    """A password from the operating system's random source."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """What PostgreSQL keeps instead of a password, for ``CREATE ROLE … PASSWORD``: so no statement, and no log, ever holds it.

    Source: RFC 5802 and https://www.postgresql.org/docs/current/catalog-pg-authid.html. Letters and digits need no SASLprep.
    """
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{parts[0]}${parts[1]}:{parts[2]}"


def url_of(url: Mapping[str, Any], username: str | None, password: str) -> str:
    """A connection URL. ``url``: scheme, host, port, database (or None) and query (or None)."""
    user = percent_encoded(username) if username else ""
    path = f"/{percent_encoded(str(url['database']))}" if url.get("database") not in (None, "") else ""
    query = f"?{url['query']}" if url.get("query") else ""
    return f"{url['scheme']}://{user}:{percent_encoded(password)}@{url['host']}:{url['port']}{path}{query}"


def desired(
    current: Mapping[str, str] | None, fields: Mapping[str, Any], length: int, url: Mapping[str, Any] | None, verifier: bool
) -> dict[str, str]:
    """The content of a secret: the password it has, or a new one, and beside it what is asked for.

    What others put there stays. The verifier is made once for a password, since its salt is random.
    """
    result = dict(current or {})
    password = result.get("password")
    if not password:
        password = generate(length)
        result.pop("scram_verifier", None)
    result["password"] = password
    result.update({key: str(value) for key, value in fields.items() if value not in (None, "")})
    if verifier and not result.get("scram_verifier"):
        result["scram_verifier"] = scram_verifier(password)
    if url:
        result["url"] = url_of(url, result.get("username"), password)
        for name, other in (url.get("variants") or {}).items():
            result[name] = url_of({**url, **other}, result.get("username"), password)
    return result


def changed_keys(current: Mapping[str, str] | None, wanted: Mapping[str, str]) -> list[str]:
    """The names of what differs, never the values."""
    return sorted(key for key in {*(current or {}), *wanted} if (current or {}).get(key) != wanted.get(key))
