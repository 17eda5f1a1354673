# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Redis or Valkey whose keys are moved to another one while both serve: read by SCAN and DUMP, set by RESTORE."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from . import progress, redis_values
from .beside import Beside
from .problems import BerthError, refuse

_BATCH = 1000
# Seconds that a service may take for what takes effect at once.
_PATIENCE = 60
# A server takes no writes that asks for more replicas than anybody has.
WRITES, MANY = "min-replicas-to-write", 1_000_000
# One batch of keys: the cursor, and of each key its name, its kind, what is left of its time in milliseconds (-1: for ever), and a value.
_BATCHES = (
    "local found = redis.call('SCAN', ARGV[1], 'COUNT', ARGV[2]) local out = {found[1]} for _, key in ipairs(found[2]) do "
    "local kind = redis.call('TYPE', key).ok if kind ~= 'none' then out[#out + 1] = key out[#out + 1] = kind "
    "out[#out + 1] = tostring(redis.call('PTTL', key)) out[#out + 1] = value(key, kind) end end return out"
)
# As Redis itself writes it.
_DUMPED = "local function value(key) return redis.call('DUMP', key) or '' end "
_KINDS = "local function value() return '' end "
# A digest of all that is in it, whatever the order in which this server happens to keep it.
_SUMMED = (
    "local function flat(it) if type(it) ~= 'table' then it = tostring(it) return #it .. ':' .. it end local all = {} "
    "for at, each in ipairs(it) do all[at] = flat(each) end return '[' .. table.concat(all) .. ']' end "
    "local function value(key, kind) local it if kind == 'string' then it = redis.call('GET', key) "
    "elseif kind == 'list' then it = redis.call('LRANGE', key, 0, -1) elseif kind == 'zset' then it = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') "
    "elseif kind == 'stream' then it = redis.call('XRANGE', key, '-', '+') elseif kind == 'set' then it = redis.call('SMEMBERS', key) table.sort(it) "
    "elseif kind == 'hash' then local pairs_of = redis.call('HGETALL', key) it = {} for at = 1, #pairs_of, 2 do "
    "it[#it + 1] = flat({pairs_of[at], pairs_of[at + 1]}) end table.sort(it) else it = redis.call('DUMP', key) end "
    "return redis.sha1hex(flat(it)) end "
)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b", b"\\": b"\\", b'"': b'"'}


class NotUnderstoodError(BerthError):
    """What one server dumps is of a later format than another one reads."""


class Key(NamedTuple):
    """``left``: milliseconds, or -1 for ever. ``value``: what DUMP gives, or a digest."""

    name: bytes
    kind: str
    left: int
    value: bytes


