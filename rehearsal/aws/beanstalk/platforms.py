"""The platforms that environments run on: those of moto's list of solution stacks, and what Beanstalk tells of them."""

from __future__ import annotations

import re
from typing import Any

from moto.elasticbeanstalk.responses import SOLUTION_STACK_DETAILS

from .errors import invalid

_STACK = re.compile(r"64bit (?P<os>Amazon Linux(?: \d+)?) v(?P<version>[\d.]+) running (?P<name>.+)")


def stacks() -> list[str]:
    """The solution stacks on offer."""
    return [str(each["SolutionStackName"]) for each in SOLUTION_STACK_DETAILS]


def runs_tasks(stack: str) -> bool:
    """Whether a stack is the ECS platform, which runs a Dockerrun.aws.json of version 2."""
    return stack.endswith("running ECS")


def platforms(region: str) -> list[dict[str, Any]]:
    """Every platform version, as ListPlatformVersions summarises it, the newest operating systems first."""
    found = []
    for stack in stacks():
        parts = _STACK.fullmatch(stack)
        if parts:
            branch = f"{parts['name']} running on 64bit {parts['os']}"
            found.append(
                {
                    "PlatformArn": f"arn:aws:elasticbeanstalk:{region}::platform/{branch}/{parts['version']}",
                    "PlatformOwner": "AWSElasticBeanstalk",
                    "PlatformStatus": "Ready",
                    "PlatformCategory": _category(parts["name"]),
                    "OperatingSystemName": "Amazon Linux",
                    "OperatingSystemVersion": parts["os"].removeprefix("Amazon Linux").strip() or "2018.03",
                    "SupportedTierList": ["WebServer/Standard", "Worker/SQS/HTTP"],
                    "SupportedAddonList": ["Log/S3", "Monitoring/Healthd", "WorkerDaemon/SQSD"],
                    "PlatformLifecycleState": "Recommended",
                    "PlatformVersion": parts["version"],
                    "PlatformBranchName": branch,
                    "PlatformBranchLifecycleState": "Supported" if parts["os"].endswith("2023") else "Deprecated",
                    "SolutionStackName": stack,
                }
            )
    return sorted(found, key=lambda each: (each["PlatformBranchLifecycleState"] != "Supported", each["PlatformBranchName"]))


def _category(name: str) -> str:
    return {"ECS": "Docker", "Multi-container Docker": "Docker"}.get(name, name.split(" ")[0])


def branches(region: str) -> list[dict[str, Any]]:
    """The platform branches, as ListPlatformBranches tells them."""
    return [
        {
            "PlatformName": each["PlatformCategory"],
            "BranchName": each["PlatformBranchName"],
            "LifecycleState": each["PlatformBranchLifecycleState"],
            "BranchOrder": 1000 - index,
            "SupportedTierList": each["SupportedTierList"],
        }
        for index, each in enumerate(platforms(region))
    ]


def resolve(region: str, stack: str | None, arn: str | None) -> tuple[str, str]:
    """The solution stack and platform ARN that a request names. Raises the service's error for one that there is not."""
    for each in platforms(region):
        unversioned = each["PlatformArn"].rsplit("/", 1)[0]
        if stack == each["SolutionStackName"] or arn in (each["PlatformArn"], unversioned):
            return each["SolutionStackName"], each["PlatformArn"]
    if stack:
        raise invalid(f"No Solution Stack named '{stack}' found.")
    raise invalid(f"No platform found for ARN '{arn}'." if arn else "Either SolutionStackName, PlatformArn or TemplateName is required.")


def matching(entries: list[dict[str, Any]], filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries that all of a request's filters let pass. Operators as the service names them."""

    def passes(entry: dict[str, Any], wanted: dict[str, Any]) -> bool:
        key = wanted.get("Attribute") or wanted.get("Type") or ""
        value = entry.get(key)
        values = [str(each) for each in (value if isinstance(value, list) else [value])]
        given = wanted.get("Values") or []
        operator = str(wanted.get("Operator") or "=").lower()
        hit = {
            "=": lambda: any(each in given for each in values),
            "in": lambda: any(each in given for each in values),
            "contains": lambda: any(text in each for each in values for text in given),
            "begins_with": lambda: any(each.startswith(tuple(given)) for each in values),
            "ends_with": lambda: any(each.endswith(tuple(given)) for each in values),
        }
        if operator in ("!=", "not_in"):
            return not any(each in given for each in values)
        if key == "PlatformName" and "PlatformBranchName" in entry:
            return any(each in entry["PlatformBranchName"] for each in given)
        if key == "PlatformVersion" and given == ["latest"]:
            return True
        return hit.get(operator, hit["="])()

    return [entry for entry in entries if all(passes(entry, each) for each in filters)]
