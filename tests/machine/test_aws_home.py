"""`make demo` on the rehearsed AWS: from the Compose file to the app's front door, through bad days, to an empty account."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from rehearsal import containers, faults
from tests.machine.conftest import APP, EVERY, ROOT, App, Cloud, at_length, eventually
from tests.machine.interrupted import KILLED, killed_at_change

pytestmark = pytest.mark.docker
NAME = "fibonacci-test"
FULL = f"berth-{NAME}"


@dataclass
class Watch:
    """Looks at every process's command line until it is told to stop."""

    seen: set[bytes] = field(default_factory=set)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue


@dataclass
class Stack(App):
    """The app on the rehearsed AWS, and what was seen while it was made."""

    cloud: Any = None
    commands: set[bytes] = field(default_factory=set, repr=False)

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.cloud.playbook(name, "-e", f"app_name={NAME}", *arguments)

    def environment_(self) -> dict[str, Any]:
        found: dict[str, Any] = self.cloud.client("elasticbeanstalk").describe_environments(EnvironmentNames=[FULL])["Environments"][0]
        return found

    def sql(self, statement: str) -> str:
        """What the database says that DescribeDBInstances shows, to the app's own user."""
        shown = self.cloud.client("rds").describe_db_instances(DBInstanceIdentifier=FULL)["DBInstances"][0]
        secret = self.cloud.secrets(f"berth/{NAME}/postgres")[f"berth/{NAME}/postgres"]
        where = f"host={shown['Endpoint']['Address']} port={shown['Endpoint']['Port']} sslmode=require"
        who = f"user={secret['username']} dbname={secret['dbname']}"
        command = ["docker", "run", "--rm", "--network", "host", "--env", "PGPASSWORD", "postgres:17"]
        command += ["psql", "--no-align", "--tuples-only", "--command", statement, f"{where} {who}"]
        settings = {**os.environ, "PGPASSWORD": secret["password"]}
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def cache(self, *words: str) -> str:
        """What the cache says that the app's secret shows."""
        secret = self.cloud.secrets(f"berth/{NAME}/redis")[f"berth/{NAME}/redis"]
        command = ["docker", "run", "--rm", "--network", "host", "--env", "REDISCLI_AUTH", "valkey/valkey:8"]
        command += ["valkey-cli", "--no-auth-warning", "--tls", "--insecure", "-h", secret["host"], "-p", str(secret["port"]), *words]
        settings = {**os.environ, "REDISCLI_AUTH": secret["password"]}
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def changed(output: str) -> int:
    return sum(int(number) for number in re.findall(r"changed=(\d+)", output))


