"""Clients that nobody here wrote, unmodified, against the rehearsal: the EB CLI and the AWS CLI."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rehearsal import images, strangers
from tests.machine.conftest import Cloud
from tests.machine.test_rehearsed_aws import page

pytestmark = pytest.mark.docker
PINS = Path(__file__).parent / "clients.txt"


@pytest.fixture(scope="module")
def clients() -> Path:
    """The folder of the clients' programs, set up once for these pins."""
    return strangers.programs("clients", PINS)


class Terminal:
    """Runs commands in a folder, as a user would."""

    def __init__(self, cloud: Cloud, clients: Path, folder: Path) -> None:
        self.folder, self.clients = folder, clients
        self.environment = {**cloud.environment, "HOME": str(folder.parent)}

    def run(self, *words: str) -> str:
        command = [str(self.clients / words[0]), *words[1:]]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def aws(self, *words: str) -> Any:
        # Version 1 takes no endpoint from the environment for rds.
        text = self.run("aws", "--endpoint-url", self.environment["AWS_ENDPOINT_URL"], "--output", "json", *words)
        return json.loads(text) if text.strip() else None


@pytest.fixture
def terminal(cloud: Cloud, clients: Path, tmp_path: Path) -> Iterator[Terminal]:
    folder = tmp_path / "shop"
    folder.mkdir()
    yield Terminal(cloud, clients, folder)


def dockerrun(greeting: str) -> str:
    container = {
        "name": "web",
        "image": "nginx:1.28",
        "essential": True,
        "memory": 64,
        "command": ["sh", "-c", f"echo {greeting} > /usr/share/nginx/html/index.html; exec nginx -g 'daemon off;'"],
        "portMappings": [{"hostPort": 80, "containerPort": 80}],
    }
    return json.dumps({"AWSEBDockerrunVersion": 2, "containerDefinitions": [container]})


def test_the_eb_cli_from_init_to_terminate(terminal: Terminal):
    images.ensure(["nginx:1.28"])
    bundle = terminal.folder / "Dockerrun.aws.json"
    bundle.write_text(dockerrun("hello"))

    def eb(*words: str) -> str:
        return terminal.run("eb", *words)

    assert "has been created" in eb("init", "cli-test", "--platform", "ECS running on 64bit Amazon Linux 2023", "--region", "us-east-1")
    made = eb("create", "cli-blue", "--instance_profile", "of-the-test", "--elb-type", "application")
    assert "Successfully launched environment: cli-blue" in made
    shown = eb("status", "cli-blue")
    assert re.search(r"Status: Ready\s+Health: Green", shown)
    address = re.search(r"CNAME: (\S+)", shown)
    assert address
    assert page(address[1]) == "hello"
    assert "Successfully launched environment: cli-blue" in eb("events", "cli-blue")
    health = eb("health", "cli-blue")
    assert re.search(r"cli-blue\s+Ok", health), health
    assert re.search(r"i-\w+\s+Ok", health), health
    assert "GET / HTTP" in eb("logs", "cli-blue")
    bundle.write_text(dockerrun("again"))
    assert "Environment update completed successfully" in eb("deploy", "cli-blue")
    assert page(address[1]) == "again"
    for each in ("environment-exists", "environment-updated"):
        terminal.aws("elasticbeanstalk", "wait", each, "--environment-names", "cli-blue")
    bundle.write_text(dockerrun("green"))
    eb("create", "cli-green", "--instance_profile", "of-the-test", "--elb-type", "application")
    assert "Completed swapping CNAMEs" in eb("swap", "cli-blue", "--destination_name", "cli-green")
    assert page(address[1]) == "green"
    assert {each.strip("* ") for each in eb("list").split("\n") if each} == {"cli-blue", "cli-green"}
    assert "terminateEnvironment completed successfully" in eb("terminate", "cli-blue", "--force")
    eb("terminate", "--all", "--force")
    assert terminal.aws("elasticbeanstalk", "describe-applications", "--application-names", "cli-test") == {"Applications": []}


def a_database(terminal: Terminal) -> None:
    """From being made to being gone."""
    instance = ["--db-instance-identifier", "cli-test"]
    made = ["--engine", "postgres", "--db-instance-class", "db.t4g.micro", "--allocated-storage", "20", "--master-username", "keeper"]
    terminal.aws("rds", "create-db-instance", *instance, *made, "--manage-master-user-password")
    terminal.aws("rds", "wait", "db-instance-available", *instance)
    assert terminal.aws("rds", "describe-db-instances", *instance)["DBInstances"][0]["Endpoint"]["Port"] == 5432
    terminal.aws("rds", "delete-db-instance", *instance, "--skip-final-snapshot")
    terminal.aws("rds", "wait", "db-instance-deleted", *instance)


