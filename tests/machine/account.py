"""A photograph of what a stack is in an account: everything by its role, without the ids and times that differ between two alike."""

from __future__ import annotations

import json
from typing import Any

from tests.machine.conftest import Cloud


def photograph(cloud: Cloud, name: str) -> dict[str, Any]:
    """What of the stack ``name`` there is. Two stacks made the same way give the same, but for their names."""
    full = f"berth-{name}"
    return {
        **_network(cloud, full),
        **_stores(cloud, full, name),
        **_app(cloud, full),
        **_around(cloud, full, name),
    }


def _network(cloud: Cloud, full: str) -> dict[str, Any]:
    ec2, filters = cloud.client("ec2"), [{"Name": "tag:berth:network", "Values": [full]}]

    def part(thing: dict[str, Any]) -> str:
        return next((tag["Value"] for tag in thing.get("Tags", []) if tag["Key"] == "Name"), "?")

    vpcs = ec2.describe_vpcs(Filters=filters)["Vpcs"]
    dns = [
        [
            ec2.describe_vpc_attribute(VpcId=each["VpcId"], Attribute=attribute)[attribute[0].upper() + attribute[1:]]["Value"]
            for attribute in ("enableDnsSupport", "enableDnsHostnames")
        ]
        for each in vpcs
    ]
    tables = ec2.describe_route_tables(Filters=filters)["RouteTables"]
    groups = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return {
        "vpcs": [(each["CidrBlock"], *attributes) for each, attributes in zip(vpcs, dns, strict=True)],
        "subnets": sorted((part(each), each["CidrBlock"]) for each in ec2.describe_subnets(Filters=filters)["Subnets"]),
        "gateways": [len(each["Attachments"]) for each in ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]],
        "nats": [each["State"] for each in ec2.describe_nat_gateways(Filters=filters)["NatGateways"] if each["State"] != "deleted"],
        "addresses": len(ec2.describe_addresses(Filters=filters)["Addresses"]),
        "tables": sorted((part(each), len(each["Routes"]), len(each["Associations"])) for each in tables),
        "endpoints": [
            (each["ServiceName"], len(each["RouteTableIds"])) for each in ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"]
        ],
        "groups": sorted((part(each), sorted(str(rule.get("FromPort")) for rule in each["IpPermissions"])) for each in groups),
    }


def _stores(cloud: Cloud, full: str, name: str) -> dict[str, Any]:
    rds, cache = cloud.client("rds"), cloud.client("elasticache")
    databases = [each for each in rds.describe_db_instances()["DBInstances"] if each["DBInstanceIdentifier"].startswith(full)]
    groups = [each for each in cache.describe_replication_groups()["ReplicationGroups"] if each["ReplicationGroupId"].startswith(full)]
    secrets = cloud.secrets(f"berth/{name}/")
    return {
        "databases": [
            (each["DBInstanceIdentifier"], each["DBInstanceStatus"], each["DBInstanceClass"], each["AllocatedStorage"], each["MultiAZ"])
            for each in databases
        ],
        "database subnet groups": [
            each["DBSubnetGroupName"]
            for each in rds.describe_db_subnet_groups()["DBSubnetGroups"]
            if each["DBSubnetGroupName"].startswith(full)
        ],
        "database parameters": [
            (each["DBParameterGroupName"], _set(rds, each["DBParameterGroupName"]))
            for each in rds.describe_db_parameter_groups()["DBParameterGroups"]
            if each["DBParameterGroupName"].startswith(full)
        ],
        "caches": [(each["ReplicationGroupId"], each["Status"], each["CacheNodeType"], len(each["MemberClusters"])) for each in groups],
        "cache subnet groups": [
            each["CacheSubnetGroupName"]
            for each in cache.describe_cache_subnet_groups()["CacheSubnetGroups"]
            if each["CacheSubnetGroupName"].startswith(full)
        ],
        "cache parameters": [
            each["CacheParameterGroupName"]
            for each in cache.describe_cache_parameter_groups()["CacheParameterGroups"]
            if each["CacheParameterGroupName"].startswith(full)
        ],
        "secrets": {key: sorted(value) for key, value in secrets.items()},
    }


def _set(rds: Any, group: str) -> list[str]:
    pages = rds.get_paginator("describe_db_parameters").paginate(DBParameterGroupName=group, Source="user")
    return sorted(f"{each['ParameterName']}={each.get('ParameterValue')}" for page in pages for each in page["Parameters"])


def _app(cloud: Cloud, full: str) -> dict[str, Any]:
    beanstalk = cloud.client("elasticbeanstalk")
    environments = beanstalk.describe_environments(ApplicationName=full)["Environments"]
    versions = beanstalk.describe_application_versions(ApplicationName=full)["ApplicationVersions"]
    return {
        "applications": [
            each["ApplicationName"] for each in beanstalk.describe_applications()["Applications"] if each["ApplicationName"] == full
        ],
        "environments": [
            (each["EnvironmentName"], each["Status"], each["Health"]) for each in environments if each["Status"] != "Terminated"
        ],
        "versions": sorted(each["VersionLabel"].rpartition("-")[0] for each in versions),
    }


def _around(cloud: Cloud, full: str, name: str) -> dict[str, Any]:
    iam, s3, ecs = cloud.client("iam"), cloud.client("s3"), cloud.client("ecs")
    roles = [each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith(f"{full}-")]
    buckets = [each["Name"] for each in s3.list_buckets()["Buckets"] if each["Name"].startswith(f"{full}-")]
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    return {
        "roles": {
            role: (
                sorted(iam.list_role_policies(RoleName=role)["PolicyNames"]),
                sorted(each["PolicyName"] for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]),
                [each["InstanceProfileName"] for each in iam.list_instance_profiles_for_role(RoleName=role)["InstanceProfiles"]],
            )
            for role in roles
        },
        "buckets": [
            (
                s3.get_bucket_versioning(Bucket=bucket)["Status"],
                sorted(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()),
                [each["Sid"] for each in json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]],
                len(s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]),
            )
            for bucket in buckets
        ],
        "repositories": {
            each["repositoryName"]: each["imageTagMutability"]
            for each in cloud.client("ecr").describe_repositories()["repositories"]
            if each["repositoryName"].startswith(f"{full}/")
        },
        "log groups": [
            (each["logGroupName"], each.get("retentionInDays"))
            for each in cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/berth/{name}")["logGroups"]
        ],
        "topics": [
            each["TopicArn"] for each in cloud.client("sns").list_topics()["Topics"] if each["TopicArn"].endswith(f":{full}-alarms")
        ],
        "alarms": sorted(
            each["AlarmName"] for each in cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{full}-")["MetricAlarms"]
        ),
        "clusters": [each["clusterName"] for each in clusters if each["clusterName"] == full and each["status"] != "INACTIVE"],
    }