@pytest.fixture(scope="module")
def app(cloud: Cloud) -> Iterator[Stack]:
    """`make demo`, with all the words that Ansible has."""
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": NAME, "ANSIBLE_VERBOSITY": "3", "ANSIBLE_DIFF_ALWAYS": "true"}
    watch = Watch()
    watcher = threading.Thread(target=watch.run, daemon=True)
    watcher.start()
    command = [sys.executable, "-m", "rehearsal", "demo"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    watch.stop.set()
    watcher.join()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    url = done.stdout.rstrip().splitlines()[-1].removeprefix("URL: ")
    yield Stack(NAME, url, environment, done.stdout + done.stderr, target="aws", cloud=cloud, commands=watch.seen)
    cloud.playbook("destroy.yml", "-e", f"app_name={NAME}", "-e", f"destroy={NAME}")


def test_the_last_line_is_the_address_of_the_environment(app: Stack):
    assert app.url == f"http://{app.environment_()['CNAME']}"
    with urllib.request.urlopen(app.url, timeout=10) as response:
        assert "<title>Fibonacci</title>" in response.read().decode()


def test_an_index_is_computed_and_stored_in_the_database_that_the_api_shows(app: Stack):
    app.submit(20)
    assert eventually(lambda: app.result(20)) == 10946
    assert app.sql("SELECT count(*) FROM indices WHERE index = 20") == "1"


# Asks Postgres for TLS, and verifies who answers, as node-postgres does.
VERIFY = """
const socket = require("net").connect(process.env.PGPORT, process.env.PGHOST);
socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
socket.once("data", () => {
  const secure = require("tls").connect({ socket, host: process.env.PGHOST }, () => { console.log(secure.authorized); process.exit(0); });
  secure.on("error", (error) => { console.log(error.code); process.exit(1); });
});
"""


@pytest.mark.usefixtures("app")
def test_a_client_that_verifies_who_answers_takes_rds_for_who_it_is():
    api = next(each for each in containers.find("beanstalk") if FULL in each.name and each.name.endswith("-api"))
    assert api.exec_run(["node", "-e", VERIFY]).output.decode().strip() == "true"
    assert (
        api.exec_run(["node", "-e", VERIFY], environment={"NODE_EXTRA_CA_CERTS": ""}).output.decode().strip().startswith("UNABLE_TO_VERIFY")
    )


@pytest.mark.usefixtures("app")
def test_only_the_apps_containers_run_on_the_instances():
    names = [each.name for each in containers.find("beanstalk") if FULL in each.name]
    assert sorted(name.rsplit("-", 1)[-1] for name in names) == ["api", "api", "nginx", "nginx", "worker", "worker"]


def test_no_secret_is_seen_in_output_processes_properties_or_bundles(app: Stack):
    found = app.cloud.secrets(f"berth/{NAME}/")
    words = {text for secret in found.values() for key, text in secret.items() if key in ("password", "scram_verifier")}
    assert len(words) >= 4
    assert "TASK [postgres_rds" in app.output
    commands = b"\n".join(app.commands).decode(errors="replace")
    assert "ansible-playbook" in commands
    beanstalk = app.cloud.client("elasticbeanstalk")
    settings = json.dumps(
        beanstalk.describe_configuration_settings(ApplicationName=FULL, EnvironmentName=FULL)["ConfigurationSettings"], default=str
    )
    bundles = ""
    for version in beanstalk.describe_application_versions(ApplicationName=FULL)["ApplicationVersions"]:
        source = version["SourceBundle"]
        body = app.cloud.client("s3").get_object(Bucket=source["S3Bucket"], Key=source["S3Key"])["Body"].read()
        with zipfile.ZipFile(BytesIO(body)) as archive:
            bundles += "".join(archive.read(name).decode(errors="replace") for name in archive.namelist())
    assert "containerDefinitions" in bundles
    for word in words:
        for where, text in (("output", app.output), ("processes", commands), ("settings", settings), ("bundles", bundles)):
            assert word not in text, f"a secret stands in the {where}"


def test_the_data_is_looked_after(app: Stack):
    database = app.cloud.client("rds").describe_db_instances(DBInstanceIdentifier=FULL)["DBInstances"][0]
    assert (database["MultiAZ"], database["StorageEncrypted"], database["DeletionProtection"]) == (True, True, True)
    assert not database["PubliclyAccessible"]
    assert database["BackupRetentionPeriod"] == 14
    cache = app.cloud.client("elasticache").describe_replication_groups(ReplicationGroupId=FULL)["ReplicationGroups"][0]
    assert (cache["TransitEncryptionEnabled"], cache["AtRestEncryptionEnabled"], cache["AuthTokenEnabled"]) == (True, True, True)
    assert (cache["AutomaticFailover"], cache["MultiAZ"], len(cache["MemberClusters"])) == ("enabled", "enabled", 2)


def test_a_database_without_tls_or_password_lets_nobody_in(app: Stack):
    shown = app.cloud.client("rds").describe_db_instances(DBInstanceIdentifier=FULL)["DBInstances"][0]
    command = ["docker", "run", "--rm", "--network", "host", "--env", "PGPASSWORD=guessed", "postgres:17", "psql", "--command", "SELECT 1"]
    for mode, words in (("disable", "no encryption|SSL off"), ("require", "password authentication failed")):
        where = f"host={shown['Endpoint']['Address']} user=berth dbname=postgres sslmode={mode}"
        done = subprocess.run([*command, where], capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert re.search(words, done.stderr), done.stderr


def test_a_second_run_changes_nothing_and_check_mode_says_so(app: Stack):
    for options in ((), ("--check", "--diff")):
        done = app.playbook("site.yml", *options)
        assert done.returncode == 0, done.stdout
        assert changed(done.stdout) == 0, done.stdout


def test_the_status_tells_what_stands(app: Stack):
    done = app.playbook("status.yml")
    assert done.returncode == 0, done.stdout
    assert re.search(rf"app +Beanstalk {FULL}, Ready, health Green\n", done.stdout), done.stdout
    assert re.search(rf"app +{re.escape(app.url)}\n", done.stdout)
    assert re.search(r"postgres +RDS postgres 17\.\d+, db\.t4g\.small, Multi-AZ, available, 10\.\S+", done.stdout)
    assert re.search(r"redis +ElastiCache valkey, cache\.t4g\.small, 1 replicas, available, 10\.\S+", done.stdout)
    assert re.search(r"platform +VPC vpc-\S+ 10\.40\.0\.0/16 in us-east-1, 2 zones", done.stdout)


def test_deploy_alone_brings_a_new_release_into_service_while_the_old_one_serves(app: Stack, tmp_path):
    project = copy(tmp_path)
    page = next(path for path in project.rglob("index.html") if "node_modules" not in path.parts)
    page.write_text(page.read_text().replace("<title>Fibonacci</title>", "<title>Fibonacci, again</title>"))
    with Visitors(app) as visitors:
        done = app.playbook("deploy.yml", "-e", f"app_project={project}", "-e", "app_release=again-1")
    assert done.returncode == 0, done.stdout
    assert visitors.failures == []
    assert visitors.answers > 20
    with urllib.request.urlopen(app.url, timeout=10) as response:
        assert "<title>Fibonacci, again</title>" in response.read().decode()
    assert app.environment_()["VersionLabel"].startswith("again-1-")
    # Events are shown as they come.
    assert re.search(r"\d\d:\d\d:\d\d INFO  \S", done.stdout)


def test_a_rollback_brings_the_version_before_back_into_service_once(app: Stack):
    left = app.environment_()["VersionLabel"]
    with Visitors(app) as visitors:
        done = app.playbook("rollback.yml")
    assert done.returncode == 0, done.stdout
    assert visitors.failures == []
    label = app.environment_()["VersionLabel"]
    assert label != left
    assert f"Version {label} serves." in done.stdout
    with urllib.request.urlopen(app.url, timeout=10) as response:
        assert "<title>Fibonacci</title>" in response.read().decode()
    again = app.playbook("rollback.yml")
    assert set(re.findall(r"changed=(\d+)", again.stdout)) == {"0"}, again.stdout
    assert app.environment_()["VersionLabel"] == label
    done = app.playbook("rollback.yml", "-e", "app_release=nobody")
    assert done.returncode != 0
    assert f"app_release: there is no version nobody any more. The application has {left}" in " ".join(done.stdout.split())
    if EVERY:
        forward = app.playbook("rollback.yml", "-e", "app_release=again-1")
        assert forward.returncode == 0, forward.stdout
        assert app.environment_()["VersionLabel"] == left


class Visitors:
    """Ask for the page and the API over and over, and note what fails."""

    def __init__(self, app: App) -> None:
        self.app, self.failures, self.answers = app, list[str](), 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            for path in ("/", "/api/values"):
                try:
                    status, _answer = self.app.call(path)
                except OSError as error:
                    status = str(error)
                self.answers += 1
                if status != 200:
                    self.failures.append(f"{path}: {status}")


def copy(folder: Path) -> Path:
    """The sample app in a folder of its own, outside any repository."""
    project = folder / "fibonacci"
    shutil.copytree(APP, project, ignore=shutil.ignore_patterns("node_modules"))
    return project


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(
            {"command": ["node", "-e", "console.error('the reactor is out of fuel'); process.exit(3)"]},
            ["the reactor is out of fuel"],
            marks=at_length("half a minute"),
        ),
        ({"image": "127.0.0.1:1/team/none:1", "build": None}, ["127.0.0.1:1/team/none:1"]),
        (
            {"command": ["node", "-e", "const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1))"], "mem_limit": "96m"},
            ["OutOfMemoryError", "mem_limit in the Compose file"],
        ),
    ],
    ids=["a container that ends", "an image that there is not", "a container that needs more memory than it has"],
)
def test_a_release_that_never_gets_healthy_says_why_and_the_old_one_serves_on(app: Stack, tmp_path, fault, words):
    project = copy(tmp_path)
    (project / "broken.yaml").write_text(
        "services:\n  api:\n"
        + "".join(f"    {key}: {'!reset null' if value is None else json.dumps(value)}\n" for key, value in fault.items())
    )
    before = app.environment_()["VersionLabel"]
    files = json.dumps({"app_compose_files": ["compose.yaml", "compose.production.yaml", "broken.yaml"]})
    with Visitors(app) as visitors:
        done = app.playbook(
            "deploy.yml",
            "-e",
            f"app_project={project}",
            "-e",
            files,
            "-e",
            f"app_release=broken-{len(words[0])}",
            "-e",
            "app_beanstalk_deployment_timeout=15",
        )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "did not take version broken-" in said
    assert f"it still serves version {before}" in said
    for word in words:
        assert word in said
    assert "Traceback" not in said
    assert visitors.failures == []
    assert app.environment_()["VersionLabel"] == before