def a_cache(terminal: Terminal) -> None:
    """From being made to being gone."""
    group = ["--replication-group-id", "cli-test"]
    words = ["--replication-group-description", "of the test", "--engine", "valkey", "--cache-node-type", "cache.t4g.micro"]
    terminal.aws("elasticache", "create-replication-group", *group, *words)
    terminal.aws("elasticache", "wait", "replication-group-available", *group)
    found = terminal.aws("elasticache", "describe-replication-groups", *group)["ReplicationGroups"][0]
    assert found["Status"] == "available"
    terminal.aws("elasticache", "delete-replication-group", *group)
    terminal.aws("elasticache", "wait", "replication-group-deleted", *group)


def lists(terminal: Terminal) -> None:
    """What is listed by each service."""
    for service, operation in (
        ("elasticbeanstalk", "describe-environments"),
        ("elasticbeanstalk", "list-platform-branches"),
        ("elasticache", "describe-cache-engine-versions"),
        ("rds", "describe-db-engine-versions"),
        ("ecr", "describe-repositories"),
        ("ecs", "list-clusters"),
        ("secretsmanager", "list-secrets"),
        ("ec2", "describe-vpcs"),
    ):
        assert isinstance(terminal.aws(service, operation), dict)


def the_rest(terminal: Terminal) -> None:
    """The waiters of what else a stack is made of."""
    vpc = terminal.aws("ec2", "create-vpc", "--cidr-block", "10.9.0.0/24")["Vpc"]["VpcId"]
    terminal.aws("ec2", "wait", "vpc-available", "--vpc-ids", vpc)
    subnet = terminal.aws("ec2", "create-subnet", "--vpc-id", vpc, "--cidr-block", "10.9.0.0/28")["Subnet"]["SubnetId"]
    terminal.aws("ec2", "wait", "subnet-available", "--subnet-ids", subnet)
    address = terminal.aws("ec2", "allocate-address", "--domain", "vpc")["AllocationId"]
    nat = terminal.aws("ec2", "create-nat-gateway", "--subnet-id", subnet, "--allocation-id", address)["NatGateway"]["NatGatewayId"]
    terminal.aws("ec2", "wait", "nat-gateway-available", "--nat-gateway-ids", nat)
    terminal.aws("ec2", "delete-nat-gateway", "--nat-gateway-id", nat)
    terminal.aws("ec2", "wait", "nat-gateway-deleted", "--nat-gateway-ids", nat)
    terminal.aws("ec2", "release-address", "--allocation-id", address)
    terminal.aws("ec2", "delete-subnet", "--subnet-id", subnet)
    terminal.aws("ec2", "delete-vpc", "--vpc-id", vpc)
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    terminal.aws("iam", "create-role", "--role-name", "cli-test", "--assume-role-policy-document", json.dumps(trust))
    terminal.aws("iam", "wait", "role-exists", "--role-name", "cli-test")
    terminal.aws("iam", "delete-role", "--role-name", "cli-test")
    terminal.aws("s3api", "create-bucket", "--bucket", "cli-test-bundles")
    terminal.aws("s3api", "wait", "bucket-exists", "--bucket", "cli-test-bundles")
    terminal.aws("s3api", "delete-bucket", "--bucket", "cli-test-bundles")
    terminal.aws("s3api", "wait", "bucket-not-exists", "--bucket", "cli-test-bundles")
    alarm = ["--alarm-name", "cli-test", "--namespace", "AWS/RDS", "--metric-name", "CPUUtilization", "--statistic", "Average"]
    more = ["--period", "60", "--evaluation-periods", "1", "--threshold", "80", "--comparison-operator", "GreaterThanThreshold"]
    terminal.aws("cloudwatch", "put-metric-alarm", *alarm, *more)
    terminal.aws("cloudwatch", "wait", "alarm-exists", "--alarm-names", "cli-test")
    terminal.aws("cloudwatch", "delete-alarms", "--alarm-names", "cli-test")


def test_the_aws_cli_describes_and_waits(terminal: Terminal):
    # Its waiters ask every half a minute, so they wait together.
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(each, terminal) for each in (a_database, a_cache, the_rest, lists)]:
            done.result()
