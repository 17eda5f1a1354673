# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a rule of Traefik's asks of a request, as far as it asks for hosts and paths. Pure.

The grammar: https://doc.traefik.io/traefik/routing/routers/#rule, and of version 1 https://doc.traefik.io/traefik/v1.7/basics/#matchers.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from .problems import BerthError

_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|,|[A-Za-z]+|`[^`]*`|\"[^\"]*\"|'[^']*')")
_MOST = 32
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")
_PATH = re.compile(r"/[A-Za-z0-9._~%!$&()+,;=:@/-]*")


class Match(NamedTuple):
    """One way in which a request is meant: by any of ``hosts`` (all where there is none), and any of ``paths``.

    A path that ends in ``*`` stands for all that begin so.
    """

    hosts: tuple[str, ...]
    paths: tuple[str, ...]


_EVERY = Match((), ())


def read_rule(rule: str) -> list[Match]:
    """The ways in which a request is meant. Raises :class:`BerthError` for what asks for more than hosts and paths, or cannot be read."""
    words, place = [], 0
    while place < len(rule.rstrip()):
        found = _TOKEN.match(rule, place)
        if not found:
            raise BerthError(f"{rule[place:].strip()[:40]!r} cannot be read")
        words.append(found[1])
        place = found.end()
    reader = _Reader(words)
    ways = reader.either()
    if reader.words:
        raise BerthError(f"{reader.words[0]!r} is one too many")
    return list(dict.fromkeys(ways))


def read_first_rule(rule: str) -> tuple[list[Match], list[str]]:
    """The same of a rule of version 1 (``Host:a,b;PathPrefixStrip:/api``), and the prefixes that are taken off."""
    found, strip = _EVERY, []
    for part in filter(None, rule.split(";")):
        name, _colon, texts = part.strip().partition(":")
        values = [each.strip() for each in texts.split(",") if each.strip()]
        if name in ("PathPrefixStrip", "PathStrip"):
            name = name.removesuffix("Strip")
            strip = values
        found = _both(found, matched(name, values))
    return [found], strip


def matched(name: str, values: list[str]) -> Match:
    """What ``Host``, ``Path`` or ``PathPrefix`` of some values matches. Raises :class:`BerthError` for any other, and for what is no host or path."""
    if not values:
        raise BerthError(f"{name} says nothing")
    if name == "Host" and all(_HOST.fullmatch(each) for each in values):
        return Match(tuple(each.lower() for each in values), ())
    if name in ("Path", "PathPrefix") and all(_PATH.fullmatch(each) for each in values):
        return Match((), tuple(each + "*" if name == "PathPrefix" else each for each in values))
    if name == "Host" and any(each.strip(".") != each or not each for each in values):
        raise BerthError(f"the host {', '.join(map(repr, values))} is none; is a variable of the Compose file not set?")
    said = "hosts and paths alone are" if name not in ("Host", "Path", "PathPrefix") else f"{', '.join(values)} is none"
    raise BerthError(f"{name} is not carried, {said}")


def _both(one: Match, other: Match) -> Match:
    if (one.hosts and other.hosts) or (one.paths and other.paths):
        raise BerthError("two of the same at once are not carried")
    return Match(one.hosts or other.hosts, one.paths or other.paths)


class _Reader:
    def __init__(self, words: list[str]) -> None:
        self.words = words

    def either(self) -> list[Match]:
        ways = self._all()
        while self.words[:1] == ["||"]:
            self._take()
            ways += self._all()
        return ways

    def _all(self) -> list[Match]:
        ways = self._one()
        while self.words[:1] == ["&&"]:
            self._take()
            ways = [_both(a, b) for a, b in itertools.product(ways, self._one())]
            if len(ways) > _MOST:
                raise BerthError("it is too long")
        return ways

    def _one(self) -> list[Match]:
        word = self._take()
        if word == "(":
            ways = self.either()
            self._take(")")
            return ways
        if not word.isalpha():
            raise BerthError(f"{word!r} is not carried, hosts and paths alone are")
        self._take("(")
        values = [self._take()]
        while self.words[:1] == [","]:
            self._take()
            values.append(self._take())
        self._take(")")
        if any(each[0] not in "`\"'" for each in values):
            raise BerthError(f"{word} has no text in quotes")
        return [matched(word, [each[1:-1] for each in values])]

    def _take(self, wanted: str = "") -> str:
        if not self.words or (wanted and self.words[0] != wanted):
            raise BerthError(f"{wanted or 'more'} is missing")
        return self.words.pop(0)
