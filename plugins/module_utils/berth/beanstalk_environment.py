# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Beanstalk environment as it is and as it should be, and what to make of how a change went."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

ENVIRONMENT = "aws:elasticbeanstalk:application:environment"
SECRETS = "aws:elasticbeanstalk:application:environmentsecrets"
Key = tuple[str, str]
# What the log streams of an app's containers begin with: the renderer names them so, and they are read when a change failed.
STREAM_PREFIX = "app"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{2,38}[A-Za-z0-9]")

# Values that are lists in which order says nothing; to the second kind Beanstalk adds its own.
_SETS = frozenset({"Subnets", "ELBSubnets"})
_GROWING = frozenset({"SecurityGroups"})
# What Beanstalk cannot change of an environment that runs.
_FIXED = {
    ("aws:ec2:vpc", "VPCId"): "the network",
    ("aws:elasticbeanstalk:environment", "EnvironmentType"): "the kind of environment",
    ("aws:elasticbeanstalk:environment", "LoadBalancerType"): "the kind of load balancer",
    ("aws:elasticbeanstalk:environment", "LoadBalancerIsShared"): "whether the load balancer is shared",
}
# Changes of these replace the instances, by the deployment or rolling update policy.
_REPLACES = frozenset({"aws:autoscaling:launchconfiguration", "aws:ec2:vpc", "aws:ec2:instances"})


class Change(NamedTuple):
    """What leads from the current state to the desired one.

    ``create``: whether the environment is to be made. ``settings`` and ``remove``: options to set and to remove. ``version``: the
    label to deploy, or None. ``description``: or None. ``tags``: to set. ``refused``: why not, or empty. ``before``, ``after``: what
    differs.
    """

    create: bool
    settings: dict[Key, str]
    remove: list[Key]
    version: str | None
    description: str | None
    tags: dict[str, str]
    refused: str
    before: dict[str, Any]
    after: dict[str, Any]

    def __bool__(self) -> bool:
        return bool(self.create or self.updates or self.tags)

    @property
    def updates(self) -> bool:
        """Whether UpdateEnvironment is needed."""
        return bool(self.settings or self.remove or self.version is not None or self.description is not None)


def pause(waited: float) -> float:
    """For how many seconds not to look, after so many of waiting: a twentieth of those. What took long is seen as soon, in proportion, as what
    did not, and what takes minutes costs few requests.
    """
    return min(max(waited / 20, 0.25), 5.0)


def name_problem(name: str) -> str:
    """Why Beanstalk would refuse an environment's name; empty when it would not."""
    if _NAME.fullmatch(name):
        return ""
    return f"name: {name!r} is no name of an environment, which has 4 to 40 letters, digits and hyphens, and a hyphen at neither end"


def as_text(value: Any) -> str:
    """An option's value as the API has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(as_text(each) for each in value)
    return str(value)


def desired_settings(
    settings: Mapping[str, Mapping[str, Any]], environment: Mapping[str, Any], secrets: Mapping[str, str]
) -> dict[Key, str]:
    """Namespace to option to value, environment properties and environment secrets, as one table. None leaves an option out."""
    table = {
        (space, name): as_text(value) for space, options in settings.items() for name, value in (options or {}).items() if value is not None
    }
    table.update({(ENVIRONMENT, name): as_text(value) for name, value in environment.items()})
    table.update({(SECRETS, name): as_text(value) for name, value in secrets.items()})
    return table


def current_settings(described: Iterable[Mapping[str, Any]]) -> dict[Key, str]:
    """DescribeConfigurationSettings' list as a table."""
    return {(each["Namespace"], each["OptionName"]): str(each["Value"]) for each in described if each.get("Value") is not None}


def option_list(settings: Mapping[Key, str]) -> list[dict[str, str]]:
    """A table as the API takes it, in stable order."""
    return [{"Namespace": space, "OptionName": name, "Value": value} for (space, name), value in sorted(settings.items())]


