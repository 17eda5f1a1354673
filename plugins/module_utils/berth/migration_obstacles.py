# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is in the way of moving a database to another Postgres, and what such a move leaves behind."""

from __future__ import annotations

from collections.abc import Collection

from .migration_postgres import CLASSES, Database, filled
from .postgres_server import Server, literal

# What a copy needs of the disk, by the size of what is copied: its own log comes with it.
_ROOM = 1.2


def obstacles(source: Database, target: Database, *, replace: bool, begun: bool) -> list[str]:
    """What is in the way of a move, each with what to do about it. ``begun``: the source takes no writes since a switch was cut off."""
    found = []
    ours, theirs = source.server.major(), target.server.major()
    if theirs < ours:
        found.append(
            f"{target.title} runs Postgres {theirs}, and {source.title} {ours}; Postgres does not go back: raise the version there"
        )
    there = {row[0] for row in target.server.sql("select name from pg_available_extensions")}
    missing = [row[0] for row in source.server.sql("select extname from pg_extension order by 1", source.name) if row[0] not in there]
    if missing:
        found.append(f"{target.title} has no extension {', '.join(missing)}; choose an image or a service that has it")
    like = source.server.like(source.name)
    known = {_plain(row[0]) for row in target.server.sql("select distinct collcollate from pg_collation where collcollate is not null")}
    for each in sorted({like["collate"], like["ctype"]}):
        if _plain(each) not in known | {"c", "posix", "c.utf8"}:
            found.append(f"{target.title} does not know the collation {each} of {source.name}; choose an image whose system has it")
    found += _rights(source, target)
    if not replace and (tables := target.tables()):
        found.append(f"{target.title} holds {tables} tables in {target.name} already; -e migrate_replace=true moves them aside and goes on")
    if not begun and not source.writable():
        found.append(
            f"{source.title}: {source.name} takes no writes: it was moved away before; -e migrate=back -e migrate_lose=true opens it, if nothing else takes the app's writes"
        )
    return found


def room_problems(size: int, target: Database) -> list[str]:
    """Whether so many bytes of databases find no room beside the target's."""
    needed, room = int(size * _ROOM), target.room()
    if room is None or room >= needed:
        return []
    return [f"{target.title} has room for {room / 1e9:.1f} GB, and the copy needs {needed / 1e9:.1f} GB: let its disk grow first"]


def _rights(source: Database, target: Database) -> list[str]:
    """What the users that move data may not do, each with what to do about it."""
    found = []
    may = "select rolsuper or pg_has_role(datdba, 'member') from pg_roles, pg_database where rolname = current_user and datname = "
    if source.server.one(may + literal(source.name)) == "f":
        found.append(
            f"the user that moves data may not close {source.name} of {source.title} for writing: let it own the database, or be a member of its owner"
        )
    make = f"select rolsuper or (rolcreatedb and pg_has_role({literal(target.owner)}, 'member')) from pg_roles where rolname = current_user"
    if target.server.one(make) == "f":
        found.append(
            f"the user that moves data may not make a database of {target.owner}'s in {target.title}: it needs CREATEDB and to be a member of {target.owner}"
        )
    return found


def remarks(source: Database) -> list[str]:
    """What a move leaves behind of a database."""
    owners = [
        row[0]
        for row in source.server.sql(
            f"select distinct pg_get_userbyid(relowner) {CLASSES} and relkind in ('r', 'S', 'v', 'm')", source.name
        )
    ]
    return [f"what {', '.join(owners)} own becomes the app's one user's there; grants stay behind"] if len(owners) > 1 else []


def left_behind(server: Server, moved: Collection[str]) -> list[str]:
    """What a move of some of a server's databases leaves behind."""
    beside = [each for each in filled(server) if each not in moved]
    return [f"{', '.join(beside)} of the same server stay behind; name what moves with the app in app_databases"] if beside else []


def _plain(name: str) -> str:
    """The name of a locale without what systems write differently."""
    return name.lower().replace("-", "")
