# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read JSON that a person wrote: every value with its line, every syntax error with a recovery, so that one slip hides no other.

The standard library's parser stops at the first error and forgets where values stood.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_DEEPEST = 64
_MOST_ERRORS = 50
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BARE = re.compile(r"(?:<[^<>\n]*>|\$?\{\{?[^{}\n]*\}\}?|[^\s,:\"'{}\[\]/#]|/(?![/*]))+")
# Each quote people use, word processors' too, to the one that closes it.
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u201d": "\u201d", "\u2018": "\u2019", "\u2019": "\u2019"}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}


class Node(NamedTuple):
    """A JSON value and where it stands.

    ``kind``: object, array, string, number, boolean, null or bare (something unquoted). ``value``: for an object a list of pairs of
    nodes, for an array a list of nodes, otherwise the Python value. ``line`` counts from 1.
    """

    kind: str
    value: Any
    line: int

    def get(self, key: str) -> Node | None:
        """The last value of a key of this object, as JSON readers take it; None when it has none."""
        found = [value for name, value in self.pairs() if name.value == key]
        return found[-1] if found else None

    def pairs(self) -> list[tuple[Node, Node]]:
        """An object's keys and values; empty for anything else."""
        return self.value if self.kind == "object" else []

    def items(self) -> list[Node]:
        """An array's values; empty for anything else."""
        return self.value if self.kind == "array" else []


class SyntaxFault(NamedTuple):
    """What is wrong with the JSON, and on which line."""

    line: int
    message: str


