"""What the rehearsal adds to moto: resources that are real, states that last, limits that bite, and an end that leaves nothing."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from rehearsal import containers, images, state
from tests.machine.conftest import ROOT, Cloud, eventually

pytestmark = pytest.mark.docker
PASSWORD = "Of-the-Test-0123456789"
PROFILE = {"Namespace": "aws:autoscaling:launchconfiguration", "OptionName": "IamInstanceProfile", "Value": "of-the-test"}
PLATFORM = "ECS running on 64bit Amazon Linux 2023"


def refused(call: Any, **given: Any) -> str:
    """The service's words when it refuses a call: code and message."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def database(name: str, **other: Any) -> dict[str, Any]:
    base = {"Engine": "postgres", "EngineVersion": "17", "DBInstanceClass": "db.t4g.micro", "AllocatedStorage": 20}
    return {"DBInstanceIdentifier": name, **base, "MasterUsername": "keeper", "MasterUserPassword": PASSWORD, **other}


def psql(rds: Any, name: str, statement: str) -> str:
    where = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]["Endpoint"]
    command = ["docker", "run", "--rm", "--network", "host", "--env", f"PGPASSWORD={PASSWORD}", "postgres:17", "psql", "--no-align"]
    target = f"host={where['Address']} port={where['Port']} user=keeper dbname=postgres sslmode=require"
    done = subprocess.run([*command, "--tuples-only", "--command", statement, target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_snapshot_holds_the_data_and_deleting_takes_it_away(cloud: Cloud):
    rds = cloud.client("rds")
    made = rds.create_db_instance(**database("of-the-test"))["DBInstance"]
    assert (made["DBInstanceStatus"], made.get("Endpoint")) == ("creating", None)
    assert "InvalidDBInstanceState" in refused(rds.modify_db_instance, DBInstanceIdentifier="of-the-test", AllocatedStorage=30)
    waiter = rds.get_waiter("db_instance_available")
    waiter.config.delay = 1
    waiter.wait(DBInstanceIdentifier="of-the-test")
    psql(rds, "of-the-test", "CREATE TABLE kept AS SELECT 42 AS answer")
    rds.create_db_snapshot(DBSnapshotIdentifier="kept", DBInstanceIdentifier="of-the-test")
    assert rds.describe_db_instances(DBInstanceIdentifier="of-the-test")["DBInstances"][0]["DBInstanceStatus"] == "backing-up"
    eventually(lambda: rds.describe_db_snapshots(DBSnapshotIdentifier="kept")["DBSnapshots"][0]["Status"] == "available")
    waiter.wait(DBInstanceIdentifier="of-the-test")
    rds.delete_db_instance(DBInstanceIdentifier="of-the-test", SkipFinalSnapshot=True)
    gone = rds.get_waiter("db_instance_deleted")
    gone.config.delay = 1
    gone.wait(DBInstanceIdentifier="of-the-test")
    assert containers.find("rds", "of-the-test") == []
    rds.restore_db_instance_from_db_snapshot(DBInstanceIdentifier="again", DBSnapshotIdentifier="kept", DBInstanceClass="db.t4g.micro")
    waiter.wait(DBInstanceIdentifier="again")
    assert psql(rds, "again", "SELECT answer FROM kept") == "42"
    rds.modify_db_instance(DBInstanceIdentifier="again", DeletionProtection=True)
    waiter.wait(DBInstanceIdentifier="again")
    assert "disable deletion protection" in refused(rds.delete_db_instance, DBInstanceIdentifier="again", SkipFinalSnapshot=True)
    rds.modify_db_instance(DBInstanceIdentifier="again", DeletionProtection=False)
    waiter.wait(DBInstanceIdentifier="again")
    rds.delete_db_instance(DBInstanceIdentifier="again", SkipFinalSnapshot=True)
    gone.wait(DBInstanceIdentifier="again")
    rds.delete_db_snapshot(DBSnapshotIdentifier="kept")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"MasterUserPassword": "with@sign/and space"}, "not a valid password"),
        ({"MasterUserPassword": "short"}, "not a valid password"),
        ({"DBInstanceClass": "huge"}, "Invalid DB Instance class"),
        ({"EngineVersion": "9.6"}, "Cannot find version 9.6"),
    ],
)
def test_rds_refuses_what_it_refuses(cloud: Cloud, other, words):
    assert words in refused(cloud.client("rds").create_db_instance, **database("never", **other))
    assert containers.find("rds", "never") == []


