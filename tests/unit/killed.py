"""A program whose machine stops after so many steps of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


class Killed(BaseException):
    """As far as the program knows, the machine has stopped."""


class Steps:
    """Lets each rename, and each call of :meth:`step`, be one; after those that are ``left`` comes :class:`Killed`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        original = Path.rename

        def rename(path: Path, target: Any) -> Path:
            self.step()
            return original(path, target)

        monkeypatch.setattr(Path, "rename", rename)

    def step(self, *_words: Any, **_more: Any) -> tuple[int, str, str]:
        """One step of a program that asks for nothing but success."""
        self.left -= 1
        if self.left < 0:
            raise Killed
        return 0, "", ""

    def on(self) -> None:
        """The machine runs again."""
        self.left = 100
