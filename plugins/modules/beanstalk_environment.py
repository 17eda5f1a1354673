#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep an Elastic Beanstalk environment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: beanstalk_environment
short_description: Keep an Elastic Beanstalk environment, and deploy to it
description:
  - Makes an environment, brings its settings and its version to what is wanted, and waits until it is through, showing its events
    as they come. A deployment that fails ends in an error with the events and the last log lines; under a rolling or immutable
    deployment policy the old version goes on serving.
  - Environment properties and environment secrets that are not wanted are removed. Other settings that are not named stay.
options:
  name:
    description: Name of the environment. 4 to 40 letters, digits and hyphens.
    type: str
    required: true
  application:
    description: Name of the application.
    type: str
    required: true
  state:
    description: Whether it is there. V(absent) terminates it.
    type: str
    choices: [present, absent]
    default: present
  version_label:
    description: Version to deploy. Without it, the environment keeps the one it has.
    type: str
  rollback:
    description:
      - Change nothing but the version, and go back to O(version_label) - a label, or the release that it begins with - or without it to the
        version that was in service before. Settings, properties and secrets stay as they are. Once that is done it changes nothing.
    type: bool
    default: false
  platform_branch:
    description: Platform branch. A new environment runs its newest version; an existing one keeps its own, which managed updates renew.
    type: str
    default: ECS running on 64bit Amazon Linux 2023
  cname_prefix:
    description: First part of the environment's name in DNS, when it is made. By default Beanstalk chooses one.
    type: str
  description:
    description: What it is for.
    type: str
  settings:
    description: Namespace to option to value. None leaves an option out.
    type: dict
    default: {}
  environment:
    description: Environment properties - variable to value. No secrets; whoever may look at the environment reads them.
    type: dict
    default: {}
  secrets:
    description: Environment secrets - variable to the ARN of a secret (with C(:key) for a key of its JSON) or of a parameter.
    type: dict
    default: {}
  log_group:
    description:
      - CloudWatch log group to which the containers' logs go, in streams called C(app/CONTAINER/TASK). When a change fails, what they said
        since it began is shown. Without it, and where it holds nothing, the instances' own logs are.
    type: str
  tags:
    description: Tags to set. Others stay.
    type: dict
    default: {}
  wait:
    description: Whether to wait until it is through.
    type: bool
    default: true
  wait_timeout:
    description: For how many seconds.
    type: int
    default: 1800
  wait_slice:
    description:
      - Return after so many seconds though it is not through yet, with RV(pending). The action plugin of the same name uses it to show
        events as they come. V(0) does not.
    type: int
    default: 0
  noted:
    description: Whether it is noted already that the version came into service. Where not, that is made up for.
    type: bool
    default: true
  left:
    description: Which version was left (as RV(left) told it). For the action plugin.
    type: str
    default: ""
  since:
    description: Only follow a change that began at this time (as RV(since) told it). For the action plugin.
    type: str
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows what differs, and what a change interrupts.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Deploy a version, and keep the old one until the new one is healthy
  beanstalk_environment:
    name: shop-production
    application: shop
    version_label: 3f9c2e1-0b1c2d3e4f50
    settings:
      aws:elasticbeanstalk:command:
        DeploymentPolicy: Immutable
      aws:autoscaling:launchconfiguration:
        IamInstanceProfile: shop-instance
    environment:
      PGHOST: shop.abc.eu-central-1.rds.amazonaws.com
    secrets:
      PGPASSWORD: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:berth/shop/postgres-AbCdEf:password::"
"""

RETURN = r"""
environment:
  description: The environment as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
url:
  description: Where it answers, by its CNAME.
  type: str
  returned: success
events:
  description: What Beanstalk said since the change began, the oldest first - C(date), C(severity) and C(message).
  type: list
  elements: dict
  returned: success
version:
  description: Label of the version that was asked for.
  type: str
  returned: success
left:
  description: With O(rollback), label of the version that was left.
  type: str
  returned: success
pending:
  description: Whether it is not through yet.
  type: bool
  returned: success
since:
  description: When the change began.
  type: str
  returned: success
logs:
  description: The instances' last log lines.
  type: list
  elements: str
  returned: when a change failed
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.module_utils.berth import beanstalk_environment as environments
from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, made, tag_difference, tag_list
from ansible.module_utils.berth.beanstalk_served import noted, rollback_target
from ansible.module_utils.berth.problems import BerthError, with_log
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible.module_utils.urls import open_url
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

