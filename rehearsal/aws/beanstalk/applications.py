"""Applications and their versions, by account and region."""

from __future__ import annotations

from typing import Any

from .. import boto
from . import bundle
from .environment import Environment
from .errors import BeanstalkError, invalid, no_environment
from .instances import now

Answer = dict[str, Any]


class Region:
    """What one account has of Beanstalk in one region."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.name = account, region
        self.applications: dict[str, Answer] = {}
        self.versions: dict[tuple[str, str], Answer] = {}
        self.environments: list[Environment] = []
        self.tags: dict[str, dict[str, str]] = {}
        self.cname_prefixes: dict[str, str] = {}

    def storage(self) -> str:
        """The account's bucket for Beanstalk's own files in this region, made where it is missing, as CreateStorageLocation does."""
        bucket, client = f"elasticbeanstalk-{self.name}-{self.account}", boto.client("s3", self.name)
        if bucket not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            where = {} if self.name == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.name}}
            client.create_bucket(Bucket=bucket, **where)
        return bucket

    def arn(self, kind: str, path: str) -> str:
        """An ARN of Beanstalk's."""
        return f"arn:aws:elasticbeanstalk:{self.name}:{self.account}:{kind}/{path}"

    def application(self, name: str) -> Answer:
        """An application, or the service's error."""
        if name not in self.applications:
            raise invalid(f"No Application named '{name}' found.")
        return self.applications[name]

    def described(self, application: Answer) -> Answer:
        """An application with its versions' labels, as DescribeApplications tells it."""
        labels = [label for owner, label in self.versions if owner == application["ApplicationName"]]
        return application | {"Versions": list(reversed(labels)), "ConfigurationTemplates": []}

    def create_application(self, given: Answer) -> Answer:
        """CreateApplication."""
        name = given["ApplicationName"]
        if not 1 <= len(name) <= 100 or "/" in name:
            raise invalid(f"Value {name} at 'ApplicationName' failed to satisfy constraint: 1 to 100 characters without a slash")
        if name in self.applications:
            raise invalid(f"Application {name} already exists.")
        arn = self.arn("application", name)
        lifecycle = given.get("ResourceLifecycleConfig") or {
            "VersionLifecycleConfig": {
                "MaxCountRule": {"Enabled": False, "MaxCount": 200, "DeleteSourceFromS3": False},
                "MaxAgeRule": {"Enabled": False, "MaxAgeInDays": 180, "DeleteSourceFromS3": False},
            }
        }
        self.applications[name] = {
            "ApplicationArn": arn,
            "ApplicationName": name,
            "Description": given.get("Description") or "",
            "DateCreated": now(),
            "DateUpdated": now(),
            "ResourceLifecycleConfig": lifecycle,
        }
        self.tags[arn] = {each["Key"]: each["Value"] for each in given.get("Tags") or []}
        return self.described(self.applications[name])

    def delete_application(self, name: str, force: bool) -> None:
        """DeleteApplication: refused while environments run, unless forced."""
        if name not in self.applications:
            return
        running = [each for each in self.environments if each.application == name and each.status != "Terminated"]
        if running and not force:
            raise BeanstalkError("OperationInProgressFailure", f"Unable to delete application {name} because it has running environments.")
        for environment in running:
            environment.terminate()
        del self.applications[name]
        self.versions = {key: value for key, value in self.versions.items() if key[0] != name}

    def create_version(self, given: Answer) -> Answer:
        """CreateApplicationVersion: the bundle has to be there."""
        name, label = given["ApplicationName"], given["VersionLabel"]
        if name not in self.applications:
            if not given.get("AutoCreateApplication"):
                raise invalid(f"No Application named '{name}' found.")
            self.create_application({"ApplicationName": name})
        if not 1 <= len(label) <= 100 or "/" in label:
            raise invalid(f"Value {label} at 'VersionLabel' failed to satisfy constraint: 1 to 100 characters without a slash")
        if (name, label) in self.versions:
            raise invalid(f"Application Version {label} already exists.")
        source = given.get("SourceBundle") or {}
        if not source.get("S3Bucket") or not bundle.exists(self.name, source["S3Bucket"], source.get("S3Key", "")):
            where = f"Bucket: {source.get('S3Bucket')} Key: {source.get('S3Key')}"
            raise invalid(f"Unable to download from S3 location ({where}). Reason: Not Found")
        arn = self.arn("applicationversion", f"{name}/{label}")
        self.versions[name, label] = {
            "ApplicationVersionArn": arn,
            "ApplicationName": name,
            "Description": given.get("Description") or "",
            "VersionLabel": label,
            "SourceBundle": {"S3Bucket": source["S3Bucket"], "S3Key": source["S3Key"]},
            "DateCreated": now(),
            "DateUpdated": now(),
            "Status": "PROCESSED" if given.get("Process") else "UNPROCESSED",
        }
        self.tags[arn] = {each["Key"]: each["Value"] for each in given.get("Tags") or []}
        return self.versions[name, label]

    def delete_version(self, name: str, label: str) -> None:
        """DeleteApplicationVersion: refused while an environment runs it."""
        if any(each.application == name and each.version == label and each.status != "Terminated" for each in self.environments):
            raise BeanstalkError("SourceBundleDeletionFailure", f"Application version {label} is deployed to a running environment.")
        self.versions.pop((name, label), None)

    def version(self, name: str, label: str | None) -> Answer | None:
        """A version by its label; None where none is asked for."""
        if label is None:
            return None
        if (name, label) not in self.versions:
            raise invalid(f"No Application Version named '{label}' found.")
        return self.versions[name, label]

    def environment(self, given: Answer) -> Environment:
        """The environment that a request names, by id or name. A terminated one is not found by name."""
        identity, name = given.get("EnvironmentId"), given.get("EnvironmentName")
        for each in reversed(self.environments):
            if (identity and each.id == identity) or (not identity and name and each.name == name and each.status != "Terminated"):
                return each
        raise no_environment(str(name)) if name else invalid(f"No Environment found for EnvironmentId = '{identity}'.")

    def tags_of(self, arn: str) -> dict[str, str]:
        """The tags behind an ARN."""
        for each in self.environments:
            if each.arn == arn and each.status != "Terminated":
                return each.tags
        if arn not in self.tags:
            raise BeanstalkError("ResourceNotFoundException", f"Resource not found for ARN '{arn}'.")
        return self.tags[arn]


_REGIONS: dict[tuple[str, str], Region] = {}


def region(account: str, name: str) -> Region:
    """What an account has in a region."""
    return _REGIONS.setdefault((account, name), Region(account, name))


def everything() -> list[Environment]:
    """Every environment that runs, wherever."""
    return [each for found in _REGIONS.values() for each in found.environments if each.status != "Terminated"]