def group(name: str, **other: Any) -> dict[str, Any]:
    base = {"ReplicationGroupDescription": "of the test", "Engine": "valkey", "EngineVersion": "8.0", "NumCacheClusters": 2}
    more = {"AutomaticFailoverEnabled": True, "TransitEncryptionEnabled": True, "AuthToken": PASSWORD}
    return {"ReplicationGroupId": name, **base, **more, "CacheNodeType": "cache.t4g.micro", **other}


def cli(address: str, *words: str, password: str = PASSWORD) -> str:
    command = ["docker", "run", "--rm", "--network", "host", "valkey/valkey:8", "valkey-cli", "--tls", "--insecure", "--no-auth-warning"]
    done = subprocess.run([*command, "-h", address, "-a", password, *words], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def test_a_replication_group_speaks_tls_asks_for_its_password_fails_over_and_comes_back_from_a_snapshot(cloud: Cloud):
    cache = cloud.client("elasticache")
    assert cache.create_replication_group(**group("Of-The-Test"))["ReplicationGroup"]["Status"] == "creating"
    waiter = cache.get_waiter("replication_group_available")
    waiter.config.delay = 1
    waiter.wait(ReplicationGroupId="of-the-test")
    shown = cache.describe_replication_groups(ReplicationGroupId="of-the-test")["ReplicationGroups"][0]
    nodes = shown["NodeGroups"][0]
    primary, reader = nodes["PrimaryEndpoint"]["Address"], nodes["ReaderEndpoint"]["Address"]
    assert cli(primary, "set", "answer", "42") == "OK"
    assert "WRONGPASS" in cli(primary, "ping", password="Of-Another-0123456789")
    eventually(lambda: cli(reader, "get", "answer") == "42")
    roles = [each["CurrentRole"] for each in nodes["NodeGroupMembers"]]
    cache.test_failover(ReplicationGroupId="of-the-test", NodeGroupId="0001")
    assert cache.describe_replication_groups(ReplicationGroupId="of-the-test")["ReplicationGroups"][0]["Status"] == "modifying"
    waiter.wait(ReplicationGroupId="of-the-test")
    after = cache.describe_replication_groups(ReplicationGroupId="of-the-test")["ReplicationGroups"][0]["NodeGroups"][0]
    assert [each["CurrentRole"] for each in after["NodeGroupMembers"]] == list(reversed(roles))
    assert eventually(lambda: cli(primary, "get", "answer") == "42")
    cache.create_snapshot(SnapshotName="kept", ReplicationGroupId="of-the-test")
    waiter.wait(ReplicationGroupId="of-the-test")
    cache.delete_replication_group(ReplicationGroupId="of-the-test")
    gone = cache.get_waiter("replication_group_deleted")
    gone.config.delay = 1
    gone.wait(ReplicationGroupId="of-the-test")
    assert containers.find("elasticache", "of-the-test") == []
    cache.create_replication_group(**group("again", NumCacheClusters=1, AutomaticFailoverEnabled=False, SnapshotName="kept"))
    waiter.wait(ReplicationGroupId="again")
    shown = cache.describe_replication_groups(ReplicationGroupId="again")["ReplicationGroups"][0]
    assert cli(shown["NodeGroups"][0]["PrimaryEndpoint"]["Address"], "get", "answer") == "42"
    messages = [each["Message"] for each in cache.describe_events(SourceType="replication-group")["Events"]]
    assert any("failover" in text.lower() for text in messages), messages
    cache.delete_replication_group(ReplicationGroupId="again")
    gone.wait(ReplicationGroupId="again")
    cache.delete_snapshot(SnapshotName="kept")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"ReplicationGroupId": "a" * 41}, "not a valid identifier"),
        ({"ReplicationGroupId": "1st"}, "not a valid identifier"),
        ({"ReplicationGroupId": "ends-"}, "not a valid identifier"),
        ({"AuthToken": "too-short"}, "Invalid AuthToken"),
        ({"AuthToken": "With@forbidden/signs0"}, "Invalid AuthToken"),
        ({"NumCacheClusters": 1}, "at least one replica"),
        ({"TransitEncryptionEnabled": False}, "requires transit encryption"),
        ({"CacheParameterGroupName": "nowhere"}, "not found"),
        ({"EngineVersion": "3.2"}, "Cannot find version"),
    ],
)
def test_elasticache_refuses_what_it_refuses(cloud: Cloud, other, words):
    assert words in refused(cloud.client("elasticache").create_replication_group, **group("never", **other))