class Keys:
    """What a server holds, by way of its own client. ``client``: its words. ``gate``: what lets it take writes or not, where it cannot be told
    itself. ``followers``: those that take over when it is lost, and ``replicas``: how many have to follow for a write to be taken there.
    ``closed``: a file beside the server of settings that it reads when it starts, for what has to outlive a restart.
    """

    def __init__(
        self,
        beside: Beside,
        client: Sequence[str],
        gate: Callable[[bool], None] | None = None,
        *,
        followers: Sequence[Keys] = (),
        replicas: int = 0,
        closed: str = "",
    ) -> None:
        self.beside, self._client, self._gate = beside, list(client), gate
        self._followers, self._replicas, self._closed = list(followers), replicas, closed

    def ask(self, *words: str) -> str:
        """What a command answers. Raises :class:`BerthError` for an error too."""
        said = self.beside.ask(*self._client, *words).strip()
        if re.match(r"(ERR|NOAUTH|WRONGPASS|NOPERM|LOADING|READONLY|NOREPLICAS) ", said):
            refuse(f"{self.beside.title}: {said}")
        return said

    def databases(self) -> list[int]:
        """The numbers of those that hold keys."""
        return [int(number) for number in re.findall(r"^db(\d+):", self.ask("info", "keyspace"), re.MULTILINE)]

    def read(self, database: int, script: str = _DUMPED) -> Iterator[list[Key]]:
        """All keys, a batch at a time. One that is made or removed meanwhile may be among them, or not."""
        cursor = "0"
        while True:
            said = self._tell(database, b"", "--csv", "eval", script + _BATCHES, "0", cursor, str(_BATCH))
            fields = parsed(said)
            if not fields or not fields[0].isdigit():
                refuse(f"{self.beside.title}: {said.decode(errors='replace').strip()[:300]}")
            cursor, rest = fields[0].decode(), fields[1:]
            yield [Key(name, kind.decode(), int(left), value) for name, kind, left, value in zip(*[iter(rest)] * 4, strict=True)]
            if cursor == "0":
                return

    def _tell(self, database: int, content: bytes, *words: str) -> bytes:
        return self.beside.tell(content, *self._client, "-n", str(database), *words)

    def write(self, database: int, keys: Sequence[Key]) -> None:
        """Set keys to what they were there. Raises :class:`BerthError`."""
        self._pipe(database, [(b"RESTORE", key.name, str(max(key.left, 0)).encode(), key.value, b"REPLACE") for key in keys])

    def spell(self, database: int, keys: Sequence[Key]) -> None:
        """The same by the commands that anyone would use, of keys that were read as :data:`redis_values.SPELT`. Raises :class:`BerthError`."""
        self._pipe(database, [order for key in keys for order in redis_values.orders(key.name, key.kind, key.left, key.value)])

    def _pipe(self, database: int, orders: Sequence[Sequence[bytes]]) -> None:
        if not orders:
            return
        try:
            said = self._tell(database, b"".join(map(_order, orders)), "--pipe").decode(errors="replace")
        except BerthError as problem:
            said = str(problem)
        errors = re.search(r"errors: (\d+)", said)
        if "DUMP payload version" in said:
            raise NotUnderstoodError(f"{self.beside.title} does not understand what the other server dumps")
        if not errors or int(errors[1]):
            refuse(f"{self.beside.title}: {said.strip()[-300:]}")

    def remove(self, database: int, names: Sequence[bytes]) -> None:
        """Remove keys."""
        if names:
            self._tell(database, _order((b"UNLINK", *names)), "--pipe")

    def clear(self) -> None:
        """Remove all keys."""
        for database in self.databases():
            for batch in self.read(database):
                self.remove(database, [key.name for key in batch])

    def count(self) -> int:
        """How many keys there are."""
        return sum(int(number) for number in re.findall(r"^db\d+:keys=(\d+)", self.ask("info", "keyspace"), re.MULTILINE))

    def writes(self, *, allowed: bool) -> None:
        """Let it take writes or not; reads go on. It asks for replicas that there are not."""
        if not self._gate:
            for each in (*self._followers, self):
                if each._closed:
                    each.beside.ask("sh", "-c", 'rm -f "$1"' if allowed else f'echo "{WRITES} {MANY}" > "$1"', "sh", each._closed)
                each.ask("config", "set", WRITES, str(self._replicas if allowed else MANY))
            return
        self._gate(allowed)
        end = time.monotonic() + _PATIENCE
        while self._takes() is not allowed:
            if time.monotonic() > end:
                refuse(f"{self.beside.title}: writes are {'refused' if allowed else 'taken'} {_PATIENCE} s after that was changed")
            time.sleep(0.2)

    def _takes(self) -> bool:
        """Whether it takes a write."""
        try:
            return self.ask("unlink", f"berth:probe:{secrets.token_hex(8)}") == "0"
        except BerthError as problem:
            if "NOREPLICAS" not in str(problem):
                raise
            return False

    def content(self) -> dict[tuple[int, bytes], tuple[str, bool, bytes]]:
        """By database and key: its kind, whether it is to expire, and a digest of what it holds."""
        return {
            (database, key.name): (key.kind, key.left >= 0, key.value)
            for database in self.databases()
            for batch in self.read(database, _SUMMED)
            for key in batch
        }


