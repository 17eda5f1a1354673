# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts with a password in them, such as a .NET connection string, that no file may hold: a secret of the app's own holds them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .connections import Connection


class Composed:
    """Who composes them. ``texts``: key in the secret to ``{text, passwords}``, where ``passwords`` is what stands in ``text`` for a password to the
    reference to that.
    """

    def __init__(self, secret: str) -> None:
        """``secret``: the ARN of the secret."""
        self.secret = secret
        self.texts: dict[str, dict[str, Any]] = {}
        self._passwords: dict[str, str] = {}

    def standing_in(self, connection: Connection) -> Connection:
        """A connection with something in its password's place, of letters and digits as passwords that are generated are; as it is where it refers to none."""
        if not connection.password_ref:
            return connection
        mark = "StandsForAPassword" + hashlib.sha256(connection.password_ref.encode()).hexdigest()[:24]
        self._passwords[mark] = connection.password_ref
        return connection._replace(password=mark, password_ref=None, url_ref=None, url_refs={})

    def reference(self, variable: str, text: str) -> str:
        """The reference to a text, where a password stands in it; else the empty string. The same text has the same one whoever asks."""
        passwords = {mark: ref for mark, ref in self._passwords.items() if mark in text}
        if not passwords:
            return ""
        key = f"{re.sub(r'[^A-Za-z0-9_]', '_', variable)}_{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        self.texts[key] = {"text": text, "passwords": passwords}
        return f"{self.secret}:{key}::"

    def referred_to(self, references: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The texts that are among the references in the end."""
        keys = {each.removeprefix(f"{self.secret}:").removesuffix("::") for each in references}
        return {key: entry for key, entry in self.texts.items() if key in keys}


def with_passwords(texts: Mapping[str, Mapping[str, Any]], passwords: Mapping[str, str]) -> dict[str, str]:
    """The texts by their keys, with the passwords in them. ``texts``: as :class:`Composed` has them; ``passwords``: reference to password."""
    found = {}
    for key, entry in texts.items():
        text = str(entry["text"])
        for mark, reference in entry["passwords"].items():
            text = text.replace(mark, passwords[reference])
        found[key] = text
    return found


def kept(current: Mapping[str, str], wanted: Mapping[str, str], most_bytes: int = 60_000) -> dict[str, str]:
    """What a secret holds then: what is wanted, last, and of the others, which earlier releases refer to, the youngest that there is room for.

    ``most_bytes``: Secrets Manager takes 65,536: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
    """
    result = {key: text for key, text in current.items() if key not in wanted}
    room = most_bytes - sum(len(key.encode()) + len(text.encode()) + 8 for key, text in wanted.items())
    for key in list(result):
        if sum(len(each.encode()) + len(text.encode()) + 8 for each, text in result.items()) <= room:
            break
        del result[key]
    return {**result, **wanted}
