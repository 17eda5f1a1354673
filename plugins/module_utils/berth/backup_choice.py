# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which backup a user means, of a store whose backups are moments: a time means the newest before it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from .problems import refuse


def now() -> datetime.datetime:
    """This moment, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def shown(when: datetime.datetime) -> str:
    """A time as it is shown: in UTC, to the second."""
    return when.strftime("%Y-%m-%d %H:%M:%SZ")


def chosen(wanted: str, backups: Sequence[tuple[str, datetime.datetime]]) -> str:
    """The name of the backup that ``latest``, a name, or a time means. ``backups``: name and time of at least one, oldest first.

    Raises :class:`BerthError` for what cannot be.
    """
    names = [name for name, _at in backups]
    if wanted == "latest":
        return names[-1]
    if wanted in names:
        return wanted
    try:
        when = datetime.datetime.fromisoformat(wanted)
    except ValueError:
        refuse(
            f"restore_to is {wanted}: give latest, a time such as 2026-01-31T12:00:00Z, or one of {', '.join(names)}. Nothing was touched"
        )
    when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    if when > now():
        refuse(f"restore_to is {wanted}, which is in the future; it is {shown(now())} now. Nothing was touched")
    before = [name for name, at in backups if at <= when]
    if not before:
        refuse(
            f"restore_to is {wanted}, and the first backup is of {shown(backups[0][1])}; a time before that cannot be restored. Nothing was touched"
        )
    return before[-1]