def parse(text: str) -> tuple[Node | None, list[SyntaxFault]]:
    """The value that a text holds, as far as it can be made out, and every syntax error in it.

    The value is None when the text holds nothing.
    """
    reader = _Reader(text)
    node = reader.document()
    return node, reader.faults


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.last_line = 1  # where the last value ended
        self.faults: list[SyntaxFault] = []

    def fault(self, message: str, line: int | None = None) -> None:
        entry = SyntaxFault(line or self.line, message)
        if len(self.faults) < _MOST_ERRORS and entry not in self.faults:
            self.faults.append(entry)

    def document(self) -> Node | None:
        if self.text.startswith("\ufeff"):
            self.fault("the file starts with a byte order mark, which JSON readers refuse; save it as UTF-8 without one")
            self.at = 1
        self.skip()
        if self.at >= len(self.text):
            return None
        node = self.value(0)
        self.skip()
        if self.at < len(self.text):
            self.fault(f"text after the end of the document: {self.text[self.at : self.at + 20].split(chr(10))[0]!r}")
        return node

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def forward(self, end: int) -> str:
        passed = self.text[self.at : end]
        self.line += passed.count("\n")
        self.at = end
        return passed

    def skip(self) -> None:
        """Pass white space, and comments with a fault."""
        while self.at < len(self.text):
            here = self.text[self.at : self.at + 2]
            if here[0] in " \t\r\n":
                self.forward(self.at + 1)
            elif here == "/*":
                self.fault("JSON has no comments; remove it")
                end = self.text.find("*/", self.at)
                self.forward(end + 2 if end >= 0 else len(self.text))
            elif here == "//" or here[0] == "#":
                self.fault("JSON has no comments; remove it")
                end = self.text.find("\n", self.at)
                self.forward(end if end >= 0 else len(self.text))
            elif here[0].isspace() or here[0] == "\ufeff":
                self.fault(f"an invisible character (U+{ord(here[0]):04X}) that JSON does not allow; remove it")
                self.forward(self.at + 1)
            else:
                return

    def value(self, depth: int) -> Node:
        line, character = self.line, self.peek()
        if depth > _DEEPEST:
            self.fault("nested too deeply")
            self.forward(len(self.text))
            return Node("null", None, line)
        if character == "{":
            node = self.container(depth, "object", "}")
        elif character == "[":
            node = self.container(depth, "array", "]")
        elif character and character in _QUOTES:
            node = self.string(character)
        else:
            node = self.bare(line)
        self.last_line = self.line
        return node

    def container(self, depth: int, kind: str, closer: str) -> Node:
        """An object or an array, with whatever commas a person put between its members."""
        opened, members, comma = self.line, [], 0  # comma: the line of a comma still waiting for its member
        self.forward(self.at + 1)
        first = True
        while True:
            self.skip()
            character = self.peek()
            if not character:
                self.fault(f"the {'{' if kind == 'object' else '['} of line {opened} is never closed")
                break
            if character in "}]":
                if comma:
                    self.fault(f"a comma before {character}; remove it", comma)
                if character != closer:
                    self.fault(f"{character} closes the {'{' if kind == 'object' else '['} of line {opened}; {closer} is expected")
                self.forward(self.at + 1)
                break
            if character == ",":
                if comma or first:
                    self.fault("a comma too many; remove it")
                comma = self.line
                first = False
                self.forward(self.at + 1)
                continue
            if not first and not comma:
                self.fault(
                    "a comma is missing at the end of this line" if self.last_line != self.line else "a comma is missing", self.last_line
                )
            first, comma = False, 0
            before = self.at
            members.append(self.pair(depth) if kind == "object" else self.value(depth + 1))
            if self.at == before:
                self.fault(f"unexpected {character!r}")
                self.forward(self.at + 1)
        return Node(kind, members, opened)

    def pair(self, depth: int) -> tuple[Node, Node]:
        line = self.line
        key = self.value(depth + 1)
        if key.kind not in ("string", "bare") or not isinstance(key.value, str):
            self.fault("a key has to be a text in double quotes", line)
            key = Node("string", str(key.value) if key.kind in ("number", "boolean", "null") else "", line)
        elif key.kind == "bare":
            key = Node("string", key.value, line)
        self.skip()
        if self.peek() == ":":
            self.forward(self.at + 1)
            self.skip()
        elif self.peek() in (",", "}", "]", ""):
            self.fault(f"{key.value!r} has no value", line)
            return key, Node("null", None, line)
        else:
            self.fault(f"a colon is missing after {key.value!r}", line)
        if self.peek() in (",", "}", "]", ""):
            self.fault(f"{key.value!r} has no value", line)
            return key, Node("null", None, line)
        return key, self.value(depth + 1)

    def string(self, quote: str) -> Node:
        line = self.line
        closer = _QUOTES[quote]
        if quote != '"':
            self.fault(f"{quote} is no quote of JSON's; use double quotes")
        parts: list[str] = []
        position = self.at + 1
        while position < len(self.text):
            character = self.text[position]
            if character == closer or (quote == "\u201c" and character == '"'):
                self.forward(position + 1)
                return Node("string", _whole("".join(parts)), line)
            if character == "\n":
                break
            if character == "\\":
                escape = self.text[position + 1 : position + 2]
                digits = self.text[position + 2 : position + 6]
                if escape == "u" and re.fullmatch(r"[0-9a-fA-F]{4}", digits):
                    parts.append(chr(int(digits, 16)))
                    position += 6
                    continue
                if escape not in _ESCAPES:
                    self.fault(f"\\{escape} is no escape of JSON's; write \\\\{escape} for a backslash".replace("\n", ""), line)
                parts.append(_ESCAPES.get(escape, escape))
                position += 2
                continue
            if character < " ":
                self.fault(f"a control character (U+{ord(character):04X}) in a text; write it as an escape", line)
            parts.append(character)
            position += 1
        self.fault("a text is not closed with a double quote on its line", line)
        self.forward(position)
        return Node("string", "".join(parts).rstrip().rstrip(","), line)

    def bare(self, line: int) -> Node:
        found = _BARE.match(self.text, self.at)
        if not found:
            return Node("null", None, line)
        word = self.forward(found.end())
        if word in ("true", "false"):
            return Node("boolean", word == "true", line)
        if word == "null":
            return Node("null", None, line)
        if _NUMBER.fullmatch(word) and len(word) < 300:
            return Node("number", float(word) if re.search(r"[.eE]", word) else int(word), line)
        if word in ("True", "False", "None"):
            self.fault(f"{word} is Python; JSON writes {'null' if word == 'None' else word.lower()}", line)
            return Node("null", None, line) if word == "None" else Node("boolean", word == "True", line)
        self.fault(
            f"{word[:40]!r} has to be in double quotes" + ("; is it a placeholder left to fill?" if not word[0].isalnum() else ""), line
        )
        return Node("bare", word, line)


def _whole(text: str) -> str:
    """Text in which a pair of surrogate escapes is the one character that it stands for."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plain(node: Node) -> Any:
    """The Python value of a node, as the standard library's parser gives it; bare words become None."""
    if node.kind == "object":
        return {key.value: plain(value) for key, value in node.pairs()}
    if node.kind == "array":
        return [plain(value) for value in node.items()]
    return None if node.kind == "bare" else node.value