def test_the_app_survives_the_failover_of_either_store(app: Stack):
    app.submit(25)
    assert eventually(lambda: app.result(25)) == 121393
    rds, cache = app.cloud.client("rds"), app.cloud.client("elasticache")
    started, primary = app.sql("SELECT pg_postmaster_start_time()"), primary_of(cache)
    with Gap(app) as gap:
        rds.reboot_db_instance(DBInstanceIdentifier=FULL, ForceFailover=True)
        eventually(lambda: rds.describe_db_instances(DBInstanceIdentifier=FULL)["DBInstances"][0]["DBInstanceStatus"] == "available")
        eventually(app.ready, 90)
    print(f"failover of the database: {gap.longest:.1f} s without an answer")
    assert app.sql("SELECT pg_postmaster_start_time()") != started
    assert gap.longest < 60
    with Gap(app) as gap:
        cache.test_failover(ReplicationGroupId=FULL, NodeGroupId="0001")
        eventually(lambda: primary_of(cache) not in (None, primary))
        eventually(app.ready, 90)
    print(f"failover of the cache: {gap.longest:.1f} s without an answer")
    assert gap.longest < 60
    eventually(app.ready, 90)
    eventually(lambda: app.call("/api/values", {"index": 26})[0] == 202, 30)
    assert eventually(lambda: app.result(26)) == 196418
    assert eventually(lambda: app.result(25)) == 121393


