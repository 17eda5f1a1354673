"""RDS's API: moto's, with instances behind it that are servers, and with what moto lacks or answers otherwise than the service."""

from __future__ import annotations

import re
import secrets
from typing import Any

from moto.core.responses import ActionResult, PaginatedResult
from moto.rds.models import DBInstance
from moto.rds.responses import RDSResponse

from .. import containers
from . import clock, postgres, rds_catalog
from .rds_restores import ADDRESS, RdsError, Restores, change, settings_of, turn
from .unrehearsed import SaysWhatIsMissing

# What moto's instances forget, by the names of the API.
_FORGOTTEN = {
    "EnablePerformanceInsights": "performance_insights_enabled",
    "PerformanceInsightsKMSKeyId": "performance_insights_kms_key_id",
    "PerformanceInsightsRetentionPeriod": "performance_insights_retention_period",
    "NetworkType": "network_type",
    "DatabaseInsightsMode": "database_insights_mode",
}
_CLASS = re.compile(r"db\.[a-z0-9]+\.[0-9]*[a-z]+")
_PASSWORD = re.compile(r'[^\s/"@]{8,128}')


def _address(database: Any) -> str | None:
    """The address of an instance: none while it is being made, and that of its server afterwards."""
    return getattr(database, ADDRESS, None)


def _endpoint(database: Any) -> dict[str, Any] | None:
    address = _address(database)
    return {"Address": address, "Port": database.port, "HostedZoneId": "Z2R2ITUGPM61AM"} if address else None


def install() -> None:
    """Let moto's instances tell the addresses of their servers."""
    for name, read in (("address", _address), ("endpoint", _endpoint)):
        setattr(DBInstance, name, property(read))


