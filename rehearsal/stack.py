"""What a stack on the rehearsed AWS is, as AWS's own API tells it."""

from __future__ import annotations

from typing import Any

import boto3

from . import server


def client(service: str) -> Any:
    """A client of the running rehearsal."""
    found = server.environment()
    return boto3.client(
        service,
        endpoint_url=found["AWS_ENDPOINT_URL"],
        region_name=found["AWS_REGION"],
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
    )


def describe(name: str) -> tuple[list[str], str]:
    """A stack's parts as lines, and its URL. ``name``: that of the app."""
    full = "berth-" + name.replace("_", "-")
    app = client("elasticbeanstalk").describe_environments(EnvironmentNames=[full])["Environments"][0]
    vpc = client("ec2").describe_vpcs(Filters=[{"Name": "tag:berth:network", "Values": [full]}])["Vpcs"][0]
    lines = [f"platform  VPC {vpc['CidrBlock']}"]
    for each in client("rds").describe_db_instances()["DBInstances"]:
        if each["DBInstanceIdentifier"] == full:
            zones = "Multi-AZ" if each["MultiAZ"] else "one zone"
            lines.append(f"postgres  RDS postgres {each['EngineVersion']}, {each['DBInstanceClass']}, {zones}, {each['DBInstanceStatus']}")
    for each in client("elasticache").describe_replication_groups()["ReplicationGroups"]:
        if each["ReplicationGroupId"] == full:
            replicas = len(each["MemberClusters"]) - 1
            lines.append(f"redis     ElastiCache {each['Engine']}, {each['CacheNodeType']}, {replicas} replicas, {each['Status']}")
    lines.append(f"app       Beanstalk {app['EnvironmentName']}, version {app.get('VersionLabel')}, health {app['Health']}")
    return lines, f"http://{app['CNAME']}"