def test_the_app_survives_the_death_of_either_store(app: Stack):
    app.submit(27)
    assert eventually(lambda: app.result(27)) == 317811
    rds, cache = app.cloud.client("rds"), app.cloud.client("elasticache")
    started, primary = app.sql("SELECT pg_postmaster_start_time()"), primary_of(cache)
    with Gap(app) as gap:
        containers.find("rds", FULL)[0].kill()
        eventually(lambda: not app.ready(), 20)
        eventually(app.ready, 90)
    print(f"death of the database: {gap.longest:.1f} s without an answer")
    eventually(lambda: rds.describe_db_instances(DBInstanceIdentifier=FULL)["DBInstances"][0]["DBInstanceStatus"] == "available")
    assert app.sql("SELECT pg_postmaster_start_time()") != started
    with Gap(app) as gap:
        next(each for each in containers.find("elasticache", FULL) if each.labels[f"{containers.LABEL}.name"] == primary).kill()
        eventually(lambda: primary_of(cache) not in (None, primary), 60)
        eventually(app.ready, 90)
    print(f"death of the cache's primary: {gap.longest:.1f} s without an answer")
    eventually(lambda: app.call("/api/values", {"index": 28})[0] == 202, 30)
    assert eventually(lambda: app.result(28)) == 514229
    assert eventually(lambda: app.result(27)) == 317811
    said = [each["Message"] for each in cache.describe_events(SourceIdentifier=FULL, SourceType="replication-group", Duration=60)["Events"]]
    assert any("Automatic failover" in each for each in said)


class Gap:
    """Ask whether the app and both of its stores are ready, twenty times a second, and note the longest while without a yes."""

    def __init__(self, app: App) -> None:
        self.app, self.longest = app, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Gap:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        time.sleep(2)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.05):
            try:
                well = self.app.ready()
            except OSError:
                well = False
            if well:
                self.longest, last = max(self.longest, time.monotonic() - last), time.monotonic()


def primary_of(cache: Any) -> str | None:
    """The node that is the primary, as the API tells it; None while there is none."""
    members = cache.describe_replication_groups(ReplicationGroupId=FULL)["ReplicationGroups"][0]["NodeGroups"][0]["NodeGroupMembers"]
    return next((str(each["CacheClusterId"]) for each in members if each.get("CurrentRole") == "primary"), None)


def indices(app: Stack) -> set[int]:
    """What the database holds, to the app's own user."""
    return {int(each) for each in app.sql("SELECT index FROM indices").split()}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("postgres_rds_class=db.t4g.smal", "RDS does not offer 'db.t4g.smal' for this version in this region; did you mean 'db.t4g.small'"),
        ("postgres_rds_version=16", "AWS cannot go back to 16"),
        ("postgres_rds_storage=10", "less than the 20 that gp3 has at least"),
        ("postgres_rds_name=other postgres_rds_version=12", "RDS does not offer PostgreSQL 12 in this region; it has 14, 15, 16, 17"),
        ("platform_aws_cidr=10.50.0.0/16", "a network's addresses cannot be changed to 10.50.0.0/16"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(app: Stack, given, words):
    secrets = app.cloud.secrets("berth/")
    done = app.playbook("platform.yml" if given.startswith("platform") else "data_tier.yml", "-e", given)
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split()), done.stdout
    assert changed(done.stdout) == 0
    assert app.cloud.secrets("berth/") == secrets


def test_an_app_that_cannot_be_deployed_is_refused_before_anything_is_made(app: Stack, tmp_path):
    (tmp_path / "compose.yaml").write_text("services: {db: {image: 'postgres:17'}, web: {image: 'nginx:1.28', environment: {PGHOST: db}}}")
    done = app.cloud.playbook("site.yml", "-e", f"app_project={tmp_path}", "-e", "app_stage=never", "-e", "aws_profile=small")
    assert done.returncode != 0
    said = " ".join(done.stdout.split())
    assert "no service is the one that they reach; name it (app_front_door), and publish a port of it in the Compose file" in said
    assert changed(done.stdout) == 0
    assert left_over(app.cloud, "berth-fibonacci-never") == []


def test_scaling_is_a_changed_variable_that_says_what_it_interrupts(app: Stack):
    bigger = (
        "-e",
        "postgres_rds_class=db.t4g.medium",
        "-e",
        "postgres_rds_storage=40",
        "-e",
        "redis_elasticache_node_type=cache.t4g.medium",
    )
    bigger += ("-e", "redis_elasticache_replicas=2", "-e", "app_beanstalk_instance_type=t3.medium")

    def database() -> dict[str, Any]:
        found: dict[str, Any] = app.cloud.client("rds").describe_db_instances(DBInstanceIdentifier=FULL)["DBInstances"][0]
        return {key: value for key, value in found.items() if key != "LatestRestorableTime"}

    before = database()
    asked = app.playbook("site.yml", "--check", "--diff", *bigger)
    assert asked.returncode == 0, asked.stdout
    said = " ".join(asked.stdout.split())
    assert "class db.t4g.small → db.t4g.medium: a failover to the standby" in said
    assert f"storage {before['AllocatedStorage']} → 40 GiB: no interruption" in said
    assert "cache.t4g.medium" in said
    assert "instances are replaced" in said
    assert database() == before
    app.submit(21)
    with Visitors(app) as visitors:
        done = app.playbook("site.yml", *bigger)
    assert done.returncode == 0, done.stdout
    assert visitors.failures == []
    there = app.cloud.client("rds").describe_db_instances()["DBInstances"]
    assert [(each["DBInstanceClass"], each["AllocatedStorage"]) for each in there] == [("db.t4g.medium", 40)]
    group = app.cloud.client("elasticache").describe_replication_groups(ReplicationGroupId=FULL)["ReplicationGroups"][0]
    assert (group["CacheNodeType"], len(group["MemberClusters"])) == ("cache.t4g.medium", 3)
    alarms = app.cloud.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{FULL}-redis-")["MetricAlarms"]
    assert len(alarms) == 9
    if EVERY:
        again = app.playbook("site.yml", *bigger)
        assert changed(again.stdout) == 0, again.stdout
    assert eventually(lambda: app.result(21)) == 17711


