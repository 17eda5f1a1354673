"""What a stack in the rehearsal is, as its cloud's own API tells it."""

from __future__ import annotations

import os
from typing import Any

import boto3
import pydo

from . import server


def client(service: str, region: str = "") -> Any:
    """A client of the running rehearsal, in its own region where none is named."""
    found = server.environment()
    return boto3.client(
        service,
        endpoint_url=found["AWS_ENDPOINT_URL"],
        region_name=region or found["AWS_REGION"],
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


def account() -> Any:
    """DigitalOcean's client of the running rehearsal."""
    found = server.environment()
    os.environ["REQUESTS_CA_BUNDLE"] = found["REQUESTS_CA_BUNDLE"]
    return pydo.Client(found["DIGITALOCEAN_TOKEN"], endpoint=found["DIGITALOCEAN_API_URL"])


def droplets(name: str) -> tuple[list[str], str]:
    """A stack's droplets as lines, and its URL. ``name``: that of the app."""
    client, full = account(), name.replace("_", "-")
    vpc = next(each for each in client.vpcs.list()["vpcs"] if each["name"] == full)
    lines, first = [f"platform  VPC {vpc['ip_range']} in {vpc['region']}"], ""
    for each in sorted(client.droplets.list(tag_name=f"berth:{full}", per_page=100)["droplets"], key=lambda droplet: str(droplet["name"])):
        groups = sorted(tag.rsplit(":", 1)[1] for tag in each["tags"] if tag.count(":") == 2)
        address = next(net["ip_address"] for net in each["networks"]["v4"] if net["type"] == "public")
        volumes = f", {len(each['volume_ids'])} volume" if each["volume_ids"] else ""
        lines.append(f"droplet   {each['name']}, {each['size_slug']}, {address}{volumes}: {' '.join(groups)}")
        first = first or (address if "app" in groups else "")
    for each in client.load_balancers.list()["load_balancers"]:
        if each["name"] == full:
            lines.append(f"balancer  {each['ip']}, {len(each['droplet_ids'])} droplets, {each['status']}")
            first = each["ip"]
    return lines, f"http://{first}"
