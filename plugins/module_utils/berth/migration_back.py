# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back after a switch: what keeps it open, and what brings the source to what the target holds."""

from __future__ import annotations

from . import migration_redis, progress
from .migration_follow import BACK, Followed
from .migration_postgres import FRESH, Database, DifferenceError
from .migration_redis import Keys
from .migration_stores import compared
from .problems import BerthError


def _opened(source: Database, target: Database) -> Followed:
    return Followed(target._replace(name=target.name + FRESH), source, "", BACK)


def took_over(target: Database, moved: str) -> bool:
    """Whether the target has taken over by a switch that was killed or cut off; if not, it will not any more."""
    target.server.call_off(target.name + FRESH)
    return target.server.note(target.name) == moved


def in_the_way(source: Database, target: Database) -> list[str]:
    """What will keep changes from coming back, for :func:`kept_open`, where the copy is there before writes pause: asking takes a while."""
    return _opened(source, target).obstacles()


def kept_open(source: Database, target: Database, known: list[str] | None) -> list[str]:
    """Keep the target's log from the switch on, so that what is written there can come back. Returns what is said of it. ``known``: what is in
    the way of that, or None where nobody has asked.
    """
    back = _opened(source, target)
    if not (found := back.obstacles() if known is None else known):
        try:
            back.mark()
            return [f"postgres: until -e migrate=finish, changes can come back: {target.title} keeps its log for that"]
        except BerthError as problem:
            found = [str(problem)]
    return [f"postgres: what is written from now on cannot come back with -e migrate=back, since {found[0]}"]


def brought(databases: tuple[Database, Database] | None, keys: tuple[Keys, Keys] | None, way: Followed | None) -> list[str]:
    """Bring the source to what the target holds, which takes no writes now. Raises :class:`DifferenceError` where they differ then."""
    said = []
    if way and way.there():
        said.append(f"postgres: {way.catch_up()} changes came back")
        way.complete()
    progress.say("both sides are compared")
    compared(databases, None)
    if keys:
        source, target = keys
        source.writes(allowed=True)
        try:
            said.append(f"redis: {migration_redis.copy(target, source)} keys came back")
        except BerthError:
            source.writes(allowed=False)
            raise
    return [*said, *compared(databases, keys)]


def why_not(problem: BerthError, source: str, target: str) -> str:
    """What is said of a way back that failed, when the target takes writes again."""
    if isinstance(problem, DifferenceError):
        return (
            f"{problem}. Going back would lose that: bring it along with -e from={target} -e to={source} -e migrate_replace=true after -e "
            "migrate=finish, or give it up with -e migrate_lose=true. Nothing was changed"
        )
    return f"{problem}. {target} takes writes again and {source} does not, as before; -e migrate=back goes on once that is mended"