def test_the_name_of_visitors_leads_to_the_environment_in_one_step(app: Stack, tmp_path: Path):
    client = app.cloud.client("route53")
    zone = client.create_hosted_zone(Name="example.com", CallerReference="told")["HostedZone"]["Id"]
    name = {"app_domain": "shop.example.com", "app_dns": "route53"}

    def record() -> dict[str, Any]:
        found = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return next(each for each in found if each["Name"] == "shop.example.com.")

    done = app.playbook("name.yml", "-e", json.dumps(name))
    assert done.returncode == 0, done.stdout
    assert "shop.example.com leads to" in done.stdout
    assert (record()["TTL"], record()["Type"]) == (60, "A")
    request = urllib.request.Request(f"http://{record()['ResourceRecords'][0]['Value']}/", headers={"Host": "shop.example.com"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert "<title>Fibonacci</title>" in response.read().decode()
    # A real environment has a name, which is none of a rehearsal's.
    real = {
        "dns_domain": "shop.example.com",
        "dns_zone": "example.com",
        "dns_target": "shop.eu-central-1.elasticbeanstalk.com",
        "dns_ttl": 60,
    }
    play = tmp_path / "play.yml"
    tasks = [{"ansible.builtin.include_role": {"name": "dns", "tasks_from": "route53.yml"}}]
    play.write_text(json.dumps([{"hosts": "aws_account", "gather_facts": False, "tasks": tasks}]))
    words = ["ansible-playbook", "-i", "inventories/aws", str(play), "-e", json.dumps(real)]
    for changes in (1, 0):
        done = subprocess.run(words, cwd=ROOT, env=app.cloud.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert changed(done.stdout) == changes
        alias = record()["AliasTarget"]
        assert (record()["Type"], alias["HostedZoneId"]) == ("A", "Z1FRNW7UH4DEZJ")
        assert alias["DNSName"].rstrip(".") == "shop.eu-central-1.elasticbeanstalk.com"
    client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "DELETE", "ResourceRecordSet": record()}]})
    client.delete_hosted_zone(Id=zone)


def test_drills_restore_both_stores_into_throwaway_ones_and_say_how_that_went(app: Stack):
    app.submit(33)
    assert eventually(lambda: app.result(33)) == 5702887
    app.cache("set", "before", "1")
    copies = ("-e", "postgres_rds_copy_region=eu-west-1", "-e", "redis_elasticache_copy_region=eu-west-1")
    code, said, _request = killed_at_change(app.cloud, 2, "backup.yml", "-e", f"app_name={NAME}", *copies, done=True)
    assert code == KILLED, said
    done = app.playbook("backup.yml", *copies)
    assert done.returncode == 0, done.stdout
    told = app.cloud.client("rds").describe_event_subscriptions()["EventSubscriptionsList"]
    assert [(each["SourceIdsList"], "failure" in each["EventCategoriesList"]) for each in told] == [([FULL], True)]
    there = app.cloud.client("rds", region="eu-west-1").describe_db_snapshots(DBInstanceIdentifier=FULL)["DBSnapshots"]
    assert {(each["Status"], each["Encrypted"]) for each in there} == {("available", True)}
    said = " ".join(done.stdout.split())
    assert re.search(rf"postgres +{FULL}-\d+-\d+, manual", said) and "available, in eu-west-1" in said
    assert re.search(rf"redis +{FULL}-\d+-\d+, manual", said)
    assert re.search(rf"redis +s3://{FULL}-\d+-eu-west-1-redis/{FULL}-\d+-\d+-0001\.rdb, in eu-west-1", said)
    rows = app.sql("SELECT count(*) FROM indices")
    # What is written after the backup is not in what it recorded.
    app.submit(35)
    assert eventually(lambda: app.result(35)) == 14930352
    done = app.playbook("drill.yml", "-e", json.dumps({"backup_drill_query": "SELECT max(index) FROM indices"}))
    assert done.returncode == 0, done.stdout
    said = " ".join(done.stdout.split())
    print(done.stdout[done.stdout.rindex("    msg:") : done.stdout.rindex("PLAY RECAP")])
    assert "every row of fibonacci_test can be read" in said and "the query answers 33" in said
    assert re.search(rf"{rows} rows in 1 tables are what was recorded at [0-9TZ:-]+", said)
    assert re.search(r"redis +\S+, of [0-9: Z-]+, was restored in \d+ s", said)
    assert re.search(r"holds ([1-9]\d*) keys, \d+ of which expire; at least [1-9]\d* were recorded with it", said)
    assert "last drill" in (said := " ".join(app.playbook("status.yml").stdout.split())) and "well in" in said
    assert [each["DBInstanceIdentifier"] for each in app.cloud.client("rds").describe_db_instances()["DBInstances"]] == [FULL]
    if EVERY:
        failed = app.playbook("drill.yml", "-e", json.dumps({"backup_drill_query": "SELECT false"}))
        assert failed.returncode != 0
        assert "The query answers f" in failed.stdout
        snapshots = app.cloud.client("rds").describe_db_snapshots(DBInstanceIdentifier=FULL)["DBSnapshots"]
        newest = max(snapshots, key=lambda each: each["SnapshotCreateTime"])
        kept = next(tag["Value"] for tag in newest["TagList"] if tag["Key"] == "berth:record")
        wrong = [{"Key": "berth:record", "Value": kept[:-4] + "0000"}]
        app.cloud.client("rds").add_tags_to_resource(ResourceName=newest["DBSnapshotArn"], Tags=wrong)
        failed = app.playbook("drill.yml", "-l", "platform:postgres")
        assert "is not what is there: tables, rows and digest were 1 " in " ".join(failed.stdout.split())
        app.cloud.client("rds").add_tags_to_resource(ResourceName=newest["DBSnapshotArn"], Tags=[{"Key": "berth:record", "Value": kept}])
        assert [each["DBInstanceIdentifier"] for each in app.cloud.client("rds").describe_db_instances()["DBInstances"]] == [FULL]
    assert app.ready()


