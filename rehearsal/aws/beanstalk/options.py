"""The configuration options that environments know, with their defaults.

Source: https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html (a part of it: what Berth and the EB CLI use).
"""

from __future__ import annotations

from typing import Any

from .errors import invalid

ENVIRONMENT = "aws:elasticbeanstalk:application:environment"
SECRETS = "aws:elasticbeanstalk:application:environmentsecrets"
PROCESS = "aws:elasticbeanstalk:environment:process:"
_NO_EFFECT, _RESTART = "NoInterruption", "RestartEnvironment"
Key = tuple[str, str]

# namespace -> option -> (default, severity of a change)
_OPTIONS: dict[str, dict[str, tuple[str | None, str]]] = {
    "aws:autoscaling:asg": {
        "MinSize": ("1", _NO_EFFECT),
        "MaxSize": ("4", _NO_EFFECT),
        "Cooldown": ("360", _NO_EFFECT),
        "Availability Zones": ("Any", _NO_EFFECT),
        "Custom Availability Zones": (None, _NO_EFFECT),
        "EnableCapacityRebalancing": ("false", _NO_EFFECT),
    },
    "aws:autoscaling:launchconfiguration": {
        "IamInstanceProfile": (None, _RESTART),
        "InstanceType": ("t3.micro", _RESTART),
        "ImageId": (None, _RESTART),
        "EC2KeyName": (None, _RESTART),
        "SecurityGroups": (None, _RESTART),
        "RootVolumeType": (None, _RESTART),
        "RootVolumeSize": (None, _RESTART),
        "RootVolumeIOPS": (None, _RESTART),
        "RootVolumeThroughput": (None, _RESTART),
        "BlockDeviceMappings": (None, _RESTART),
        "SSHSourceRestriction": ("tcp,22,22,0.0.0.0/0", _NO_EFFECT),
        "DisableIMDSv1": ("true", _RESTART),
        "MonitoringInterval": ("5 minute", _NO_EFFECT),
        "DisableDefaultEC2SecurityGroup": ("false", _RESTART),
    },
    "aws:autoscaling:trigger": {
        "MeasureName": ("NetworkOut", _NO_EFFECT),
        "Statistic": ("Average", _NO_EFFECT),
        "Unit": ("Bytes", _NO_EFFECT),
        "LowerThreshold": ("2000000", _NO_EFFECT),
        "UpperThreshold": ("6000000", _NO_EFFECT),
        "LowerBreachScaleIncrement": ("-1", _NO_EFFECT),
        "UpperBreachScaleIncrement": ("1", _NO_EFFECT),
        "Period": ("5", _NO_EFFECT),
        "BreachDuration": ("5", _NO_EFFECT),
        "EvaluationPeriods": ("1", _NO_EFFECT),
    },
    "aws:autoscaling:updatepolicy:rollingupdate": {
        "RollingUpdateEnabled": ("false", _NO_EFFECT),
        "RollingUpdateType": ("Time", _NO_EFFECT),
        "MinInstancesInService": (None, _NO_EFFECT),
        "MaxBatchSize": (None, _NO_EFFECT),
        "PauseTime": (None, _NO_EFFECT),
        "Timeout": ("PT30M", _NO_EFFECT),
    },
    "aws:ec2:instances": {
        "InstanceTypes": ("t3.micro,t3.small", _RESTART),
        "SupportedArchitectures": ("x86_64", _RESTART),
        "EnableSpot": ("false", _RESTART),
    },
    "aws:ec2:vpc": {
        "VPCId": (None, _RESTART),
        "Subnets": (None, _RESTART),
        "ELBSubnets": (None, _RESTART),
        "ELBScheme": ("public", _RESTART),
        "DBSubnets": (None, _RESTART),
        "AssociatePublicIpAddress": (None, _RESTART),
    },
    "aws:elasticbeanstalk:application": {"Application Healthcheck URL": (None, _NO_EFFECT)},
    "aws:elasticbeanstalk:cloudwatch:logs": {
        "StreamLogs": ("false", _NO_EFFECT),
        "DeleteOnTerminate": ("false", _NO_EFFECT),
        "RetentionInDays": ("7", _NO_EFFECT),
    },
    "aws:elasticbeanstalk:cloudwatch:logs:health": {
        "HealthStreamingEnabled": ("false", _NO_EFFECT),
        "DeleteOnTerminate": ("false", _NO_EFFECT),
        "RetentionInDays": ("7", _NO_EFFECT),
    },
    "aws:elasticbeanstalk:command": {
        "DeploymentPolicy": ("AllAtOnce", _NO_EFFECT),
        "Timeout": ("600", _NO_EFFECT),
        "BatchSizeType": ("Percentage", _NO_EFFECT),
        "BatchSize": ("100", _NO_EFFECT),
        "IgnoreHealthCheck": ("false", _NO_EFFECT),
    },
    "aws:elasticbeanstalk:control": {
        "DefaultSSHPort": ("22", _NO_EFFECT),
        "LaunchTimeout": ("0", _NO_EFFECT),
        "LaunchType": ("Migration", _NO_EFFECT),
        "RollbackLaunchOnFailure": ("false", _NO_EFFECT),
    },
    "aws:elasticbeanstalk:environment": {
        "EnvironmentType": ("LoadBalanced", _RESTART),
        "ServiceRole": (None, _NO_EFFECT),
        "LoadBalancerType": ("classic", _RESTART),
        "LoadBalancerIsShared": ("false", _RESTART),
        "ExternalExtensionsS3Bucket": (None, _NO_EFFECT),
        "ExternalExtensionsS3Key": (None, _NO_EFFECT),
    },
    "aws:elasticbeanstalk:environment:proxy:staticfiles": {},
    "aws:elasticbeanstalk:healthreporting:system": {
        "SystemType": ("basic", _NO_EFFECT),
        "ConfigDocument": (None, _NO_EFFECT),
        "EnhancedHealthAuthEnabled": ("true", _NO_EFFECT),
        "HealthCheckSuccessThreshold": ("Ok", _NO_EFFECT),
    },
    "aws:elasticbeanstalk:hostmanager": {"LogPublicationControl": ("false", _NO_EFFECT)},
    "aws:elasticbeanstalk:managedactions": {
        "ManagedActionsEnabled": ("false", _NO_EFFECT),
        "PreferredStartTime": (None, _NO_EFFECT),
        "ServiceRoleForManagedUpdates": (None, _NO_EFFECT),
    },
    "aws:elasticbeanstalk:managedactions:platformupdate": {
        "UpdateLevel": (None, _NO_EFFECT),
        "InstanceRefreshEnabled": ("false", _NO_EFFECT),
    },
    "aws:elasticbeanstalk:monitoring": {"Automatically Terminate Unhealthy Instances": ("true", _NO_EFFECT)},
    "aws:elasticbeanstalk:sns:topics": {
        "Notification Endpoint": (None, _NO_EFFECT),
        "Notification Protocol": ("email", _NO_EFFECT),
        "Notification Topic ARN": (None, _NO_EFFECT),
        "Notification Topic Name": (None, _NO_EFFECT),
    },
    "aws:elasticbeanstalk:xray": {"XRayEnabled": ("false", _NO_EFFECT)},
    "aws:elb:healthcheck": {
        "HealthyThreshold": ("3", _NO_EFFECT),
        "Interval": ("10", _NO_EFFECT),
        "Timeout": ("5", _NO_EFFECT),
        "UnhealthyThreshold": ("5", _NO_EFFECT),
    },
    "aws:elb:loadbalancer": {
        "CrossZone": ("false", _NO_EFFECT),
        "LoadBalancerHTTPPort": ("80", _NO_EFFECT),
        "LoadBalancerHTTPSPort": ("OFF", _NO_EFFECT),
        "LoadBalancerPortProtocol": ("HTTP", _NO_EFFECT),
        "LoadBalancerSSLPortProtocol": ("HTTPS", _NO_EFFECT),
        "ManagedSecurityGroup": (None, _NO_EFFECT),
        "SecurityGroups": (None, _NO_EFFECT),
        "SSLCertificateId": (None, _NO_EFFECT),
    },
    "aws:elb:policies": {
        "ConnectionDrainingEnabled": ("false", _NO_EFFECT),
        "ConnectionDrainingTimeout": ("20", _NO_EFFECT),
        "ConnectionSettingIdleTimeout": ("60", _NO_EFFECT),
        "LoadBalancerPorts": (":all", _NO_EFFECT),
        "Stickiness Cookie Expiration": ("0", _NO_EFFECT),
        "Stickiness Policy": ("false", _NO_EFFECT),
    },
    "aws:elbv2:loadbalancer": {
        "AccessLogsS3Bucket": (None, _NO_EFFECT),
        "AccessLogsS3Enabled": ("false", _NO_EFFECT),
        "AccessLogsS3Prefix": (None, _NO_EFFECT),
        "IdleTimeout": (None, _NO_EFFECT),
        "ManagedSecurityGroup": (None, _NO_EFFECT),
        "SecurityGroups": (None, _NO_EFFECT),
    },
}
_LISTENER = {
    "ListenerEnabled": ("true", _NO_EFFECT),
    "Protocol": ("HTTP", _NO_EFFECT),
    "DefaultProcess": ("default", _NO_EFFECT),
    "Rules": (None, _NO_EFFECT),
    "SSLCertificateArns": (None, _NO_EFFECT),
    "SSLPolicy": (None, _NO_EFFECT),
}
_PROCESS = {
    "Port": ("80", _NO_EFFECT),
    "Protocol": ("HTTP", _NO_EFFECT),
    "HealthCheckPath": ("/", _NO_EFFECT),
    "HealthCheckInterval": ("15", _NO_EFFECT),
    "HealthCheckTimeout": ("5", _NO_EFFECT),
    "HealthyThresholdCount": ("3", _NO_EFFECT),
    "UnhealthyThresholdCount": ("5", _NO_EFFECT),
    "MatcherHTTPCode": (None, _NO_EFFECT),
    "DeregistrationDelay": ("20", _NO_EFFECT),
    "StickinessEnabled": ("false", _NO_EFFECT),
    "StickinessLBCookieDuration": ("86400", _NO_EFFECT),
    "StickinessType": ("lb_cookie", _NO_EFFECT),
}
_FAMILIES = {"aws:elbv2:listener:": _LISTENER, PROCESS: _PROCESS, "aws:elbv2:listenerrule:": {}, "aws:elb:listener": {}}