def bundle(text: str, memory: int = 64) -> bytes:
    """A source bundle whose one container serves a text."""
    container = {
        "name": "web",
        "image": "nginx:1.28",
        "essential": True,
        "memory": memory,
        "command": ["sh", "-c", f"echo '{text}' > /usr/share/nginx/html/index.html; exec nginx -g 'daemon off;'"],
        "portMappings": [{"hostPort": 80, "containerPort": 80}],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("Dockerrun.aws.json", json.dumps({"AWSEBDockerrunVersion": 2, "containerDefinitions": [container]}))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def beanstalk(cloud: Cloud) -> Any:
    """An application with two versions, `blue` and `green`, each of which says its name."""
    images.ensure(["nginx:1.28"])
    client, s3 = cloud.client("elasticbeanstalk"), cloud.client("s3")
    client.create_application(ApplicationName="of-the-test")
    bucket = client.create_storage_location()["S3Bucket"]
    for label in ("blue", "green"):
        s3.put_object(Bucket=bucket, Key=f"{label}.zip", Body=bundle(label))
        client.create_application_version(
            ApplicationName="of-the-test", VersionLabel=label, SourceBundle={"S3Bucket": bucket, "S3Key": f"{label}.zip"}
        )
    yield client
    client.delete_application(ApplicationName="of-the-test", TerminateEnvByForce=True)
    eventually(lambda: not client.describe_environments(ApplicationName="of-the-test")["Environments"])


def environment(name: str, label: str, **other: Any) -> dict[str, Any]:
    arn = f"arn:aws:elasticbeanstalk:us-east-1::platform/{PLATFORM}"
    base = {"ApplicationName": "of-the-test", "EnvironmentName": name, "VersionLabel": label, "PlatformArn": arn}
    return {**base, "OptionSettings": [PROFILE], **other}


def shown(client: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.describe_environments(EnvironmentNames=[name])["Environments"][0]
    return found


def ready(client: Any, *names: str) -> None:
    for name in names:
        eventually(lambda name=name: shown(client, name)["Status"] == "Ready", 90)


def page(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}", timeout=5) as response:
        return str(response.read().decode().strip())


def test_environments_run_their_versions_swap_their_names_restart_and_end(beanstalk: Any):
    assert beanstalk.check_dns_availability(CNAMEPrefix="shop-of-the-test")["Available"]
    made = beanstalk.create_environment(**environment("blue-env", "blue", CNAMEPrefix="shop-of-the-test"))
    assert made["Status"] == "Launching"
    assert not beanstalk.check_dns_availability(CNAMEPrefix="shop-of-the-test")["Available"]
    assert "Must be Ready" in refused(beanstalk.update_environment, EnvironmentName="blue-env", VersionLabel="green")
    beanstalk.create_environment(**environment("green-env", "green"))
    ready(beanstalk, "blue-env", "green-env")
    first = shown(beanstalk, "blue-env")
    assert (first["Health"], first["HealthStatus"]) == ("Green", "Ok")
    address = first["CNAME"]
    assert page(address) == "blue"
    beanstalk.swap_environment_cnames(SourceEnvironmentName="blue-env", DestinationEnvironmentName="green-env")
    assert shown(beanstalk, "green-env")["CNAME"] == address
    assert page(address) == "green"
    before = {each.id for each in containers.find("beanstalk") if "green-env" in each.name}
    beanstalk.restart_app_server(EnvironmentName="green-env")
    ready(beanstalk, "green-env")
    assert before.isdisjoint({each.id for each in containers.find("beanstalk") if "green-env" in each.name})
    assert page(address) == "green"
    beanstalk.rebuild_environment(EnvironmentName="green-env")
    assert shown(beanstalk, "green-env")["Status"] == "Updating"
    ready(beanstalk, "green-env")
    assert page(address) == "green"
    messages = [each["Message"] for each in beanstalk.describe_events(EnvironmentName="green-env")["Events"]]
    assert messages[0].startswith(("Environment rebuild completed", "Environment health has transitioned"))
    assert any("Completed swapping CNAMEs for environments 'blue-env' and 'green-env'" in text for text in messages)
    for name in ("blue-env", "green-env"):
        beanstalk.terminate_environment(EnvironmentName=name)
    eventually(lambda: not beanstalk.describe_environments(ApplicationName="of-the-test")["Environments"])
    assert [each.name for each in containers.find("beanstalk") if "-env" in each.name] == []
    with pytest.raises(OSError, match=r"refused|reset|timed out"):
        page(address)


def test_commands_of_a_bundle_run_before_its_containers_and_one_that_fails_ends_the_deployment(beanstalk: Any, cloud: Cloud):
    config = {
        "commands": {
            "1_not_wanted": {"command": "exit 1", "test": "false"},
            "2_lenient": {"command": ["false"], "ignoreErrors": True},
            "3_asked": {"command": "exit $CODE", "env": {"CODE": "3"}},
        },
        "packages": {},
    }
    buffer = io.BytesIO(bundle("extended"))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(".ebextensions/a.config", json.dumps(config))
    bucket = beanstalk.create_storage_location()["S3Bucket"]
    cloud.client("s3").put_object(Bucket=bucket, Key="extended.zip", Body=buffer.getvalue())
    beanstalk.create_application_version(
        ApplicationName="of-the-test", VersionLabel="extended", SourceBundle={"S3Bucket": bucket, "S3Key": "extended.zip"}
    )
    beanstalk.create_environment(**environment("extended", "extended"))
    ready(beanstalk, "extended")
    said = [each["Message"] for each in beanstalk.describe_events(EnvironmentName="extended")["Events"]]
    assert any("Command 3_asked in .ebextensions/a.config failed" in each and "exit status 3" in each for each in said), said
    assert ".ebextensions/a.config: packages is not rehearsed" in said
    assert [each.name for each in containers.find("beanstalk") if "-extended-" in each.name] == []
    beanstalk.terminate_environment(EnvironmentName="extended")


def test_a_container_that_ends_is_started_again(beanstalk: Any):
    beanstalk.create_environment(**environment("restless", "blue"))
    ready(beanstalk, "restless")
    (container,) = [each for each in containers.find("beanstalk") if "restless" in each.name]
    container.kill()
    address = shown(beanstalk, "restless")["CNAME"]
    eventually(lambda: shown(beanstalk, "restless")["Health"] == "Green" and page(address) == "blue", 60)
    messages = [each["Message"] for each in beanstalk.describe_events(EnvironmentName="restless")["Events"]]
    assert any("ECS task stopped" in text for text in messages), messages
    beanstalk.terminate_environment(EnvironmentName="restless")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"EnvironmentName": "ends-"}, "start or end with a hyphen"),
        ({"EnvironmentName": "a" * 41}, "from 4 to 40 characters"),
        ({"EnvironmentName": "-starts"}, "start or end with a hyphen"),
        ({"VersionLabel": "red"}, "No Application Version named 'red'"),
        ({"PlatformArn": "arn:aws:elasticbeanstalk:us-east-1::platform/None/1.0"}, "No platform found"),
        ({"OptionSettings": []}, "instance profile"),
        ({"OptionSettings": [PROFILE, {**PROFILE, "OptionName": "RootVolumeEncrypted", "Value": "true"}]}, "Unknown configuration setting"),
        (
            {
                "OptionSettings": [
                    PROFILE,
                    {"Namespace": "aws:elasticbeanstalk:application:environmentsecrets", "OptionName": "A", "Value": "b"},
                ]
            },
            "ARN of a secret",
        ),
    ],
)
def test_beanstalk_refuses_what_it_refuses(beanstalk: Any, other, words):
    assert words in refused(beanstalk.create_environment, **environment("never-env", "blue", **other))