def test_what_is_late_is_told_to_the_alarms_topic(app: Stack):
    topic = next(each["TopicArn"] for each in app.cloud.client("sns").list_topics()["Topics"] if f"{FULL}-alarms" in each["TopicArn"])
    queue = app.cloud.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    listening = app.cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=topic.replace(":sns:", ":sqs:").replace(f"{FULL}-alarms", "told")
    )
    try:
        assert "LATE" not in app.playbook("status.yml", "-e", "status_alarm=true").stdout
        late = {"status_alarm": True, "redis_elasticache_late_hours": -1, "postgres_rds_late_hours": -1}
        done = app.playbook("status.yml", "-e", json.dumps(late))
        assert done.returncode == 0 and "which is LATE" in done.stdout, done.stdout
        told = app.cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
        text = "\n".join(json.loads(each["Body"])["Message"] for each in told)
        assert re.search(r"rds: what can be restored ends at .* LATE\n", text) and "elasticache: the newest snapshot is 0 hours old" in text
    finally:
        app.cloud.client("sns").unsubscribe(SubscriptionArn=listening["SubscriptionArn"])


def test_both_stores_are_restored_beside_the_running_ones_and_take_their_places_when_the_name_is_typed(app: Stack):
    app.submit(31)
    assert eventually(lambda: app.result(31)) == 2178309
    time.sleep(1.1)
    between = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    time.sleep(1.1)
    app.submit(32)
    assert eventually(lambda: app.result(32)) == 3524578
    app.cache("set", "after", "1")
    torn(app, 1, "-e", f"restore_to={between}")
    said = restored(app, "-e", f"restore_to={between}")
    assert "The running instance was not touched" in said
    assert {31, 32} <= indices(app)
    # Of the backup that was taken before the drills.
    cut_off(app, "elasticache:CreateReplicationGroup", "-e", "restore_store=redis", "-e", "restore_to=latest")
    said = restored(app, "-e", "restore_store=redis", "-e", "restore_to=latest")
    assert f"{FULL}-r2 holds what was asked for" in said
    assert app.cache("exists", "before", "after") == "2"
    torn(app, 2, "-e", f"restore={NAME}")
    for store in ("postgres", "redis"):
        restored(app, "-e", f"restore_store={store}", "-e", f"restore={NAME}")
    # The restored ones have other passwords, and here other addresses.
    done = app.playbook("site.yml")
    assert done.returncode == 0, done.stdout
    eventually(app.ready, 90)
    assert eventually(lambda: indices(app)) & {31, 32} == {31}
    assert (app.cache("exists", "before"), app.cache("exists", "after")) == ("1", "0")
    app.submit(34)
    assert eventually(lambda: app.result(34)) == 9227465
    if EVERY:
        again = app.playbook("site.yml")
        assert changed(again.stdout) == 0, again.stdout
    for store in ("postgres", "redis"):
        restored(app, "-e", f"restore_store={store}", "-e", f"restore_forget={NAME}")
    assert [each["DBInstanceIdentifier"] for each in app.cloud.client("rds").describe_db_instances()["DBInstances"]] == [FULL]
    there = app.cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]
    assert [each["ReplicationGroupId"] for each in there] == [f"{FULL}-r2"]
    assert app.cache("exists", "before") == "1"


def torn(app: Stack, at: int, *arguments: str) -> None:
    """Let restore.yml be killed at one of its changes, whose answer nobody gets any more."""
    code, said, _request = killed_at_change(app.cloud, at, "restore.yml", "-e", f"app_name={NAME}", *arguments, done=True)
    assert code == KILLED, said


def cut_off(app: Stack, operation: str, *arguments: str) -> None:
    """Let the connection break whenever restore.yml asks for one of its changes."""
    faults.add("drop", operation=operation)
    try:
        done = app.playbook("restore.yml", *arguments)
    finally:
        faults.clear()
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    print(said[said.index("[ERROR]") :].split("Origin")[0])
    assert "Traceback" not in said
    assert app.ready()


def restored(app: Stack, *arguments: str) -> str:
    """What restore.yml says, on one line."""
    done = app.playbook("restore.yml", *arguments)
    assert done.returncode == 0, done.stdout
    return " ".join(done.stdout.split())