def _known(namespace: str) -> dict[str, tuple[str | None, str]] | None:
    if namespace in _OPTIONS:
        return _OPTIONS[namespace]
    return next((options for prefix, options in _FAMILIES.items() if namespace.startswith(prefix)), None)


def check(settings: list[dict[str, Any]]) -> dict[Key, str]:
    """A request's OptionSettings as (namespace, option) to value. Raises the service's error for an unknown namespace or option."""
    found: dict[Key, str] = {}
    for each in settings:
        namespace, name, value = each.get("Namespace", ""), each.get("OptionName", ""), each.get("Value", "")
        known = _known(namespace)
        free = namespace in (ENVIRONMENT, SECRETS) or namespace.startswith(("aws:elbv2:listenerrule:", "aws:elb:listener"))
        if known is None and not free:
            raise _bad(namespace, name, "Unknown or duplicate configuration setting")
        if known is not None and not free and name not in known:
            raise _bad(namespace, name, "Unknown configuration setting")
        if namespace == SECRETS and not str(value).startswith(("arn:aws:secretsmanager:", "arn:aws:ssm:")):
            raise _bad(namespace, name, f"Invalid option value: '{value}': has to be the ARN of a secret or a parameter")
        found[namespace, name] = str(value)
    return found


def _bad(namespace: str, name: str, words: str) -> Exception:
    error = invalid(f"Invalid option specification (Namespace: '{namespace}', OptionName: '{name}'): {words}")
    error.code = "ConfigurationValidationException"
    return error


