"""A bare boto3 script that makes a stack's reads: what a run in which nothing changes costs at least. Argument: the stack's name."""

from __future__ import annotations

import sys
import time
from typing import Any

import boto3


def reads(name: str) -> int:
    """Ask for everything of a stack once, as the roles do. Returns how many requests were made."""
    made = 0
    clients: dict[str, Any] = {}

    def ask(service: str, operation: str, **given: Any) -> Any:
        nonlocal made
        made += 1
        client = clients.setdefault(service, boto3.client(service))
        try:
            return getattr(client, operation)(**given)
        except client.exceptions.ClientError:
            return {}

    account = ask("sts", "get_caller_identity")["Account"]
    bucket = f"{name}-{account}-{boto3.session.Session().region_name}"
    short = name.removeprefix("berth-")
    tagged = {"Filters": [{"Name": "tag:berth:network", "Values": [name]}]}
    ask("ec2", "describe_availability_zones")
    vpc = ask("ec2", "describe_vpcs", **tagged)["Vpcs"][0]["VpcId"]
    for what in ("subnets", "internet_gateways", "route_tables", "addresses", "vpc_endpoints", "security_groups", "nat_gateways"):
        ask("ec2", f"describe_{what}", **tagged)
    ask("ec2", "describe_vpc_attribute", VpcId=vpc, Attribute="enableDnsHostnames")
    ask("ec2", "describe_flow_logs")
    ask("s3", "head_bucket", Bucket=bucket)
    for what in ("versioning", "policy", "tagging", "encryption", "ownership_controls", "lifecycle_configuration"):
        ask("s3", f"get_bucket_{what}", Bucket=bucket)
    ask("s3", "get_public_access_block", Bucket=bucket)
    for each in ask("ecr", "describe_repositories")["repositories"]:
        if each["repositoryName"].startswith(f"{name}/"):
            ask("ecr", "list_tags_for_resource", resourceArn=each["repositoryArn"])
            ask("ecr", "get_lifecycle_policy", repositoryName=each["repositoryName"])
            ask("ecr", "describe_images", repositoryName=each["repositoryName"])
    for role in ("service", "instance", "execution", "flow-logs"):
        ask("iam", "get_role", RoleName=f"{name}-{role}")
        ask("iam", "list_attached_role_policies", RoleName=f"{name}-{role}")
        ask("iam", "get_role_policy", RoleName=f"{name}-{role}", PolicyName="berth")
    ask("iam", "get_instance_profile", InstanceProfileName=f"{name}-instance")
    for group in ("", "/flow"):
        ask("logs", "describe_log_groups", logGroupNamePrefix=f"/berth/{short}{group}")
    ask("kms", "describe_key", KeyId=f"alias/{name}")
    ask("sns", "get_topic_attributes", TopicArn=f"arn:aws:sns:us-east-1:{account}:{name}-alarms")
    for secret in ("postgres-master", "postgres", "redis"):
        ask("secretsmanager", "describe_secret", SecretId=f"berth/{short}/{secret}")
        ask("secretsmanager", "get_secret_value", SecretId=f"berth/{short}/{secret}")
    ask("rds", "describe_db_instances", DBInstanceIdentifier=name)
    ask("rds", "describe_db_subnet_groups", DBSubnetGroupName=name)
    for group in ask("rds", "describe_db_parameter_groups")["DBParameterGroups"]:
        if group["DBParameterGroupName"].startswith(name):
            ask("rds", "describe_db_parameters", DBParameterGroupName=group["DBParameterGroupName"])
    ask("elasticache", "describe_replication_groups", ReplicationGroupId=name)
    ask("elasticache", "describe_cache_clusters", CacheClusterId=f"{name}-001")
    ask("elasticache", "describe_cache_subnet_groups", CacheSubnetGroupName=name)
    for group in ask("elasticache", "describe_cache_parameter_groups")["CacheParameterGroups"]:
        if group["CacheParameterGroupName"].startswith(name):
            ask("elasticache", "describe_cache_parameters", CacheParameterGroupName=group["CacheParameterGroupName"])
    ask("cloudwatch", "describe_alarms", AlarmNamePrefix=f"{name}-")
    ask("elasticbeanstalk", "describe_applications", ApplicationNames=[name])
    ask("elasticbeanstalk", "describe_application_versions", ApplicationName=name)
    ask("elasticbeanstalk", "describe_environments", EnvironmentNames=[name])
    ask("elasticbeanstalk", "describe_configuration_settings", ApplicationName=name, EnvironmentName=name)
    return made


if __name__ == "__main__":
    begin = time.perf_counter()
    print(reads(sys.argv[1]), round(time.perf_counter() - begin, 2))