def test_destroy_refuses_without_the_name_and_leaves_nothing_that_costs_money(app: Stack):
    app.submit(35)
    assert eventually(lambda: app.result(35)) == 14930352
    for given in ((), ("-e", "destroy=another")):
        refused = app.playbook("destroy.yml", *given)
        assert refused.returncode != 0
        assert "Nothing was removed" in refused.stdout
        assert f"destroy={NAME}" in refused.stdout
    assert app.ready()
    if EVERY:
        # What stands beside goes too.
        for store in ("postgres", "redis"):
            done = app.playbook("restore.yml", "-e", "restore_to=latest", "-e", f"restore_store={store}")
            assert done.returncode == 0, done.stdout
    done = app.playbook("destroy.yml", "-e", f"destroy={NAME}")
    assert done.returncode == 0, done.stdout
    assert left_over(app.cloud, FULL) == []
    assert [each.name for each in containers.find() if FULL in each.name] == []
    assert re.search(rf"{FULL}-final-\d+", done.stdout)
    # What comes back is the data that there was, and no empty stores that pass for it.
    refused = app.playbook("site.yml")
    assert refused.returncode != 0
    said = " ".join(refused.stdout.split())
    print(re.findall(r"There is no (?:RDS|replication).*?Nothing was begun\.", said))
    assert "There is no RDS instance" in said and "There is no replication group" in said and "Nothing was begun" in said
    # Months later, when also the secrets that could be brought back are gone.
    for name in ("postgres-master", "postgres", "redis"):
        app.cloud.client("secretsmanager").delete_secret(SecretId=f"berth/{NAME}/{name}", ForceDeleteWithoutRecovery=True)
    steps = [
        ("platform.yml",),
        *(("restore.yml", "-e", "restore_to=latest", "-e", f"restore_store={each}") for each in ("postgres", "redis")),
    ]
    steps += [("site.yml",)] if EVERY else [("data_tier.yml",)]
    for step in steps:
        done = app.playbook(*step)
        assert done.returncode == 0, done.stdout
    if EVERY:
        eventually(app.ready, 90)
    assert 35 in indices(app)
    assert app.cache("exists", "before") == "1"
    done = app.playbook("destroy.yml", "-e", f"destroy={NAME}")
    assert done.returncode == 0, done.stdout
    assert left_over(app.cloud, FULL) == []
    again = app.playbook("destroy.yml", "-e", f"destroy={NAME}")
    assert again.returncode == 0, again.stdout
    assert changed(again.stdout) == 0, again.stdout


@at_length("two minutes")
def test_a_region_that_is_lost_begins_anew_in_another_from_the_copies(app: Stack):
    # The first is gone by now: stacks of one name in two regions are not rehearsed.
    region = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    small = ("-e", f"app_name={NAME}", "-e", "aws_profile=small")

    def there(playbook: str, *arguments: str) -> str:
        done = app.cloud.playbook(playbook, *small, *arguments, **region)
        assert done.returncode == 0, done.stdout[-5000:]
        return " ".join(done.stdout.split())

    there("platform.yml")
    said = there("restore.yml", "-e", "restore_store=redis")
    copy = re.search(r"(s3://\S+\.rdb), in eu-west-1", said)
    assert copy, said
    there("restore.yml", "-e", "restore_to=latest")
    there("restore.yml", "-e", "restore_store=redis", "-e", f"restore_to={copy[1]}")
    there("site.yml")
    environment = app.cloud.client("elasticbeanstalk", region="eu-west-1").describe_environments(EnvironmentNames=[FULL])["Environments"][0]
    with urllib.request.urlopen(f"http://{environment['CNAME']}/api/values/33", timeout=10) as response:
        assert int(json.load(response)["value"]) == 5702887
    there("destroy.yml", "-e", f"destroy={NAME}")


def left_over(cloud: Cloud, name: str) -> list[str]:
    """What of a stack is still there and costs money, or would be in the way of the next one."""
    tag = [{"Name": "tag:berth:network", "Values": [name]}]
    ec2 = cloud.client("ec2")
    found: list[str] = [each["VpcId"] for each in ec2.describe_vpcs(Filters=tag)["Vpcs"]]
    found += [each["NatGatewayId"] for each in ec2.describe_nat_gateways(Filters=tag)["NatGateways"] if each["State"] != "deleted"]
    found += [each["AllocationId"] for each in ec2.describe_addresses(Filters=tag)["Addresses"]]
    found += [each["DBInstanceIdentifier"] for each in cloud.client("rds").describe_db_instances()["DBInstances"]]
    found += [each["CustSubscriptionId"] for each in cloud.client("rds").describe_event_subscriptions()["EventSubscriptionsList"]]
    found += [each["DBSubnetGroupName"] for each in cloud.client("rds").describe_db_subnet_groups()["DBSubnetGroups"]]
    found += [each["DBParameterGroupName"] for each in cloud.client("rds").describe_db_parameter_groups()["DBParameterGroups"]]
    found += [each["ReplicationGroupId"] for each in cloud.client("elasticache").describe_replication_groups()["ReplicationGroups"]]
    found += [each["CacheSubnetGroupName"] for each in cloud.client("elasticache").describe_cache_subnet_groups()["CacheSubnetGroups"]]
    beanstalk = cloud.client("elasticbeanstalk")
    found += [each["EnvironmentName"] for each in beanstalk.describe_environments()["Environments"] if each["Status"] != "Terminated"]
    found += [each["ApplicationName"] for each in beanstalk.describe_applications()["Applications"]]
    found += [each["repositoryName"] for each in cloud.client("ecr").describe_repositories()["repositories"]]
    # What was copied into another region stays, as last snapshots do.
    found += [each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"] if not each["Name"].endswith("eu-west-1-redis")]
    found += [each["Name"].replace("/", "-") for each in cloud.client("secretsmanager").list_secrets()["SecretList"]]
    found += [each["logGroupName"].replace("/", "-") for each in cloud.client("logs").describe_log_groups()["logGroups"]]
    found += [each["RoleName"] for each in cloud.client("iam").list_roles()["Roles"]]
    found += [each["TopicArn"] for each in cloud.client("sns").list_topics()["Topics"]]
    found += [each["AlarmName"] for each in cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]]
    ecs = cloud.client("ecs")
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    found += [each["clusterArn"] for each in clusters if each["status"] != "INACTIVE"]
    return [each for each in found if name in each or each.startswith(("vpc-", "nat-", "eipalloc-"))]