_LOG_LINES = 40
_LOGS_SECONDS = 1


class Keeper:
    """The calls, for one environment."""

    def __init__(self, module: Any) -> None:
        self.module, self.params = module, module.params
        self.client = module.client("elasticbeanstalk", retry_decorator=AWSRetry.jittered_backoff())
        # What is waited for began with this call, or in an earlier one.
        since = self.params["since"]
        self.began = time.monotonic() - ((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds() if since else 0)

    def describe(self) -> dict[str, Any] | None:
        """The environment, or None. A terminated one is none."""
        found = self.client.describe_environments(aws_retry=True, EnvironmentNames=[self.params["name"]], IncludeDeleted=False)
        alive = [each for each in found["Environments"] if each["Status"] != "Terminated"]
        return alive[-1] if alive else None

    def settings(self) -> dict[environments.Key, str]:
        """The environment's settings."""
        found = self.client.describe_configuration_settings(
            aws_retry=True, ApplicationName=self.params["application"], EnvironmentName=self.params["name"]
        )
        return environments.current_settings(found["ConfigurationSettings"][0]["OptionSettings"])

    def tags(self, arn: str) -> dict[str, str]:
        """The environment's tags."""
        found = self.client.list_tags_for_resource(aws_retry=True, ResourceArn=arn)
        return {each["Key"]: each["Value"] for each in found["ResourceTags"]}

    def back(self, there: dict[str, Any] | None) -> str:
        """The version to go back to. Raises :class:`BerthError`."""
        if there is None:
            raise BerthError(f"There is no environment {self.params['name']} that could go back; playbooks/site.yml makes it")
        found = self.client.describe_application_versions(aws_retry=True, ApplicationName=self.params["application"])
        return rollback_target(found["ApplicationVersions"], str(there.get("VersionLabel") or ""), self.params["version_label"] or "")

    def note(self, version: str, left: str) -> None:
        """Note that a version is in service, and which one was left for it."""
        application = self.params["application"]
        found = self.client.describe_application_versions(aws_retry=True, ApplicationName=application, VersionLabels=[version])
        for each in found["ApplicationVersions"]:
            text = noted(str(each.get("Description") or ""), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), left)
            self.client.update_application_version(aws_retry=True, ApplicationName=application, VersionLabel=version, Description=text)

    def events(self, since: datetime) -> list[dict[str, Any]]:
        """What was said since then, the oldest first."""
        found = self.client.describe_events(aws_retry=True, EnvironmentName=self.params["name"], StartTime=since, MaxRecords=200)
        return list(reversed(found["Events"]))

    def steady(self, until: float, *, gone: bool = False) -> tuple[dict[str, Any] | None, bool]:
        """Wait until the environment is through or ``until`` has come. Returns it, and whether it is through."""
        while True:
            there = self.describe()
            if there is None or (not gone and there["Status"] == "Ready"):
                return there, True
            now = time.monotonic()
            if now >= until:
                return there, False
            time.sleep(min(environments.pause(now - self.began), until - now))

    def create(self, change: environments.Change) -> None:
        """Make the environment."""
        branch = self.params["platform_branch"]
        filters = [{"Type": "PlatformBranchName", "Operator": "=", "Values": [branch]}]
        found = self.client.list_platform_versions(aws_retry=True, Filters=filters)["PlatformSummaryList"]
        platform = environments.newest_platform(found, branch)
        if platform is None:
            self.module.fail_json(msg=f"platform_branch: Beanstalk has no platform {branch!r} in this region")
        more = {"CNAMEPrefix": self.params["cname_prefix"], "VersionLabel": change.version, "Description": change.description}
        made(
            self.client.create_environment,
            ApplicationName=self.params["application"],
            EnvironmentName=self.params["name"],
            PlatformArn=platform,
            OptionSettings=environments.option_list(change.settings),
            Tags=tag_list(change.tags),
            **{key: value for key, value in more.items() if value},
        )

    def update(self, change: environments.Change, arn: str) -> None:
        """Change the environment."""
        if change.tags:
            self.client.update_tags_for_resource(aws_retry=True, ResourceArn=arn, TagsToAdd=tag_list(change.tags))
        if not change.updates:
            return
        more = {"VersionLabel": change.version, "Description": change.description}
        given = {
            "EnvironmentName": self.params["name"],
            "OptionSettings": environments.option_list(change.settings),
            "OptionsToRemove": [{"Namespace": space, "OptionName": name} for space, name in change.remove],
            **{key: value for key, value in more.items() if value is not None},
        }
        try:
            self.client.update_environment(**given)
        except AWS_ERRORS as error:
            if not (error_code(error) == "InvalidParameterValue" and "invalid state" in str(error)):
                raise
            # It was Ready a moment ago, so it is being changed by this very request, whose answer got lost, or by someone else.
            self.steady(time.monotonic() + self.params["wait_timeout"])
            self.client.update_environment(**given)

    def container_logs(self, since: datetime) -> list[str]:
        """What the containers that were started since then have said: their log group outlives the instances that were taken away."""
        group = self.params["log_group"]
        if not group:
            return []
        began = int(since.timestamp() * 1000)
        said: list[tuple[int, str]] = []
        try:
            client = self.module.client("logs", retry_decorator=AWSRetry.jittered_backoff())
            latest = client.describe_log_streams(aws_retry=True, logGroupName=group, orderBy="LastEventTime", descending=True, limit=50)
            for name in [each["logStreamName"] for each in latest["logStreams"] if each["creationTime"] >= began]:
                prefix, _slash, container = name.partition("/")
                if prefix == environments.STREAM_PREFIX:
                    found = client.get_log_events(aws_retry=True, logGroupName=group, logStreamName=name, limit=_LOG_LINES)["events"]
                    said += [(int(each["timestamp"]), f"{container.split('/')[0]}: {each['message'].rstrip()}") for each in found]
        except AWS_ERRORS:  # a log that cannot be had must not hide why it was wanted
            return []
        return [line for _stamp, line in sorted(said, key=lambda entry: entry[0])]

    def logs(self) -> list[str]:
        """The instances' last log lines, as far as they can be had."""
        lines: list[str] = []
        # What an earlier request brought is still there, and stale.
        asked = datetime.now(UTC) - timedelta(seconds=5)
        try:
            self.client.request_environment_info(EnvironmentName=self.params["name"], InfoType="tail")
            for _try in range(10):
                found = self.client.retrieve_environment_info(EnvironmentName=self.params["name"], InfoType="tail")["EnvironmentInfo"]
                found = [each for each in found if each.get("SampleTimestamp", asked) >= asked]
                if found:
                    break
                time.sleep(_LOGS_SECONDS)
            for each in found:
                text = each.get("Message") or ""
                if text.startswith(("https://", "http://")):
                    text = open_url(text, timeout=30).read().decode(errors="replace")
                lines += [f"{each.get('Ec2InstanceId', '')}: {line}" for line in text.splitlines()[-_LOG_LINES:]]
        except Exception as error:  # a log that cannot be had must not hide why it was wanted
            lines.append(f"(no logs: {error})")
        return lines