def test_platforms_and_options_are_told(beanstalk: Any):
    branches = beanstalk.list_platform_branches(Filters=[{"Attribute": "LifecycleState", "Operator": "=", "Values": ["Supported"]}])
    assert PLATFORM in [each["BranchName"] for each in branches["PlatformBranchSummaryList"]]
    versions = beanstalk.list_platform_versions(Filters=[{"Type": "PlatformBranchName", "Operator": "=", "Values": [PLATFORM]}])
    arn = versions["PlatformSummaryList"][0]["PlatformArn"]
    assert beanstalk.describe_platform_version(PlatformArn=arn)["PlatformDescription"]["PlatformBranchName"] == PLATFORM
    faults = beanstalk.validate_configuration_settings(
        ApplicationName="of-the-test", OptionSettings=[{"Namespace": "aws:ec2:vpc", "OptionName": "VpcId", "Value": "vpc-1"}]
    )["Messages"]
    assert [each["OptionName"] for each in faults] == ["VpcId"]


@pytest.mark.parametrize(
    ("service", "operation", "given"),
    [
        ("elasticbeanstalk", "compose_environments", {}),
        ("elasticache", "test_migration", {"ReplicationGroupId": "a", "CustomerNodeEndpointList": [{"Address": "a", "Port": 1}]}),
        ("rds", "describe_source_regions", {}),
    ],
)
def test_an_operation_that_is_not_rehearsed_says_so(cloud: Cloud, service, operation, given):
    assert "is not rehearsed" in refused(getattr(cloud.client(service), operation), **given)


