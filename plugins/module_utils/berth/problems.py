# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How Berth tells a user what is wrong: one message that names the place, the fault and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import NoReturn

# ECMA-48's control sequences, and the strings that set a title.
_TO_A_TERMINAL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


class BerthError(Exception):
    """Input that cannot be worked with. The message is shown to the user as it is."""


def refuse(message: str) -> NoReturn:
    """Raise :class:`BerthError`; reads better than a raise inside an expression."""
    raise BerthError(message)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant by ``word``, or None.

    Case, underscores and hyphens do not count, so ``hostname`` finds ``hostName`` and ``MEMORY`` finds ``memory``.
    """

    def plain(text: str) -> str:
        return text.replace("_", "").replace("-", "").lower()

    candidates = {plain(each): each for each in sorted(known, reverse=True)}
    # One letter of three is a third of the word.
    cutoff = 0.6 if len(word) <= 4 else 0.75
    found = difflib.get_close_matches(plain(word), candidates, n=1, cutoff=cutoff)
    return candidates[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'memory'?``, or the empty string when nothing known is close."""
    meant = closest(word, known)
    return f"; did you mean {meant!r}?" if meant else ""


def with_log(problem: str, lines: Iterable[str]) -> str:
    """A problem, and what a log says last, without colours and other orders to a terminal."""
    return "\n".join([problem, "Last log lines:", *(_TO_A_TERMINAL.sub("", each) for each in lines)])


def listed(words: Iterable[str]) -> str:
    """Words as a sentence lists them: ``a, b and c``; ``none`` when there are none."""
    items = sorted(words)
    if not items:
        return "none"
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