def understood(source: Keys, target: Keys) -> bool:
    """Whether the target reads what the source dumps: one key goes over the way that all would go, and away again. Raises
    :class:`BerthError` where it cannot be written at all.
    """
    first = next((key for database in source.databases() for batch in source.read(database) for key in batch), None)
    if first is None:
        return True
    name = f"berth:probe:{secrets.token_hex(8)}".encode()
    try:
        target.write(0, [first._replace(name=name, left=60_000)])
    except NotUnderstoodError:
        return False
    target.remove(0, [name])
    return True


def copy(source: Keys, target: Keys) -> int:
    """Bring the target to what the source holds: keys that it has not any more are removed too. Returns how many were set."""
    total, meter = 0, progress.Meter("redis")
    dumped = understood(source, target)
    for database in sorted({*source.databases(), *target.databases()}):
        seen: set[bytes] = set()
        for batch in source.read(database, _DUMPED if dumped else redis_values.SPELT):
            (target.write if dumped else target.spell)(database, batch)
            seen |= {key.name for key in batch}
            total += len(batch)
            meter.at(f"{total} keys")
        for batch in target.read(database):
            target.remove(database, [key.name for key in batch if key.name not in seen])
    return total


def obstacles(source: Keys, target: Keys, *, replace: bool) -> tuple[list[str], list[str]]:
    """What is in the way, each with what to do about it; and what is worth knowing."""
    found, said = [], []
    if not replace and (count := target.count()):
        found.append(
            f"{target.beside.title} holds {count} keys already; -e migrate_replace=true removes what the other side does not hold, and goes on"
        )
    try:
        if not understood(source, target):
            kinds = {key.kind: key.name for database in source.databases() for batch in source.read(database, _KINDS) for key in batch}
            for kind in sorted(kinds.keys() - redis_values.KINDS):
                found.append(
                    f"{target.beside.title} does not understand what {source.beside.title} dumps, and key "
                    f"{kinds[kind].decode(errors='replace')[:80]} is a {kind}, which no command of both writes: raise the version there, or "
                    "choose its engine"
                )
            said.append(
                f"{target.beside.title} does not understand what {source.beside.title} dumps, so keys are written by commands; what readers "
                "of a stream have not confirmed, and times of single fields of a hash, stay behind"
            )
    except BerthError as problem:
        # One that was moved away from takes no writes; the copy opens it.
        if "NOREPLICAS" not in str(problem):
            found.append(str(problem))
    return found, said


def differences(source: Keys, target: Keys) -> list[str]:
    """What is not alike, in words. Keys that were to expire may have done so on one side."""
    with ThreadPoolExecutor() as both:
        asked = both.submit(source.content), both.submit(target.content)
    ours, theirs = (each.result() for each in asked)
    found = []
    for place in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(place), theirs.get(place)
        name = place[1].decode(errors="replace")[:80]
        if one is None or other is None:
            if not (one or other or ("", True, ""))[1]:
                found.append(f"key {name} is on one side only")
        elif one[0] != other[0]:
            found.append(f"key {name} is a {one[0]} here and a {other[0]} there")
        elif one[1] != other[1]:
            found.append(f"key {name} expires on one side only")
        elif one[2] != other[2]:
            found.append(f"key {name} has other content")
    return found


def _order(words: Sequence[bytes]) -> bytes:
    """A command as the protocol has it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def parsed(line: bytes) -> list[bytes]:
    """The fields of a line as the client writes them with ``--csv``: in quotes, whatever is not printable escaped."""

    def plain(found: re.Match[bytes]) -> bytes:
        letter = found[1]
        return bytes([int(letter[1:], 16)]) if letter[:1] == b"x" and len(letter) == 3 else _ESCAPES.get(letter, letter)

    return [
        re.sub(rb"\\(x[0-9a-f]{2}|.)", plain, quoted, flags=re.DOTALL) if quoted or not bare else bare
        for quoted, bare in re.findall(rb'"((?:[^"\\]|\\.)*)"|([^",\s]+)', line, re.DOTALL)
    ]
