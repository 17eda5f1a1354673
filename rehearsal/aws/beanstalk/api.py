"""Elastic Beanstalk's API: each method answers one operation, in the shapes of botocore's service model."""

from __future__ import annotations

import re

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import get_service_model

from . import options, platforms
from .environment import Environment
from .errors import BeanstalkError, invalid, not_ready
from .instances import now
from .looks import Looks

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{2,38}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]")


def install() -> None:
    """Let answers hold what the service tells and botocore's model leaves out; the EB CLI's own model has it, and `eb health` needs it."""
    shapes = get_service_model("elasticbeanstalk")._service_description["shapes"]  # one table for all, which moto keeps
    shapes["ConfigurationSettingsDescription"]["members"]["Tier"] = {"shape": "EnvironmentTier"}


class BeanstalkResponse(Looks):
    """Dispatches a request to the method of its operation."""

    def __init__(self) -> None:
        super().__init__(service_name="elasticbeanstalk")
        self.automated_parameter_parsing = True

    # Applications and versions

    def create_application(self) -> ActionResult:
        return ActionResult({"Application": self.here.create_application(self.given)})

    def describe_applications(self) -> ActionResult:
        names = self.given.get("ApplicationNames")
        found = [self.here.described(each) for name, each in self.here.applications.items() if not names or name in names]
        return ActionResult({"Applications": found})

    def update_application(self) -> ActionResult:
        application = self.here.application(self.given["ApplicationName"])
        application.update({"Description": self.given.get("Description", application["Description"]), "DateUpdated": now()})
        return ActionResult({"Application": self.here.described(application)})

    def update_application_resource_lifecycle(self) -> ActionResult:
        application = self.here.application(self.given["ApplicationName"])
        application["ResourceLifecycleConfig"] = self.given["ResourceLifecycleConfig"]
        answer = {"ApplicationName": application["ApplicationName"], "ResourceLifecycleConfig": application["ResourceLifecycleConfig"]}
        return ActionResult(answer)

    def delete_application(self) -> ActionResult:
        self.here.delete_application(self.given["ApplicationName"], bool(self.given.get("TerminateEnvByForce")))
        return EmptyResult()

    def create_application_version(self) -> ActionResult:
        return ActionResult({"ApplicationVersion": self.here.create_version(self.given)})

    def describe_application_versions(self) -> ActionResult:
        name, labels = self.given.get("ApplicationName"), self.given.get("VersionLabels")
        found = [
            version
            for (owner, label), version in reversed(self.here.versions.items())
            if name in (None, owner) and (not labels or label in labels)
        ]
        return ActionResult({"ApplicationVersions": found})

    def update_application_version(self) -> ActionResult:
        version = self.here.version(self.given["ApplicationName"], self.given["VersionLabel"]) or {}
        version.update({"Description": self.given.get("Description", version["Description"]), "DateUpdated": now()})
        return ActionResult({"ApplicationVersion": version})

    def delete_application_version(self) -> ActionResult:
        self.here.delete_version(self.given["ApplicationName"], self.given["VersionLabel"])
        return EmptyResult()

    def create_storage_location(self) -> ActionResult:
        return ActionResult({"S3Bucket": self.here.storage()})

    # Platforms and options

    def list_available_solution_stacks(self) -> ActionResult:
        stacks = platforms.stacks()
        details = [{"SolutionStackName": each, "PermittedFileTypes": ["zip", "json"]} for each in stacks]
        return ActionResult({"SolutionStacks": stacks, "SolutionStackDetails": details})

    def list_platform_branches(self) -> ActionResult:
        found = platforms.matching(platforms.branches(self.region), self.given.get("Filters") or [])
        return ActionResult({"PlatformBranchSummaryList": found})

    def list_platform_versions(self) -> ActionResult:
        found = platforms.matching(platforms.platforms(self.region), self.given.get("Filters") or [])
        return ActionResult({"PlatformSummaryList": found})

    def describe_platform_version(self) -> ActionResult:
        stack, arn = platforms.resolve(self.region, None, self.given.get("PlatformArn"))
        found = next(each for each in platforms.platforms(self.region) if each["PlatformArn"] == arn)
        description = found | {
            "SolutionStackName": stack,
            "PlatformName": found["PlatformBranchName"],
            "DateCreated": now(),
            "DateUpdated": now(),
        }
        return ActionResult({"PlatformDescription": description})

    def describe_configuration_options(self) -> ActionResult:
        stack = self.here.environment(self.given).stack if self.given.get("EnvironmentName") else self.given.get("SolutionStackName")
        return ActionResult({"SolutionStackName": stack or "", "Options": options.described()})

    def describe_configuration_settings(self) -> ActionResult:
        environment = self.here.environment(self.given)
        answer = {
            "SolutionStackName": environment.stack,
            "PlatformArn": environment.platform_arn,
            "ApplicationName": environment.application,
            "Description": environment.description,
            "EnvironmentName": environment.name,
            "Tier": environment.tier,
            "DeploymentStatus": "deployed" if environment.status == "Ready" else "pending",
            "DateCreated": environment.created,
            "DateUpdated": environment.updated,
            "OptionSettings": options.effective(environment.settings),
        }
        return ActionResult({"ConfigurationSettings": [answer]})

    def validate_configuration_settings(self) -> ActionResult:
        messages = []
        for setting in self.given.get("OptionSettings") or []:
            try:
                options.check([setting])
            except BeanstalkError as error:
                where = {"Namespace": setting.get("Namespace"), "OptionName": setting.get("OptionName")}
                messages.append({"Message": error.message, "Severity": "error", **where})
        return ActionResult({"Messages": messages})

    # Environments

    def check_dns_availability(self) -> ActionResult:
        prefix = self.given["CNAMEPrefix"]
        if not _PREFIX.fullmatch(prefix):
            raise invalid(f"Value {prefix} at 'CNAMEPrefix' failed to satisfy constraint: 4 to 63 letters, digits and hyphens")
        name = f"{prefix.lower()}.{self.region}.elasticbeanstalk.com"
        return ActionResult({"Available": prefix.lower() not in self.here.cname_prefixes, "FullyQualifiedCNAME": name})

    def create_environment(self) -> ActionResult:
        given, here = self.given, self.here
        application = here.application(given["ApplicationName"])["ApplicationName"]
        name = given.get("EnvironmentName") or ""
        if not _NAME.fullmatch(name):
            raise invalid(
                f"Value {name} at 'EnvironmentName' failed to satisfy constraint: Member must be from 4 to 40 characters in length. "
                "The name can contain only letters, numbers, and hyphens, and can't start or end with a hyphen."
            )
        if any(each.name == name and each.status != "Terminated" for each in here.environments):
            raise invalid(f"Environment {name} already exists.")
        prefix = (given.get("CNAMEPrefix") or "").lower()
        if prefix and prefix in here.cname_prefixes:
            raise invalid(f"DNS name ({prefix}.{self.region}.elasticbeanstalk.com) is not available.")
        stack, arn = platforms.resolve(self.region, given.get("SolutionStackName"), given.get("PlatformArn"))
        settings = options.check(given.get("OptionSettings") or [])
        if not settings.get(("aws:autoscaling:launchconfiguration", "IamInstanceProfile")):
            raise invalid("Environment must have instance profile associated with it.")
        version = here.version(application, given.get("VersionLabel"))
        environment = Environment(self.region, self.current_account, application, name, stack, arn, given)
        environment.settings = settings
        if prefix:
            here.cname_prefixes[prefix] = environment.id
        here.environments.append(environment)
        environment.launch(version)
        return ActionResult(environment.describe())

    def describe_environments(self) -> ActionResult:
        given = self.given
        found = [
            each.describe()
            for each in self.here.environments
            if given.get("ApplicationName") in (None, each.application)
            and given.get("VersionLabel") in (None, each.version)
            and (not given.get("EnvironmentIds") or each.id in given["EnvironmentIds"])
            and (not given.get("EnvironmentNames") or each.name in given["EnvironmentNames"])
            and (each.status != "Terminated" or given.get("IncludeDeleted"))
        ]
        return ActionResult({"Environments": found})

    def _ready(self) -> Environment:
        environment = self.here.environment(self.given)
        if environment.status != "Ready":
            raise not_ready(environment.name)
        return environment

    def update_environment(self) -> ActionResult:
        environment, given = self._ready(), self.given
        settings = environment.settings | options.check(given.get("OptionSettings") or [])
        for each in given.get("OptionsToRemove") or []:
            settings.pop((each.get("Namespace"), each.get("OptionName")), None)
        label = given.get("VersionLabel")
        version = self.here.version(environment.application, label or environment.version)
        if given.get("SolutionStackName") or given.get("PlatformArn"):
            environment.stack, environment.platform_arn = platforms.resolve(
                self.region, given.get("SolutionStackName"), given.get("PlatformArn")
            )
        environment.description = given.get("Description", environment.description)
        environment.update(version, settings, label)
        return ActionResult(environment.describe())

    def terminate_environment(self) -> ActionResult:
        environment = self.here.environment(self.given)
        if environment.status in ("Terminating", "Terminated"):
            raise not_ready(environment.name)
        self.here.cname_prefixes = {key: value for key, value in self.here.cname_prefixes.items() if value != environment.id}
        environment.terminate()
        return ActionResult(environment.describe())

    def rebuild_environment(self) -> ActionResult:
        environment = self._ready()
        environment.rebuild(self.here.version(environment.application, environment.version))
        return EmptyResult()

    def restart_app_server(self) -> ActionResult:
        environment = self._ready()
        environment.restart_app(self.here.version(environment.application, environment.version))
        return EmptyResult()

    def swap_environment_cnames(self) -> ActionResult:
        pair = []
        for side in ("Source", "Destination"):
            names = {"EnvironmentId": self.given.get(f"{side}EnvironmentId"), "EnvironmentName": self.given.get(f"{side}EnvironmentName")}
            pair.append(self.here.environment(names))
        first, second = pair
        if not first.status == second.status == "Ready":
            raise not_ready(first.name if first.status != "Ready" else second.name)
        # The name keeps its address, and leads to the other environment's instances: as a swapped CNAME does.
        first.balancer, second.balancer = second.balancer, first.balancer
        first.balancer.targets, second.balancer.targets = second.balancer.targets, first.balancer.targets
        first.address, second.address = second.address, first.address
        for environment in pair:
            environment.event(f"Completed swapping CNAMEs for environments '{first.name}' and '{second.name}'.")
        return EmptyResult()

    # moto's word for SwapEnvironmentCNAMEs.
    swap_environment_cnam_es = swap_environment_cnames

    # Tags

    def list_tags_for_resource(self) -> ActionResult:
        arn = self.given["ResourceArn"]
        return ActionResult({"ResourceArn": arn, "ResourceTags": [{"Key": k, "Value": v} for k, v in self.here.tags_of(arn).items()]})

    def update_tags_for_resource(self) -> ActionResult:
        tags = self.here.tags_of(self.given["ResourceArn"])
        tags.update({each["Key"]: each["Value"] for each in self.given.get("TagsToAdd") or []})
        for key in self.given.get("TagsToRemove") or []:
            tags.pop(key, None)
        return EmptyResult()
