"""Each AWS module as Ansible runs it: check, made, unchanged, changed in place, refused, gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rehearsal import containers, images
from tests.machine.conftest import Cloud
from tests.machine.test_rehearsed_aws import PLATFORM, cli, page

pytestmark = pytest.mark.docker


def failed(cloud: Cloud, module: str, arguments: dict[str, Any], *words: str) -> None:
    """The module fails with these words, and without a traceback."""
    code, result, printed = cloud.module(module, arguments)
    assert code != 0
    for word in words:
        assert word in result["msg"]
    assert "Traceback" not in printed


def test_generated_secret(cloud: Cloud):
    given = {
        "name": "of-the-test/secret",
        "fields": {"username": "shop"},
        "url": {"scheme": "postgresql", "host": "db.example.com", "port": 5432, "database": "shop"},
        "scram_verifier": True,
    }
    assert cloud.succeed("generated_secret", given, "--check")["changed"]
    assert cloud.secrets("of-the-test/") == {}
    code, made, printed = cloud.module("generated_secret", given, "-vvv", "--diff")
    assert code == 0
    content = cloud.secrets("of-the-test/")["of-the-test/secret"]
    assert made["changed"]
    assert content["url"] == f"postgresql://shop:{content['password']}@db.example.com:5432/shop"
    assert content["password"] not in printed
    assert content["scram_verifier"] not in printed
    again = cloud.succeed("generated_secret", given)
    assert (again["changed"], again["version_id"]) == (False, made["version_id"])
    moved = {**given, "url": {**given["url"], "host": "elsewhere.example.com"}}  # type: ignore[dict-item]
    code, after, printed = cloud.module("generated_secret", moved, "--diff")
    assert after["changed"]
    assert content["password"] not in printed
    assert cloud.secrets("of-the-test/")["of-the-test/secret"]["password"] == content["password"]
    assert cloud.succeed("generated_secret", {"name": given["name"], "state": "absent", "recovery_days": 0})["changed"]
    assert not cloud.succeed("generated_secret", {"name": given["name"], "state": "absent", "recovery_days": 0})["changed"]


def test_composed_secret(cloud: Cloud):
    cloud.succeed("generated_secret", {"name": "of-the-test/store"})
    password = cloud.secrets("of-the-test/")["of-the-test/store"]["password"]
    store = cloud.client("secretsmanager").describe_secret(SecretId="of-the-test/store")["ARN"]
    entry = {"text": "Host=db;Password=MARK;SSL Mode=Require", "passwords": {"MARK": f"{store}:password::"}}
    given = {"name": "of-the-test/texts", "texts": {"a": entry}}
    assert cloud.succeed("composed_secret", given, "--check")["changed"]
    assert set(cloud.secrets("of-the-test/")) == {"of-the-test/store"}
    code, made, printed = cloud.module("composed_secret", given, "-vvv", "--diff")
    assert (code, made["changed"]) == (0, True)
    assert made["arn"].startswith("arn:aws:secretsmanager:")
    assert password not in printed
    assert cloud.secrets("of-the-test/")["of-the-test/texts"] == {"a": f"Host=db;Password={password};SSL Mode=Require"}
    assert not cloud.succeed("composed_secret", given)["changed"]
    # What an earlier release refers to stays, and another password is put into what is wanted.
    cloud.client("secretsmanager").put_secret_value(SecretId="of-the-test/store", SecretString=json.dumps({"password": "Another0"}))
    assert cloud.succeed("composed_secret", {**given, "texts": {"b": entry}})["changed"]
    assert cloud.secrets("of-the-test/")["of-the-test/texts"] == {
        "a": f"Host=db;Password={password};SSL Mode=Require",
        "b": "Host=db;Password=Another0;SSL Mode=Require",
    }
    for reference, words in ((f"{store}:none::", "leads to nothing"), (f"{store[:-6]}nobody:password::", "Reading")):
        failed(cloud, "composed_secret", {**given, "texts": {"a": {**entry, "passwords": {"MARK": reference}}}}, words)
    for name in ("texts", "store"):
        gone = {"name": f"of-the-test/{name}", "state": "absent", "recovery_days": 0}
        assert cloud.succeed("composed_secret", gone)["changed"]
        assert not cloud.succeed("composed_secret", gone)["changed"]


@pytest.fixture(scope="module")
def network(cloud: Cloud) -> Iterator[dict[str, Any]]:
    given = {"name": "of-the-test", "cidr": "10.99.0.0/20", "nat_gateway": False}
    assert cloud.succeed("aws_network", given, "--check")["changed"]
    assert not cloud.succeed("aws_network", {"name": "of-the-test", "state": "found"})["network"]
    made = cloud.succeed("aws_network", given)
    assert made["changed"]
    yield made["network"]
    assert cloud.succeed("aws_network", {"name": "of-the-test", "state": "absent"})["changed"]
    assert not cloud.succeed("aws_network", {"name": "of-the-test", "state": "absent"})["changed"]


def test_aws_network_is_kept_as_it_is_described(cloud: Cloud, network):
    given = {"name": "of-the-test", "cidr": "10.99.0.0/20", "nat_gateway": False}
    assert not cloud.succeed("aws_network", given)["changed"]
    assert len(network["private_subnets"]) == len(network["public_subnets"]) == 2
    ec2 = cloud.client("ec2")
    opened = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=network["security_groups"]["postgres"], IpPermissions=[opened])
    code, closed, printed = cloud.module("aws_network", given, "--diff")
    assert (code, closed["changed"]) == (0, True)
    assert "0.0.0.0/0" in printed
    rules = ec2.describe_security_groups(GroupIds=[network["security_groups"]["postgres"]])["SecurityGroups"][0]["IpPermissions"]
    assert [rule["IpRanges"] for rule in rules] == [[]]


def test_aws_network_adds_and_removes_a_nat_gateway(cloud: Cloud, network):
    given = {"name": "of-the-test", "cidr": "10.99.0.0/20"}
    assert cloud.succeed("aws_network", {**given, "nat_gateway": True})["changed"]
    assert not cloud.succeed("aws_network", {**given, "nat_gateway": True})["changed"]
    gateways = cloud.client("ec2").describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [network["vpc_id"]]}])["NatGateways"]
    assert [each["State"] for each in gateways if each["State"] != "deleted"] == ["available"]
    assert cloud.succeed("aws_network", {**given, "nat_gateway": False})["changed"]
    assert not cloud.succeed("aws_network", {**given, "nat_gateway": False})["changed"]


def test_aws_network_refuses_another_cidr_and_what_is_no_network(cloud: Cloud, network):
    assert network
    failed(cloud, "aws_network", {"name": "of-the-test", "cidr": "10.98.0.0/20", "nat_gateway": False}, "10.99.0.0/20", "10.98.0.0/20")
    failed(cloud, "aws_network", {"name": "another", "cidr": "10.98.0.1/20"}, "cidr:", "is no network")


def test_elasticache_parameter_group(cloud: Cloud):
    given = {"name": "of-the-test", "family": "valkey8", "parameters": {"maxmemory-policy": "noeviction"}}
    assert cloud.succeed("elasticache_parameter_group", given, "--check")["changed"]
    assert cloud.succeed("elasticache_parameter_group", given)["changed"]
    assert not cloud.succeed("elasticache_parameter_group", given)["changed"]
    other = {**given, "parameters": {"timeout": 300}}
    code, result, printed = cloud.module("elasticache_parameter_group", other, "--check", "--diff")
    assert (code, result["changed"]) == (0, True)
    assert "noeviction" in printed
    assert cloud.succeed("elasticache_parameter_group", other)["changed"]
    assert not cloud.succeed("elasticache_parameter_group", other)["changed"]
    failed(cloud, "elasticache_parameter_group", {**given, "parameters": {"maxmemory-polcy": "x"}}, "did you mean 'maxmemory-policy'")
    failed(cloud, "elasticache_parameter_group", {**given, "family": "redis7"}, "valkey8", "redis7")
    assert cloud.succeed("elasticache_parameter_group", {"name": "of-the-test", "state": "absent"})["changed"]
    assert not cloud.succeed("elasticache_parameter_group", {"name": "of-the-test", "state": "absent"})["changed"]


def test_elasticache_replication_group(cloud: Cloud):
    cloud.succeed("generated_secret", {"name": "of-the-test/cache"})
    given: dict[str, Any] = {
        "name": "of-the-test-module",
        "node_type": "cache.t4g.micro",
        "replicas": 0,
        "automatic_failover": False,
        "multi_az": False,
        "auth_token_secret": "of-the-test/cache",
    }
    module = "elasticache_replication_group"
    assert cloud.succeed(module, given, "--check")["changed"]
    assert not cloud.succeed(f"{module}_info", {"name": given["name"]})["replication_group"]
    code, made, printed = cloud.module(module, given, "-vvv", "--diff")
    assert code == 0
    password = cloud.secrets("of-the-test/")["of-the-test/cache"]["password"]
    assert password not in printed
    assert made["replication_group"]["status"] == "available"
    address = made["replication_group"]["node_groups"][0]["primary_endpoint"]["address"]
    assert cli(address, "ping", password=password) == "PONG"
    assert not cloud.succeed(module, given)["changed"]

    larger = {**given, "replicas": 1, "automatic_failover": True, "multi_az": True, "node_type": "cache.t4g.small"}
    code, result, printed = cloud.module(module, larger, "--check", "--diff")
    assert (code, result["changed"]) == (0, True)
    assert "connections are lost once" in printed
    assert cloud.succeed(module, larger)["changed"]
    assert not cloud.succeed(module, larger)["changed"]
    assert len(containers.find("elasticache", given["name"])) == 2

    # The password is another one when its secret is.
    rotated = "RotatedByTheTest0123456789"
    cloud.client("secretsmanager").put_secret_value(SecretId="of-the-test/cache", SecretString=json.dumps({"password": rotated}))
    code, result, printed = cloud.module(module, larger, "-vvv", "--diff")
    assert (code, result["changed"]) == (0, True), printed
    assert rotated not in printed
    assert cli(address, "ping", password=rotated) == "PONG"
    assert not cloud.succeed(module, larger)["changed"]

    failed(cloud, module, {**larger, "at_rest_encryption": False}, "at_rest_encryption", "without replacing the data store")
    failed(cloud, module, {**larger, "engine_version": "7.2"}, "cannot go back")
    failed(cloud, module, {**larger, "replicas": 0}, "automatic_failover: needs at least one replica")
    failed(cloud, module, {**larger, "auth_token_secret": "nowhere"}, "auth_token_secret: there is no secret nowhere")

    gone = {"name": given["name"], "state": "absent", "final_snapshot": "of-the-test-final"}
    assert cloud.succeed(module, gone, "--check")["changed"]
    assert cloud.succeed(module, gone)["changed"]
    assert not cloud.succeed(module, gone)["changed"]
    assert cloud.client("elasticache").describe_snapshots(SnapshotName="of-the-test-final")["Snapshots"]
    cloud.client("elasticache").delete_snapshot(SnapshotName="of-the-test-final")
    cloud.succeed("generated_secret", {"name": "of-the-test/cache", "state": "absent", "recovery_days": 0})


DOCKERRUN = {
    "AWSEBDockerrunVersion": 2,
    "containerDefinitions": [
        {
            "name": "web",
            "image": "nginx:1.28",
            "essential": True,
            "memory": 64,
            "command": ["sh", "-c", "echo \"$GREETING\" > /usr/share/nginx/html/index.html; exec nginx -g 'daemon off;'"],
            "portMappings": [{"hostPort": 80, "containerPort": 80}],
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/module-test", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "app"},
            },
        }
    ],
}


def test_beanstalk_application_version_and_environment(cloud: Cloud, tmp_path):
    images.ensure(["nginx:1.28"])
    name = "module-test"
    application = {"name": name, "description": "of the test", "max_versions": 5}
    assert cloud.succeed("beanstalk_application", application, "--check")["changed"]
    assert cloud.succeed("beanstalk_application", application)["changed"]
    assert not cloud.succeed("beanstalk_application", application)["changed"]
    assert cloud.succeed("beanstalk_application", {**application, "description": "another"})["changed"]

    cloud.client("s3").create_bucket(Bucket="bundles-of-the-test")
    source = tmp_path / "bundle"
    source.mkdir()
    version = {"application": name, "source": str(source), "bucket": "bundles-of-the-test", "release": "r1"}
    failed(cloud, "beanstalk_version", version, "is empty")
    (source / "Dockerrun.aws.json").write_text(json.dumps(DOCKERRUN))
    failed(cloud, "beanstalk_version", {**version, "bucket": "no-such-bucket-of-the-test"}, "no-such-bucket-of-the-test")
    first = cloud.succeed("beanstalk_version", version)
    assert first["changed"]
    assert not cloud.succeed("beanstalk_version", version)["changed"]
    # The same content in another way, beside what is not packed.
    project = tmp_path / "project"
    project.mkdir()
    (project / "compose.yaml").write_text("services: {}")
    rendered = {**version, "source": str(project), "paths": [], "definition": json.dumps(DOCKERRUN)}
    same = cloud.succeed("beanstalk_version", rendered)
    assert (same["changed"], same["version_label"]) == (False, first["version_label"])
    failed(cloud, "beanstalk_version", {**rendered, "paths": ["web.conf"]}, "web.conf is not there, and containers mount it")
    assert len(cloud.client("s3").list_objects_v2(Bucket="bundles-of-the-test")["Contents"]) == 1
    (source / "broken").write_text("another content")
    broken = {
        **DOCKERRUN,
        "containerDefinitions": [{**DOCKERRUN["containerDefinitions"][0], "command": ["sh", "-c", "echo no fuel; exit 3"]}],
    }  # type: ignore[dict-item,index]
    (source / "Dockerrun.aws.json").write_text(json.dumps(broken))
    second = cloud.succeed("beanstalk_version", version)

    environment: dict[str, Any] = {
        "name": name,
        "application": name,
        "version_label": first["version_label"],
        "platform_branch": PLATFORM,
        "settings": {
            "aws:autoscaling:launchconfiguration": {"IamInstanceProfile": "of-the-test"},
            "aws:autoscaling:asg": {"MinSize": 1, "MaxSize": 1},
            "aws:elasticbeanstalk:command": {"DeploymentPolicy": "Immutable", "Timeout": 10},
        },
        "environment": {"GREETING": "hello"},
        "log_group": "/module-test",
    }
    cloud.client("logs").create_log_group(logGroupName="/module-test")
    assert cloud.succeed("beanstalk_environment", environment, "--check")["changed"]
    assert cloud.client("elasticbeanstalk").describe_environments(EnvironmentNames=[name])["Environments"] == []
    code, made, printed = cloud.module("beanstalk_environment", environment)
    assert code == 0, printed
    assert "Successfully launched environment" in printed
    assert (made["changed"], made["environment"]["health"]) == (True, "Green")
    address = made["url"].removeprefix("http://")
    assert page(address) == "hello"
    assert not cloud.succeed("beanstalk_environment", environment)["changed"]

    code, result, printed = cloud.module(
        "beanstalk_environment", {**environment, "environment": {"GREETING": "good day"}}, "--check", "--diff"
    )
    assert (code, result["changed"], page(address)) == (0, True, "hello")
    assert "good day" in printed
    assert cloud.succeed("beanstalk_environment", {**environment, "environment": {"GREETING": "good day"}})["changed"]
    assert page(address) == "good day"

    sick = {**environment, "environment": {"GREETING": "good day"}, "version_label": second["version_label"]}
    failed(cloud, "beanstalk_environment", sick, f"it still serves version {first['version_label']}", "no fuel")
    assert page(address) == "good day"
    failed(cloud, "beanstalk_environment", {**environment, "version_label": "none"}, "none")
    failed(cloud, "beanstalk_environment", {**environment, "settings": {"aws:ec2:vpc": {"VpcId": "vpc-1"}}}, "VpcId")
    failed(cloud, "beanstalk_environment", {**environment, "name": "abc"}, "4 to 40")
    failed(cloud, "beanstalk_environment", {**environment, "name": "another", "platform_branch": "ECS on a toaster"}, "ECS on a toaster")

    gone = {"name": name, "application": name, "state": "absent"}
    assert cloud.succeed("beanstalk_environment", gone)["changed"]
    assert not cloud.succeed("beanstalk_environment", gone)["changed"]
    assert cloud.succeed("beanstalk_application", {"name": name, "state": "absent"})["changed"]
    assert not cloud.succeed("beanstalk_application", {"name": name, "state": "absent"})["changed"]


def test_ecr_release_builds_pushes_and_does_neither_twice(cloud: Cloud, tmp_path):
    images.ensure(["nginx:1.28"])
    (tmp_path / "compose.yaml").write_text("services:\n  web:\n    build: .\n")
    (tmp_path / "Dockerfile").write_text("FROM nginx:1.28\nRUN echo hello > /usr/share/nginx/html/index.html\n")
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="of-the-test/web")
    given = {"project_src": str(tmp_path), "repositories": {"web": "of-the-test/web"}}
    assert cloud.succeed("ecr_release", given, "--check")["changed"]
    assert ecr.list_images(repositoryName="of-the-test/web")["imageIds"] == []
    made = cloud.succeed("ecr_release", given)
    assert made["changed"]
    # By digest: a tag could lead elsewhere later.
    assert "/of-the-test/web@sha256:" in made["images"]["web"]
    assert [each["imageTag"] for each in ecr.list_images(repositoryName="of-the-test/web")["imageIds"]] == [made["release"]]
    assert not cloud.succeed("ecr_release", given)["changed"]
    (tmp_path / "Dockerfile").write_text("FROM nginx:1.28\nRUN echo out of fuel >&2; exit 7\n")
    failed(cloud, "ecr_release", given, "out of fuel")
    failed(cloud, "ecr_release", {**given, "release": "no tag"}, "no tag", "is no image tag")
    failed(cloud, "ecr_release", {**given, "repositories": {"web": "nowhere/web"}}, "nowhere/web")
    ecr.delete_repository(repositoryName="of-the-test/web", force=True)


def test_ecs_run_task_waits_and_tells_what_a_failing_task_said(cloud: Cloud):
    images.ensure(["nginx:1.28"])
    ecs, logs = cloud.client("ecs"), cloud.client("logs")
    ecs.create_cluster(clusterName="of-the-test")
    logs.create_log_group(logGroupName="/of-the-test")

    def define(command: str, image: str = "nginx:1.28") -> str:
        options = {"awslogs-group": "/of-the-test", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "test"}
        container = {
            "name": "task",
            "image": image,
            "memory": 64,
            "command": ["sh", "-c", command],
            "logConfiguration": {"logDriver": "awslogs", "options": options},
        }
        more = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
        made = ecs.register_task_definition(family="of-the-test", containerDefinitions=[container], **more)
        return str(made["taskDefinition"]["taskDefinitionArn"])

    subnet = cloud.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    given = {"cluster": "of-the-test", "subnets": [subnet], "security_groups": ["sg-12345678"], "timeout": 60}
    assert cloud.succeed("ecs_run_task", {**given, "task_definition": define("echo done")})["changed"]
    failed(cloud, "ecs_run_task", {**given, "task_definition": define("echo out of fuel; exit 4")}, "out of fuel", "4")
    failed(cloud, "ecs_run_task", {**given, "task_definition": define("true", "127.0.0.1:1/none:1")}, "127.0.0.1:1/none:1")
    failed(cloud, "ecs_run_task", {**given, "task_definition": "none:1"}, "none:1")
    ecs.delete_cluster(cluster="of-the-test")


def test_aws_watch_takes_over_the_key_that_a_cut_off_run_could_not_name_and_loses_none(cloud: Cloud):
    kms = cloud.client("kms")

    def keys() -> dict[str, str]:
        found = [kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in kms.list_keys()["Keys"]]
        return {each["KeyId"]: each["KeyState"] for each in found if each["Description"] == "Alarms of berth-watched"}

    orphan = kms.create_key(Description="Alarms of berth-watched")["KeyMetadata"]["KeyId"]
    given = {"name": "berth-watched", "log_group": "/berth/watched", "encrypted": True}
    made = cloud.succeed("aws_watch", given)
    assert keys() == {orphan: "Enabled"}
    topic = cloud.client("sns").get_topic_attributes(TopicArn=made["topic_arn"])["Attributes"]
    assert topic["KmsMasterKeyId"] == orphan
    assert kms.get_key_rotation_status(KeyId=orphan)["KeyRotationEnabled"]
    assert not cloud.succeed("aws_watch", given)["changed"]
    # As a run leaves it that is cut off between the key's deletion and its name's.
    kms.schedule_key_deletion(KeyId=orphan, PendingWindowInDays=7)
    cloud.succeed("aws_watch", {**given, "state": "absent"})
    assert keys() == {orphan: "PendingDeletion"}
    assert [each for each in kms.list_aliases()["Aliases"] if each["AliasName"] == "alias/berth-watched"] == []
    assert not cloud.succeed("aws_watch", {**given, "state": "absent"})["changed"]
