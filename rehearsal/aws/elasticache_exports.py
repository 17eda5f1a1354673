"""ElastiCache's snapshots, and as files in S3: exported into a bucket of the same region, and groups that begin with such a file.

Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CopySnapshot.html
"""

from __future__ import annotations

import json
from typing import Any

import botocore.exceptions
from moto.core.responses import ActionResult

from . import boto, cache_nodes, clock
from .elasticache import CacheError
from .elasticache_parameters import RehearsedElastiCacheWithParameters

_EXPORT = {
    "s3:PutObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:GetBucketAcl",
    "s3:ListMultipartUploadParts",
    "s3:ListBucketMultipartUploads",
}
_IMPORT = {"s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl"}


class RehearsedElastiCacheWithExports(RehearsedElastiCacheWithParameters):
    """Dispatches a request to the method of its operation."""

    def create_snapshot(self) -> ActionResult:
        group, name = self._find(ready=True), self.given["SnapshotName"]
        if name in self.here.snapshots:
            raise CacheError("SnapshotAlreadyExistsFault", f"Snapshot {name} already exists.")
        group.change("snapshotting", self._snapshot(group, name))
        if self.given.get("Tags"):
            self.elasticache_backend.add_tags_to_resource(self.here.snapshots[name]["ARN"], self.given["Tags"])
        return ActionResult({"Snapshot": self.here.snapshots[name]})

    def describe_snapshots(self) -> ActionResult:
        name, group = self.given.get("SnapshotName"), self.given.get("ReplicationGroupId")
        found = [
            each
            for each in self.here.snapshots.values()
            if name in (None, each["SnapshotName"]) and group in (None, each["ReplicationGroupId"])
        ]
        if name and not found:
            raise CacheError("SnapshotNotFoundFault", f"Snapshot {name} not found.")
        return ActionResult({"Snapshots": found})

    def delete_snapshot(self) -> ActionResult:
        name = self.given["SnapshotName"]
        if name not in self.here.snapshots:
            raise CacheError("SnapshotNotFoundFault", f"Snapshot {name} not found.")
        cache_nodes.drop(name)
        return ActionResult({"Snapshot": self.here.snapshots.pop(name) | {"SnapshotStatus": "deleting"}})

    def copy_snapshot(self) -> ActionResult:
        given = self.given
        name, target, bucket = given["SourceSnapshotName"], given["TargetSnapshotName"], given.get("TargetBucket")
        if name not in self.here.snapshots:
            raise CacheError("SnapshotNotFoundFault", f"Snapshot {name} not found.")
        entry = self.here.snapshots[name]
        if entry["SnapshotStatus"] != "available":
            raise CacheError("InvalidSnapshotStateFault", f"Snapshot {name} is {entry['SnapshotStatus']}.")
        if not bucket:
            raise CacheError("InvalidParameterCombination", "Copies of snapshots that are not exported are not rehearsed.")
        parts = {f"{target}-{number:04}.rdb": cache_nodes.kept(part) for number, part in enumerate(cache_nodes.parts(name), 1)}
        store = self._bucket(bucket, _EXPORT)
        for key in parts:
            if store.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
                raise CacheError("InvalidParameterValue", f"The S3 bucket {bucket} already contains an object with key {key}.")
        # A file appears when all of it is there.
        entry["SnapshotStatus"] = "copying"

        def export() -> None:
            for key, data in parts.items():
                store.put_object(Bucket=bucket, Key=key, Body=data)
            entry["SnapshotStatus"] = "available"

        clock.later(export)
        return ActionResult({"Snapshot": {**entry, "SnapshotName": target}})

    def _bucket(self, bucket: str, needed: set[str]) -> Any:
        """A client of a bucket of this region whose policy lets ElastiCache do what it needs."""
        store = boto.client("s3", self.region)
        try:
            place = store.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
        except botocore.exceptions.ClientError:
            raise CacheError("InvalidParameterValue", f"The S3 bucket {bucket} does not exist.") from None
        if place != self.region:
            raise CacheError("InvalidParameterValue", f"The S3 bucket {bucket} is outside of the region.")
        try:
            statements = json.loads(store.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        except botocore.exceptions.ClientError:
            statements = []
        service = f"{self.region}.elasticache-snapshot.amazonaws.com"
        allowed: set[str] = set()
        for each in statements:
            if each["Effect"] == "Allow" and isinstance(each["Principal"], dict) and each["Principal"].get("Service") == service:
                allowed |= {each["Action"]} if isinstance(each["Action"], str) else set(each["Action"])
        if lacking := needed - allowed:
            raise CacheError(
                "InvalidParameterValue", f"ElastiCache has not been granted {', '.join(sorted(lacking))} permissions on the S3 Bucket."
            )
        return store

    def _seed(self, given: dict[str, Any]) -> str:
        if not (arns := given.get("SnapshotArns")):
            return super()._seed(given)
        bucket, _slash, key = str(arns[0]).removeprefix("arn:aws:s3:::").partition("/")
        try:
            found = self._bucket(bucket, _IMPORT).get_object(Bucket=bucket, Key=key)["Body"].read()
        except botocore.exceptions.ClientError:
            raise CacheError("InvalidParameterValue", f"Unable to fetch metadata from S3 for bucket: {bucket} and object: {key}.") from None
        name = f"{given['ReplicationGroupId']}-seed"
        cache_nodes.keep_as(name, found)
        return name
