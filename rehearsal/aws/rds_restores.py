"""RDS instances that come from others: from a snapshot, or as of a time; and how an instance changes."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.rds.models import DBSnapshot, rds_backends
from moto.rds.responses import RDSResponse

from .. import containers
from . import clock, postgres

# The attribute of an instance that holds the address of its server.
ADDRESS = "rehearsed_address"
# When an instance was made, before which no time of it can be restored.
_BEGUN = "rehearsed_begin"
# Beside the instances, whose attributes moto copies.
_TURNS: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


class RdsError(ServiceException):
    """An error of the API: ``code`` as the service names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def settings_of(database: Any) -> dict[str, str]:
    """What an instance's parameter group sets."""
    group = database.db_parameter_groups()[0]
    return {name: str(each["ParameterValue"]) for name, each in group.parameters.items() if each.get("ParameterValue") is not None}


def change(database: Any, status: str, work: Callable[[], None], *, after: str = "available") -> None:
    """Let an instance be in ``status`` while ``work`` is done, at least as long as changes last here."""
    database.status = status

    def run() -> None:
        with turn(database):
            watch = clock.Stopwatch()
            try:
                work()
            except Exception:
                database.status = "failed"
                raise
            watch.wait(clock.seconds("rds"))
            # Whoever asked for its end meanwhile waits for this turn.
            if database.status != "deleting":
                database.status = after

    clock.later(run)


def turn(database: Any) -> threading.Lock:
    """What lets one change of an instance after the other happen: what is still being made is taken away when it is there."""
    return _TURNS.setdefault(database, threading.Lock())


class Restores(RDSResponse):
    """The operations that make one instance of another."""

    def _start(self, database: Any, password: str, snapshot: str | None = None) -> None:
        raise NotImplementedError

    def _fresh(self) -> Any:
        """The instance that moto has just made, with nothing of the other's server."""
        given = self.params
        database = self.backend.databases[given.get("TargetDBInstanceIdentifier") or given["DBInstanceIdentifier"]]
        setattr(database, ADDRESS, None)
        database.dbi_resource_id = "db-" + secrets.token_hex(13).upper()
        database.deletion_protection = given.get("DeletionProtection") in (True, "true")
        if given.get("MultiAZ") is not None:
            database.multi_az = given.get("MultiAZ") in (True, "true")
        return database

    def restore_db_instance_from_db_snapshot(self) -> ActionResult:
        answer = super().restore_db_instance_from_db_snapshot()
        database, name = self._fresh(), str(self.params["DBSnapshotIdentifier"]).rsplit(":", 1)[-1]
        change(database, "creating", lambda: self._start(database, "", snapshot=name))
        return answer

    def restore_db_instance_to_point_in_time(self) -> ActionResult:
        source, wanted = str(self.params.get("SourceDBInstanceIdentifier")), self.params.get("RestoreTime")
        begun = getattr(self.backend.describe_db_instances(source)[0], _BEGUN)
        when = _time(wanted) if wanted else None
        if when and (when < begun or when > datetime.now(UTC)):
            raise RdsError(
                "InvalidParameterValue",
                f"The specified instance cannot be restored to {wanted}: it can be from {begun:%Y-%m-%dT%H:%M:%SZ} to the latest restorable time.",
            )
        # moto names automatic snapshots by the minute, in which there may be several here.
        for name in [
            each for each in self.backend.database_snapshots if each.startswith(f"rds:{self.params.get('TargetDBInstanceIdentifier')}-")
        ]:
            del self.backend.database_snapshots[name]
        answer = super().restore_db_instance_to_point_in_time()
        database = self._fresh()

        def work() -> None:
            postgres.archive(source)
            address = containers.free_address()
            moment = when.strftime("%Y-%m-%d %H:%M:%S.%f+00") if when else ""
            identifier, version = database.db_instance_identifier, str(database.engine_version)
            container = postgres.create(identifier, version, address, int(database.port), settings_of(database), rewound=(source, moment))
            self.begun(database, container)
            setattr(database, ADDRESS, address)

        change(database, "creating", work)
        return answer

    def copy_db_snapshot(self) -> ActionResult:
        given = self.params
        source, name = str(given["SourceDBSnapshotIdentifier"]), str(given["TargetDBSnapshotIdentifier"])
        region = source.split(":")[3] if source.startswith("arn:") else self.region
        if region == self.region:
            raise RdsError("InvalidParameterCombination", "Copies within a region are not rehearsed.")
        there = rds_backends[self.current_account][region].database_snapshots.get(source.rsplit(":", 1)[-1])
        if there is None:
            raise RdsError("DBSnapshotNotFound", f"DBSnapshot {source} not found.")
        if name in self.backend.database_snapshots:
            raise RdsError(
                "DBSnapshotAlreadyExists", f"Cannot create the snapshot because a snapshot with the identifier {name} already exists."
            )
        if there.encrypted and not given.get("KmsKeyId"):
            raise RdsError(
                "InvalidParameterCombination", "A copy of an encrypted snapshot into another region needs KmsKeyId, a key of that region."
            )
        copy = DBSnapshot(self.backend, there.database, name, tags=there.tags if given.get("CopyTags") else [], kms_key_id=there.kms_key_id)
        self.backend.database_snapshots[name] = copy
        copy.status = "creating"

        def work() -> None:
            postgres.copy_snapshot(there.db_snapshot_identifier, name)
            copy.status = "available"

        clock.later(work)
        return ActionResult({"DBSnapshot": copy})

    def delete_db_snapshot(self) -> ActionResult:
        name = self.params["DBSnapshotIdentifier"]
        answer = super().delete_db_snapshot()
        # A copy in another region may bear the same name.
        if not any(name in backend.database_snapshots for backend in rds_backends[self.current_account].values()):
            postgres.drop_snapshot(name)
        return answer

    @staticmethod
    def begun(database: Any, container: Any) -> None:
        """From now on an instance can be restored to any time."""
        postgres.back_up(container)
        setattr(database, _BEGUN, datetime.now(UTC))


def _time(text: Any) -> datetime:
    when = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
    return when if when.tzinfo else when.replace(tzinfo=UTC)
