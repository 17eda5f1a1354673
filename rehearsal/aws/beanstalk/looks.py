"""The operations that only look: events, health, resources and logs of environments."""

from __future__ import annotations

import io
import os
import zipfile
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult, EmptyResult

from .. import boto
from . import options
from .applications import Region, region
from .instances import now
from .requests import Identified

_MOST_EVENTS = 100


def _in_utc(moment: datetime) -> datetime:
    """A request's time: moto parses it without its zone, which is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _zipped(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("var/log/containers.log", text)
    return buffer.getvalue()


class Looks(Identified):
    """A part of the API's dispatcher."""

    @property
    def given(self) -> dict[str, Any]:
        """The request's parameters."""
        return dict(self.params)

    @property
    def here(self) -> Region:
        """What the request's account has in its region."""
        return region(self.current_account, self.region)

    def describe_events(self) -> ActionResult:
        given = self.given
        severities = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
        least = severities.index(given["Severity"]) if given.get("Severity") in severities else 0
        found = [
            event
            for each in self.here.environments
            if given.get("EnvironmentName") in (None, each.name)
            and given.get("EnvironmentId") in (None, each.id)
            and given.get("ApplicationName") in (None, each.application)
            for event in each.events
            if given.get("RequestId") in (None, event.get("RequestId"))
            and severities.index(event["Severity"]) >= least
            and (not given.get("StartTime") or event["EventDate"] >= _in_utc(given["StartTime"]))
            and (not given.get("EndTime") or event["EventDate"] < _in_utc(given["EndTime"]))
        ]
        newest = sorted(found, key=lambda event: event["EventDate"], reverse=True)
        return ActionResult({"Events": newest[: int(given.get("MaxRecords") or _MOST_EVENTS)]})

    def describe_environment_health(self) -> ActionResult:
        environment = self.here.environment(self.given)
        described = environment.describe()
        sick = sum(1 for each in environment.instances if each.problem)
        answer = {
            "EnvironmentName": environment.name,
            "HealthStatus": environment.health,
            "Status": environment.status,
            "Color": described["Health"],
            "Causes": environment.causes,
            "ApplicationMetrics": {"RequestCount": 0},
            "InstancesHealth": {"Ok": len(environment.instances) - sick, "Severe": sick},
            "RefreshedAt": now(),
        }
        return ActionResult(answer)

    def describe_instances_health(self) -> ActionResult:
        environment = self.here.environment(self.given)
        found = [
            {
                "InstanceId": each.id,
                "HealthStatus": "Severe" if each.problem else "Ok",
                "Color": "Red" if each.problem else "Green",
                "Causes": [each.problem] if each.problem else [],
                "LaunchedAt": each.launched,
                "ApplicationMetrics": {"RequestCount": 0},
                "System": {"LoadAverage": list(os.getloadavg())},
                "Deployment": {
                    "VersionLabel": environment.version or "",
                    "DeploymentId": environment.deployment,
                    "Status": "Deployed",
                    "DeploymentTime": environment.updated,
                },
                "AvailabilityZone": f"{self.region}a",
                "InstanceType": options.value(environment.settings, "aws:autoscaling:launchconfiguration", "InstanceType"),
            }
            for each in environment.instances
        ]
        return ActionResult({"InstanceHealthList": found, "RefreshedAt": now()})

    def describe_environment_resources(self) -> ActionResult:
        environment = self.here.environment(self.given)
        answer = {
            "EnvironmentName": environment.name,
            "AutoScalingGroups": [{"Name": f"awseb-{environment.id}-stack-AWSEBAutoScalingGroup"}],
            "Instances": [{"Id": each.id} for each in environment.instances],
            "LaunchConfigurations": [],
            "LaunchTemplates": [],
            "LoadBalancers": [{"Name": environment.balancer.address}],
            "Triggers": [],
            "Queues": [],
        }
        return ActionResult({"EnvironmentResources": answer})

    def request_environment_info(self) -> ActionResult:
        environment, kind = self.here.environment(self.given), self.given["InfoType"]
        environment.event("requestEnvironmentInfo is starting.")
        environment.event("Pulled logs for environment instances.")
        count = len(environment.tail())
        environment.event(f"[Instance: all] Successfully finished {'tailing' if kind == 'tail' else 'bundling'} {count} log(s)")
        return EmptyResult()

    def retrieve_environment_info(self) -> ActionResult:
        environment, kind = self.here.environment(self.given), self.given["InfoType"]
        bucket, client = self.here.storage(), boto.client("s3", self.region)
        found = []
        for name, text in environment.tail():
            # As the service does: the text is in S3, and whoever has the address may read it for a quarter of an hour.
            key = f"resources/environments/logs/{kind}/{environment.id}/{name}/{'TailLogs.txt' if kind == 'tail' else 'BundleLogs.zip'}"
            client.put_object(Bucket=bucket, Key=key, Body=text.encode() if kind == "tail" else _zipped(text))
            where = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=900)
            found.append({"InfoType": kind, "Ec2InstanceId": name, "SampleTimestamp": now(), "Message": where})
        return ActionResult({"EnvironmentInfo": found})
