# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a key of Redis or Valkey holds, read and written by the commands that every version has.

RESTORE takes what DUMP gave from servers of the same or an earlier format alone, so keys of a Redis 8 come into no Valkey 8 by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .problems import refuse

KINDS = frozenset({"string", "list", "set", "zset", "hash", "stream"})
# Everything that is in a key, one part after another with its length before it.
SPELT = (
    "local function value(key, kind) local it = {} local function add(all) for _, each in ipairs(all) do "
    "if type(each) == 'table' then add(each) else each = tostring(each) it[#it + 1] = #each .. ':' .. each end end end "
    "if kind == 'string' then add({redis.call('GET', key)}) elseif kind == 'list' then add(redis.call('LRANGE', key, 0, -1)) "
    "elseif kind == 'set' then add(redis.call('SMEMBERS', key)) elseif kind == 'hash' then add(redis.call('HGETALL', key)) "
    "elseif kind == 'zset' then add(redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')) "
    "elseif kind == 'stream' then local all = redis.call('XRANGE', key, '-', '+') add({#all}) "
    "for _, each in ipairs(all) do add({each[1], #each[2], each[2]}) end "
    "for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do local told = {} "
    "for at = 1, #group, 2 do told[group[at]] = group[at + 1] end add({told['name'], told['last-delivered-id']}) end "
    "end return table.concat(it) end "
)
# Elements that one command is given.
_SOME = 1000


def parts(value: bytes) -> list[bytes]:
    """What :data:`SPELT` has put one after another."""
    found, at = [], 0
    while at < len(value):
        colon = value.index(b":", at)
        end = colon + 1 + int(value[at:colon])
        found.append(value[colon + 1 : end])
        at = end
    return found


def orders(name: bytes, kind: str, left: int, value: bytes) -> Iterator[Sequence[bytes]]:
    """The commands that let a key hold what was read, and nothing else. ``left``: milliseconds, or -1 for ever. Raises :class:`BerthError`."""
    held = parts(value)
    yield (b"DEL", name)
    if kind == "string":
        yield (b"SET", name, *held)
    elif kind == "stream":
        yield from _stream(name, held)
    elif kind == "zset":
        yield from _some(b"ZADD", name, [each for at in range(0, len(held), 2) for each in (held[at + 1], held[at])])
    elif kind in KINDS:
        yield from _some({"list": b"RPUSH", "set": b"SADD", "hash": b"HSET"}[kind], name, held)
    else:
        refuse(f"key {name.decode(errors='replace')[:80]} is a {kind}, which no command of both servers writes")
    if left >= 0:
        yield (b"PEXPIRE", name, str(max(left, 1)).encode())


def _some(command: bytes, name: bytes, held: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for at in range(0, len(held), _SOME):
        yield (command, name, *held[at : at + _SOME])


def _stream(name: bytes, held: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    at = 1
    for _each in range(int(held[0])):
        end = at + 2 + int(held[at + 1])
        yield (b"XADD", name, held[at], *held[at + 2 : end])
        at = end
    # One that is empty is there all the same.
    yield (b"XGROUP", b"CREATE", name, b"berth:none", b"0", b"MKSTREAM")
    yield (b"XGROUP", b"DESTROY", name, b"berth:none")
    for group in range(at, len(held), 2):
        yield (b"XGROUP", b"CREATE", name, held[group], held[group + 1])
