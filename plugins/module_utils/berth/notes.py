# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a rendering has to tell its user: what was left out, what was changed, and what to look at."""

from __future__ import annotations


class Notes:
    """Collects remarks while a project is rendered.

    ``dropped``: {service, setting, reason} each, ``setting`` None where the whole service is left out; ``uncarried``: the messages
    of those that are a loss (an error under ``strict``); ``advice``: messages of the rest; ``defaulted``: services that were given
    the default memory; ``bundled``: paths of the project that are mounted from the source bundle; ``kept``: folders of an
    instance that named volumes are kept in; ``texts``: files of the source bundle that are none of the project, name to content.
    """

    def __init__(self) -> None:
        self.dropped: list[dict[str, str | None]] = []
        self.uncarried: list[str] = []
        self.advice: list[str] = []
        self.defaulted: list[str] = []
        self.bundled: list[str] = []
        self.kept: list[str] = []
        self.texts: dict[str, str] = {}

    def leave_out(self, service: str, reason: str) -> None:
        """A whole service is left out, as asked or as intended."""
        self.dropped.append({"service": service, "setting": None, "reason": reason})

    def lose(self, service: str, setting: str | None, reason: str) -> None:
        """A setting, or a whole service, cannot be carried."""
        self.dropped.append({"service": service, "setting": setting, "reason": reason})
        self.uncarried.append(f"{service}: {setting} is not carried: {reason}" if setting else f"{service} is left out: {reason}")

    def advise(self, message: str) -> None:
        """Something was carried, and deserves a look."""
        self.advice.append(message)

    @property
    def warnings(self) -> list[str]:
        """All messages, losses first, each once."""
        return list(dict.fromkeys([*self.uncarried, *self.advice]))