def _same(key: Key, current: str | None, wanted: str) -> bool:
    if current is None:
        return wanted == ""
    if key[1] in _SETS:
        return set(wanted.split(",")) == set(current.split(","))
    if key[1] in _GROWING:
        return set(wanted.split(",")) <= set(current.split(","))
    return current == wanted


def difference(
    environment: Mapping[str, Any] | None,
    current: Mapping[Key, str],
    wanted: Mapping[Key, str],
    version: str | None,
    description: str | None,
    tags: Mapping[str, str],
) -> Change:
    """Compare. ``environment``: DescribeEnvironments' entry, or None. Properties and secrets that are not wanted are removed."""
    if environment is None:
        shown = {f"{space} {name}": value for (space, name), value in sorted(wanted.items())}
        return Change(True, dict(wanted), [], version, description, dict(tags), "", {}, {"version": version, **shown})
    settings = {key: value for key, value in wanted.items() if not _same(key, current.get(key), value)}
    remove = sorted(key for key in current if key[0] in (ENVIRONMENT, SECRETS) and key not in wanted)
    new_version = version if version not in (None, environment.get("VersionLabel")) else None
    new_description = description if description is not None and description != environment.get("Description", "") else None
    before: dict[str, Any] = {f"{space} {name}": current.get((space, name)) for space, name in [*sorted(settings), *remove]}
    after: dict[str, Any] = {f"{space} {name}": value for (space, name), value in sorted(settings.items())}
    if new_version is not None:
        before["version"], after["version"] = environment.get("VersionLabel"), new_version
    if new_description is not None:
        before["description"], after["description"] = environment.get("Description", ""), new_description
    for key, value in tags.items():
        before[f"tag {key}"], after[f"tag {key}"] = None, value
    if any(space in _REPLACES for space, _name in settings):
        after["(effect)"] = "instances are replaced, as RollingUpdateType says"
    refused = ""
    for option in [option for option in settings if option in _FIXED and current.get(option)]:
        refused = (
            f"{option[0]} {option[1]}: environment {environment['EnvironmentName']} has {current[option]!r}, and Beanstalk cannot change "
            f"{_FIXED[option]} to {settings[option]!r}; make an environment of another name, and swap the CNAMEs"
        )
    return Change(False, settings, remove, new_version, new_description, dict(tags), refused, before, after)


def newest_platform(platforms: Iterable[Mapping[str, Any]], branch: str) -> str | None:
    """The ARN of a branch's newest platform version, by its number; None where the branch has none."""

    def number(entry: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(int(part) for part in str(entry.get("PlatformVersion", "")).split(".") if part.isdigit())

    found = [each for each in platforms if each.get("PlatformBranchName") == branch]
    return str(max(found, key=number)["PlatformArn"]) if found else None


def verdict(environment: Mapping[str, Any], version: str | None, events: Iterable[Mapping[str, Any]]) -> str:
    """What went wrong with a change that has ended, by the environment and the events since it began; empty when nothing did."""
    errors = [str(each["Message"]) for each in events if each.get("Severity") in ("ERROR", "FATAL")]
    name, serving = environment["EnvironmentName"], environment.get("VersionLabel")
    health = str(environment.get("Health") or "Grey")
    if version is not None and serving != version:
        still = f"it still serves version {serving}" if serving else "it serves nothing yet"
        return f"Environment {name} did not take version {version}; {still}, and its health is {health}. " + _list(errors)
    if health == "Red":
        return f"Environment {name} is red. " + _list(errors or ["its health is Red; status.yml and the console show the causes"])
    if errors and health != "Green":
        return f"Environment {name} was changed with errors, and its health is {health}. " + _list(errors)
    return ""


def _list(errors: list[str]) -> str:
    unique = list(dict.fromkeys(errors))
    if not unique:
        return "Beanstalk gives no reason."
    memory = any("OutOfMemory" in each for each in unique)
    remedy = ". Give the service more memory: mem_limit in the Compose file, and an instance type that has it" if memory else ""
    return "Beanstalk says: " + " | ".join(unique[:5]) + remedy