def effective(given: dict[Key, str]) -> list[dict[str, str]]:
    """All settings of an environment, defaults included, in the service's order and words."""
    namespaces = [*_OPTIONS, "aws:elbv2:listener:default", f"{PROCESS}default"]
    values = {(namespace, name): default for namespace in namespaces for name, (default, _severity) in (_known(namespace) or {}).items()}
    values |= given
    result = []
    for (namespace, name), value in sorted(values.items()):
        entry = {"Namespace": namespace, "OptionName": name}
        if namespace.startswith("aws:autoscaling:"):
            entry["ResourceName"] = "AWSEBAutoScalingGroup"
        result.append(entry | ({"Value": value} if value is not None else {}))
    return result


def value(given: dict[Key, str], namespace: str, name: str) -> str:
    """One setting of an environment, or its default, or the empty string."""
    default = (_known(namespace) or {}).get(name, (None, ""))[0]
    return given.get((namespace, name)) or default or ""


def described() -> list[dict[str, Any]]:
    """Every option, as DescribeConfigurationOptions tells them."""
    namespaces = [*_OPTIONS, "aws:elbv2:listener:default", f"{PROCESS}default"]
    return [
        {
            "Namespace": namespace,
            "Name": name,
            **({"DefaultValue": default} if default is not None else {}),
            "ChangeSeverity": severity,
            "UserDefined": False,
            "ValueType": "Scalar",
        }
        for namespace in namespaces
        for name, (default, severity) in (_known(namespace) or {}).items()
    ]