class RehearsedRds(Restores, SaysWhatIsMissing, RDSResponse):
    """Dispatches a request to the method of its operation."""

    def _find(self, *, ready: bool = False) -> Any:
        identifier = self.params.get("DBInstanceIdentifier")
        database = self.backend.describe_db_instances(identifier)[0]
        if ready and database.status != "available":
            raise RdsError("InvalidDBInstanceState", f"Database instance is not in available state: {identifier} is {database.status}.")
        return database

    def _check(self) -> None:
        """Refuse what RDS refuses, before anything is made."""
        given = self.params
        if given.get("Engine") == "postgres" or given.get("EngineVersion"):
            version = rds_catalog.full_version(given.get("EngineVersion"))
            if version is None:
                raise RdsError("InvalidParameterCombination", f"Cannot find version {given.get('EngineVersion')} for postgres")
            if given.get("EngineVersion"):
                given["EngineVersion"] = version
        class_ = given.get("DBInstanceClass")
        if class_ and not _CLASS.fullmatch(class_):
            raise RdsError("InvalidParameterValue", f"Invalid DB Instance class: {class_}")
        password = given.get("MasterUserPassword")
        if password and given.get("ManageMasterUserPassword"):
            raise RdsError("InvalidParameterCombination", "You can't specify MasterUserPassword with ManageMasterUserPassword.")
        if password and not _PASSWORD.fullmatch(password):
            raise RdsError(
                "InvalidParameterValue",
                "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.",
            )

    def _remember(self, database: Any) -> None:
        for word, attribute in _FORGOTTEN.items():
            if self.params.get(word) is not None:
                setattr(database, attribute, self.params.get(word))

    def create_db_instance(self) -> ActionResult:
        self._check()
        given = self.params
        if given.get("Engine") != "postgres":
            return super().create_db_instance()
        given["EngineVersion"] = rds_catalog.full_version(given.get("EngineVersion"))
        password = given.get("MasterUserPassword")
        answer = super().create_db_instance()
        database = self.backend.databases[given["DBInstanceIdentifier"]]
        database.dbi_resource_id = "db-" + secrets.token_hex(13).upper()
        database.ca_certificate_identifier = given.get("CACertificateIdentifier") or rds_catalog.DEFAULT_CERTIFICATE
        self._remember(database)
        if database.storage_type == "gp3":
            # What gp3 comes with, below 400 GiB.
            database.iops, database.storage_throughput = database.iops or "3000", database.storage_throughput or 125
        if password is None and given.get("ManageMasterUserPassword"):
            password = secrets.token_hex(16)
        change(database, "creating", lambda: self._start(database, str(password)))
        return answer

    @staticmethod
    def _start(database: Any, password: str, snapshot: str | None = None) -> None:
        identifier = database.db_instance_identifier
        address = containers.free_address()
        container = postgres.create(identifier, database.engine_version, address, int(database.port), settings_of(database))
        if snapshot:
            postgres.load(container, snapshot)
        else:
            postgres.make_master(container, database.master_username, password, database.db_name)
        postgres.restart(container)
        Restores.begun(database, container)
        setattr(database, ADDRESS, address)

    def modify_db_instance(self) -> ActionResult:
        self._check()
        database, given = self._find(ready=True), self.params
        group, version = database.db_parameter_group_name, str(database.engine_version)
        wanted = str(given.get("EngineVersion") or version)
        if wanted.split(".")[0] != version.split(".")[0] and not given.get("AllowMajorVersionUpgrade"):
            raise RdsError(
                "InvalidParameterCombination", "The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version."
            )
        password, identifier = given.get("MasterUserPassword"), database.db_instance_identifier
        answer = super().modify_db_instance()
        self._remember(database)
        # moto takes the new name out of what was given.
        if database.db_instance_identifier != identifier:
            postgres.rename(identifier, database.db_instance_identifier)

        def work() -> None:
            container = postgres.find(database.db_instance_identifier)
            if container is not None and password:
                postgres.set_password(container, database.master_username, password)
            if container is not None and database.db_parameter_group_name != group:
                postgres.apply(container, settings_of(database))

        change(database, "modifying", work)
        return answer

    def reboot_db_instance(self) -> ActionResult:
        database = self._find(ready=True)
        container = postgres.find(database.db_instance_identifier)
        forced = bool(self.params.get("ForceFailover"))
        if forced and not database.multi_az:
            raise RdsError("InvalidParameterCombination", "Cannot reboot with failover an instance that is not Multi-AZ.")
        if container is not None:
            postgres.apply(container, settings_of(database))
            change(database, "rebooting", lambda: postgres.restart(container, forced=forced))
        return ActionResult({"DBInstance": database})

    def delete_db_instance(self) -> ActionResult:
        database = self._find()
        identifier, final = database.db_instance_identifier, self.params.get("FinalDBSnapshotIdentifier")
        container = postgres.find(identifier)
        if database.deletion_protection or not (final or self.params.get("SkipFinalSnapshot")):
            if not database.deletion_protection:
                raise RdsError(
                    "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
                )
            return super().delete_db_instance()
        answer = super().delete_db_instance()
        # moto forgets it at once; the service tells of it until it is gone.
        self.backend.databases[identifier] = database
        snapshot = self.backend.database_snapshots.get(final) if final else None
        if snapshot is not None:
            snapshot.status = "creating"

        def work() -> None:
            if final and container is not None:
                postgres.dump(container, final)
            if snapshot is not None:
                snapshot.status = "available"
            with turn(database):
                postgres.delete(identifier)
            clock.Stopwatch().wait(clock.seconds("rds"))
            self.backend.databases.pop(identifier, None)

        database.status = "deleting"
        clock.later(work)
        return answer

    def create_db_snapshot(self) -> ActionResult:
        database = self._find(ready=True)
        answer = super().create_db_snapshot()
        name = self.params["DBSnapshotIdentifier"]
        snapshot = self.backend.database_snapshots[name]
        container = postgres.find(database.db_instance_identifier)
        snapshot.status = "creating"

        def work() -> None:
            if container is not None:
                postgres.dump(container, name)
            snapshot.status = "available"

        change(database, "backing-up", work)
        return answer

    def modify_event_subscription(self) -> ActionResult:
        found = next(iter(self.backend.describe_event_subscriptions(self.params["SubscriptionName"])))
        for word, attribute in (("SnsTopicArn", "sns_topic_arn"), ("EventCategories", "event_categories"), ("Enabled", "enabled")):
            if self.params.get(word) is not None:
                setattr(found, attribute, self.params[word])
        return ActionResult({"EventSubscription": found})

    def modify_db_parameter_group(self) -> ActionResult:
        name = self.params.get("DBParameterGroupName")
        for each in self.params.get("Parameters") or []:
            if not rds_catalog.known(each["ParameterName"]):
                raise RdsError("InvalidParameterValue", f"Could not find parameter with name: {each['ParameterName']}")
        answer = super().modify_db_parameter_group()
        for database in list(self.backend.databases.values()):
            container = postgres.find(database.db_instance_identifier)
            if database.db_parameter_group_name == name and container is not None and database.status == "available":
                postgres.apply(container, settings_of(database))
        return answer

    def describe_db_parameter_groups(self) -> ActionResult:
        name = self.params.get("DBParameterGroupName")
        if name and not self.backend.describe_db_parameter_groups({"db_parameter_group_name": name}):
            raise RdsError("DBParameterGroupNotFound", f"DBParameterGroup {name} not found.")
        return super().describe_db_parameter_groups()

    def describe_db_parameters(self) -> ActionResult:
        name = self.params.get("DBParameterGroupName")
        groups = self.backend.describe_db_parameter_groups({"db_parameter_group_name": name})
        if not groups:
            raise RdsError("DBParameterGroupNotFound", f"DBParameterGroup {name} not found.")
        found = rds_catalog.parameters(groups[0].parameters)
        source = self.params.get("Source")
        return PaginatedResult({"Parameters": [each for each in found if source in (None, each["Source"])]})

    def describe_orderable_db_instance_options(self) -> ActionResult:
        if self.params.get("Engine") != "postgres":
            return super().describe_orderable_db_instance_options()
        version, wanted = self.params.get("EngineVersion"), self.params.get("DBInstanceClass")
        return PaginatedResult({"OrderableDBInstanceOptions": rds_catalog.orderable(version, wanted)})

    def describe_certificates(self) -> ActionResult:
        wanted = self.params.get("CertificateIdentifier")
        found = [each for each in rds_catalog.certificates() if wanted in (None, each["CertificateIdentifier"])]
        return PaginatedResult({"Certificates": found, "DefaultCertificateForNewLaunches": rds_catalog.DEFAULT_CERTIFICATE})

    def describe_db_engine_versions(self) -> ActionResult:
        given = self.params
        family, version = given.get("DBParameterGroupFamily"), given.get("EngineVersion")
        found = [
            each
            for each in rds_catalog.engine_versions()
            if given.get("Engine") in (None, "postgres")
            and family in (None, each["DBParameterGroupFamily"])
            and version in (None, each["EngineVersion"], each["MajorEngineVersion"])
        ]
        return ActionResult({"DBEngineVersions": found[-1:] if given.get("DefaultOnly") else found})