def rehearse(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment_ = {**os.environ, "BERTH_REHEARSAL_STATE": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", *words], cwd=ROOT, env=environment_, capture_output=True, text=True, check=False
    )


def test_down_cleans_up_what_a_killed_server_left_and_nothing_else(cloud: Cloud, tmp_path):
    folder = tmp_path / "another"
    prefix = state.name_of(folder)
    assert rehearse(folder, "up").returncode == 0
    make = "import boto3; boto3.client('rds').create_db_instance(**__import__('json').loads(__import__('sys').argv[1]))"
    made = rehearse(folder, "run", "--", sys.executable, "-c", make, json.dumps(database("orphan")))
    assert made.returncode == 0, made.stderr
    engine = containers.client()

    def ours() -> list[str]:
        return [each.name for each in engine.containers.list(all=True, ignore_removed=True) if each.name.startswith(prefix)]

    eventually(ours)
    bystander = engine.containers.run("postgres:17", ["sleep", "300"], entrypoint="", detach=True, name="berth-test-bystander")
    try:
        running = state.read(state.SERVER, folder)
        assert running
        os.kill(int(running["pid"]), signal.SIGKILL)
        time.sleep(0.5)
        assert rehearse(folder, "status").returncode == 3
        done = rehearse(folder, "down")
        assert done.returncode == 0, done.stderr
        assert ours() == []
        assert not folder.exists()
        bystander.reload()
        assert bystander.status == "running"
        assert cloud.client("sts").get_caller_identity()["Account"]
        assert "no rehearsal" in rehearse(folder, "down").stdout
    finally:
        bystander.remove(force=True, v=True)


def test_an_instance_that_is_taken_away_while_it_is_made_is_gone(cloud: Cloud):
    rds = cloud.client("rds")
    login = {"MasterUsername": "boss", "MasterUserPassword": "secretsecret"}
    rds.create_db_instance(
        DBInstanceIdentifier="hasty",
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        BackupRetentionPeriod=1,
        **login,
    )
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="hasty", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier="hasty", TargetDBInstanceIdentifier="hastier", UseLatestRestorableTime=True
    )
    for name in ("hastier", "hasty"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
