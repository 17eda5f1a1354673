# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back after a switch: what brings the source to what the target holds."""

from __future__ import annotations

from . import migration_redis, progress
from .migration_databases import Databases
from .migration_postgres import DifferenceError
from .migration_redis import Keys
from .migration_stores import compared
from .problems import BerthError


def brought(databases: Databases | None, keys: tuple[Keys, Keys] | None) -> list[str]:
    """Bring the source to what the target holds, which takes no writes now. Raises :class:`DifferenceError` where they differ then."""
    said = databases.bring_back() if databases else []
    pairs = databases.pairs if databases else []
    progress.say("both sides are compared")
    compared(pairs, None)
    if keys:
        source, target = keys
        source.writes(allowed=True)
        try:
            said.append(f"redis: {migration_redis.copy(target, source)} keys came back")
        except BerthError:
            source.writes(allowed=False)
            raise
    return [*said, *compared(pairs, keys)]


def why_not(problem: BerthError, source: str, target: str) -> str:
    """What is said of a way back that failed, when the target takes writes again."""
    if isinstance(problem, DifferenceError):
        return (
            f"{problem}. Going back would lose that: bring it along with -e from={target} -e to={source} -e migrate_replace=true after -e "
            "migrate=finish, or give it up with -e migrate_lose=true. Nothing was changed"
        )
    return f"{problem}. {target} takes writes again and {source} does not, as before; -e migrate=back goes on once that is mended"