def shown(events: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Events as the module returns them."""
    return [{"date": each["EventDate"].isoformat(), "severity": each["Severity"], "message": each["Message"]} for each in events]


def finish(keeper: Keeper, since: datetime, *, changed: bool, diff: dict[str, Any], version: str | None, left: str) -> None:
    """Wait, judge, note what came into service, and end."""
    module, params = keeper.module, keeper.params
    slice_ = params["wait_slice"]
    if params["wait"]:
        there, through = keeper.steady(time.monotonic() + (slice_ or params["wait_timeout"]))
    else:
        there, through = keeper.describe(), True
    events = keeper.events(since) if changed or params["since"] else []
    answer = {
        "changed": changed,
        "environment": camel_dict_to_snake_dict(there or {}),
        "url": f"http://{there['CNAME']}" if there and there.get("CNAME") else "",
        "events": shown(events),
        "pending": not through,
        "since": since.isoformat(),
        "version": version or "",
        "left": left,
        "diff": diff,
    }
    if not through and not slice_:
        module.fail_json(
            msg=f"Environment {params['name']} is still {(there or {}).get('Status')} after {params['wait_timeout']} s; Beanstalk goes on. "
            "Run again, or give it longer with wait_timeout",
            **answer,
        )
    if there and through and params["wait"] and (changed or params["since"]):
        problem = environments.verdict(there, version, events)
        if problem:
            logs = keeper.container_logs(since) or keeper.logs()
            module.fail_json(msg=with_log(problem, logs[-_LOG_LINES:]), logs=logs, **answer)
    arrived = bool(params["wait"] and through and version and there and there.get("VersionLabel") == version)
    if arrived and version and (changed or params["since"] or not params["noted"]):
        keeper.note(version, left)
    module.exit_json(**answer)


def remove(keeper: Keeper, there: dict[str, Any] | None, since: datetime) -> None:
    """Terminate the environment, and end."""
    module, params = keeper.module, keeper.params
    changed = bool(there and there["Status"] != "Terminating")
    if there and not module.check_mode:
        if changed:
            keeper.steady(time.monotonic() + params["wait_timeout"])
            keeper.client.terminate_environment(EnvironmentName=params["name"], TerminateResources=True)
        through = True
        if params["wait"]:
            there, through = keeper.steady(time.monotonic() + params["wait_timeout"], gone=True)
        if not through:
            module.fail_json(msg=f"Environment {params['name']} is still being terminated after {params['wait_timeout']} s; AWS goes on")
    module.exit_json(changed=changed, environment={}, url="", events=[], pending=False, since=since.isoformat())


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "application": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "version_label": {"type": "str"},
            "rollback": {"type": "bool", "default": False},
            "platform_branch": {"type": "str", "default": "ECS running on 64bit Amazon Linux 2023"},
            "cname_prefix": {"type": "str"},
            "description": {"type": "str"},
            "settings": {"type": "dict", "default": {}},
            "environment": {"type": "dict", "default": {}},
            "secrets": {"type": "dict", "default": {}, "no_log": False},
            "log_group": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
            "wait": {"type": "bool", "default": True},
            "wait_timeout": {"type": "int", "default": 1800},
            "wait_slice": {"type": "int", "default": 0},
            "noted": {"type": "bool", "default": True},
            "left": {"type": "str", "default": ""},
            "since": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params, keeper = module.params, Keeper(module)
    problem = environments.name_problem(params["name"])
    if problem:
        module.fail_json(msg=problem)
    # The service's clock and ours may differ a little.
    since = datetime.fromisoformat(params["since"]) if params["since"] else datetime.now(UTC) - timedelta(seconds=1)
    try:
        if params["since"]:
            finish(keeper, since, changed=True, diff={}, version=params["version_label"], left=params["left"])
        there = keeper.describe()
        if params["state"] == "absent":
            remove(keeper, there, since)
        if there and there["ApplicationName"] != params["application"]:
            module.fail_json(
                msg=f"name: environment {params['name']} belongs to application {there['ApplicationName']}; choose another name"
            )
        if there and there["Status"] == "Terminating":
            keeper.steady(time.monotonic() + params["wait_timeout"], gone=True)
            there = None
        version, left = params["version_label"], ""
        if params["rollback"]:
            version, left = keeper.back(there), str((there or {}).get("VersionLabel") or "")
            change = environments.difference(there, {}, {}, version, None, {})
        else:
            wanted = environments.desired_settings(params["settings"], params["environment"], params["secrets"])
            own = keeper.tags(there["EnvironmentArn"]) if there else {}
            now = keeper.settings() if there else {}
            change = environments.difference(there, now, wanted, version, params["description"], tag_difference(own, params["tags"]))
        if change.refused:
            module.fail_json(msg=change.refused)
        diff = {"before": change.before, "after": change.after}
        if module.check_mode:
            url = f"http://{there['CNAME']}" if there and there.get("CNAME") else ""
            found = camel_dict_to_snake_dict(there or {})
            told = {"environment": found, "url": url, "events": [], "pending": False, "version": version or "", "left": left}
            module.exit_json(changed=bool(change), since=since.isoformat(), diff=diff, **told)
        if change.create:
            keeper.create(change)
        elif change:
            # An environment that is being changed refuses another change.
            before, through = keeper.steady(time.monotonic() + params["wait_timeout"])
            if not through or before is None:
                module.fail_json(msg=f"Environment {params['name']} is still being changed by something else; run again when it is Ready")
            keeper.update(change, before["EnvironmentArn"])
        finish(keeper, since, changed=bool(change), diff=diff, version=version, left=left)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Keeping environment {params['name']}")


if __name__ == "__main__":
    main()
