# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A home's stores, as a move reaches them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import migration_postgres, migration_redis
from .beside import Beside
from .cache_writes import gate
from .compose_backups import running
from .compose_redis import CLIENT
from .migration_postgres import Database, need_alike
from .migration_redis import Keys
from .postgres_server import Server
from .problems import refuse
from .side_by_side import for_each


class Stores:
    """A home's stores, by what the roles of its slots tell: ``{slot: slot_endpoint}``. ``known``: databases that are known to lie beside the app's
    own, in this home or in the other.
    """

    def __init__(self, title: str, told: Mapping[str, Mapping[str, Any]], named: str, *, fresh: bool, known: Collection[str] = ()) -> None:
        self.title = title
        self.postgres: Database | None = None
        # Those of the same server that move with it.
        self.beside: list[Database] = []
        self.redis: Keys | None = None
        # By the slots of stores that are not there, why not.
        self.missing: dict[str, str] = {}
        for slot, each in told.items():
            if each.get("refused"):
                self.missing[slot] = each["refused"]
                continue
            beside, client = _place(title, each)
            if slot == "postgres":
                self.postgres = migration_postgres.find(Server(beside), each, named, fresh=fresh, beside=known)
            else:
                closed_by = gate(each["parameter_group"], each["region"]) if each.get("parameter_group") else None
                closed, replicas = str(each.get("closed") or ""), int(each.get("replicas") or 0)
                followers = [Keys(_place(title, {**each, **other})[0], client, closed=closed) for other in each.get("followers") or ()]
                self.redis = Keys(beside, client, closed_by, followers=followers, replicas=replicas, closed=closed)

    @property
    def databases(self) -> list[Database]:
        """The app's own, and those that move with it."""
        return [self.postgres, *self.beside] if self.postgres else []

    def take(self, names: Iterable[str]) -> None:
        """Let databases of the same server move with the app's own."""
        self.beside = [self.postgres.beside(name) for name in names] if self.postgres else []

    def there(self, names: Collection[str]) -> list[str]:
        """Which of these databases lie beside the app's own."""
        return [each for each in sorted(names) if self.postgres and each != self.postgres.name and self.postgres.server.exists(each)]

    def matches(self, other: Stores) -> None:
        """Refuse a store that one home lacks and the other has, and homes with none of the same kind. Raises :class:`BerthError`."""
        for here, there in ((self, other), (other, self)):
            for slot, why in here.missing.items():
                if getattr(there, slot):
                    refuse(f"{here.title}: {why}. Nothing was touched")
        if not (self.postgres and other.postgres) and not (self.redis and other.redis):
            refuse(f"{self.title} and {other.title} have no store of the same kind. Nothing was touched")

    def writes(self, *, allowed: bool) -> None:
        """Let the stores take writes, or not."""
        # A restore asks whether it would open what is closed: noted before the first is, and until the last is open.
        if self.postgres and not allowed:
            self.postgres.marked(allowed=False)
        stores: list[Database | Keys] = [*self.databases, *([self.redis] if self.redis else [])]
        for_each(lambda each: each.writes(allowed=allowed), stores)
        if self.postgres and allowed:
            self.postgres.marked(allowed=True)


def _place(title: str, told: Mapping[str, Any]) -> tuple[Beside, list[str]]:
    """How a store is reached, and the words of its client."""
    if told.get("project"):
        store = running(told["project"], told["service"], told["engine"])
        store.beside_it.title = f"{told['service']} of {title}"
        return store.beside_it, list(CLIENT)
    beside = Beside(f"{told['title']} of {title}", told["inside"], reach=told["reach"], before=told.get("before") or ":")
    return beside, list(told.get("client") or [])


def compared(databases: Sequence[tuple[Database, Database]], keys: tuple[Keys, Keys] | None, behind: str = "") -> list[str]:
    """Compare both sides' stores, and say what they hold; ``behind`` the targets' names: of their copies. Raises :class:`DifferenceError` where
    they differ.
    """
    said, found = [], []
    with ThreadPoolExecutor() as asked:
        unlike = asked.submit(migration_redis.differences, *keys) if keys else None
        contents = [(asked.submit(source.content), asked.submit(target.content, behind=behind)) for source, target in databases]
        for (source, _target), pair in zip(databases, contents, strict=True):
            ours, theirs = (each.result() for each in pair)
            found += [f"{source.label}: {each}" for each in ours.differs(theirs)]
            said.append(f"{source.label}: {ours.summary} are the same on both sides, with their sums and sequences")
    if keys and unlike:
        found += [f"redis: {each}" for each in unlike.result()]
        said.append(f"redis: {keys[0].count()} keys are the same on both sides")
    need_alike(found)
    return said