def test_check_mode_on_an_empty_account_says_what_would_be_made_and_makes_nothing(cloud: Cloud):
    done = cloud.playbook("site.yml", "--check", "--diff", "-e", "app_stage=empty")
    assert done.returncode == 0, done.stdout
    assert changed(done.stdout) > 15
    assert left_over(cloud, "berth-fibonacci-empty") == []
    assert cloud.secrets("berth/fibonacci-empty") == {}


@pytest.mark.parametrize(
    ("playbook", "arguments", "environment", "words"),
    [
        ("platform.yml", (), {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        ("platform.yml", (), {"AWS_REGION": "eu-centrl-1"}, "did you mean 'eu-central-1'"),
        ("platform.yml", ("-e", "aws_stack=Shop!"), {}, "lower-case letters, digits and single hyphens"),
        ("platform.yml", ("-e", "aws_profile=huge"), {}, "small, production"),
        ("deploy.yml", ("-e", "app_stage=nowhere"), {}, "run playbooks/platform.yml"),
        ("data_tier.yml", ("-e", "app_stage=nowhere"), {}, "run playbooks/platform.yml"),
        ("platform.yml", ("-e", "app_project=/nowhere"), {}, "/nowhere is not a directory"),
        ("platform.yml", ("-e", "platform_aws_cidr=10.40.0.0/99"), {}, "cidr: '10.40.0.0/99' is no network"),
        ("platform.yml", ("-e", "platform_aws_cidr=8.8.0.0/16"), {}, "is public; choose one of"),
        ("platform.yml", ("-e", f"aws_stack={'a' * 35}"), {}, "has to be 1 to 34"),
    ],
)
def test_what_is_wrong_is_said_in_one_message_with_the_remedy(cloud: Cloud, playbook, arguments, environment, words):
    done = cloud.playbook(playbook, *arguments, **environment)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert words in said, done.stdout
    assert "Traceback" not in said
    assert done.stdout.count("[ERROR]") + done.stderr.count("[ERROR]") <= 1, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("kind", "operation", "words"),
    [
        ("expire", "sts:*", "the session's token has expired; sign in again"),
        ("deny", "ec2:CreateVpc", "not authorized to perform: ec2:CreateVpc"),
        ("quota", "ec2:CreateVpc", "as many VPCs in this region as its quota lets it"),
        ("deny", "ecr:CreateRepository", "the credentials lack the permission"),
    ],
)
def test_what_an_account_refuses_is_said_with_the_remedy(cloud: Cloud, kind, operation, words):
    faults.add(kind, operation=operation)
    try:
        done = cloud.playbook("platform.yml", "-e", "app_stage=refused", "-e", "aws_profile=small")
    finally:
        faults.clear()
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert words in said, done.stdout
    assert "Traceback" not in said
    cloud.playbook("destroy.yml", "-e", "app_stage=refused", "-e", "destroy=fibonacci-refused")
    assert left_over(cloud, "berth-fibonacci-refused") == []


def test_a_bucket_of_another_account_is_left_alone(cloud: Cloud):
    stranger = cloud.client("s3")
    # How moto is told whose request it is.
    stranger.meta.events.register("before-sign.s3", lambda request, **_: request.headers.add_header("x-moto-account-id", "210987654321"))
    stranger.create_bucket(Bucket="taken-by-a-stranger")
    done = cloud.playbook(
        "platform.yml", "-e", "app_stage=bucket", "-e", "aws_profile=small", "-e", "platform_aws_bucket=taken-by-a-stranger"
    )
    assert done.returncode != 0
    assert "belongs to another account; give another with platform_aws_bucket" in " ".join(done.stdout.split())
    cloud.playbook("destroy.yml", "-e", "app_stage=bucket", "-e", "destroy=fibonacci-bucket", "-e", "platform_aws_bucket=unused")
    assert left_over(cloud, "berth-fibonacci-bucket") == []
