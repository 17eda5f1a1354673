"""The AWS home in the rehearsal, against what teams have without Berth: a playbook of stock modules, the EB CLI, a bare script."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import mean

from benchmarks.running import ROOT, run, seconds, void
from rehearsal import demo, faults, server, stack, strangers

NAME = "berth-fibonacci"
SITE = ("ansible-playbook", "-i", "inventories/aws", "playbooks/site.yml")
STOCK = ("ansible-playbook", "-i", "localhost,", "benchmarks/stock/site.yml")
# As it runs where there is no Berth, whose configuration lets every module run in Ansible's own process.
PLAIN = {"ANSIBLE_CONFIG": str(ROOT / "benchmarks" / "stock" / "ansible.cfg")}
PINS = ROOT / "tests" / "machine" / "clients.txt"
# How long the rehearsal lets a database, a cache and an environment take, in seconds.
CREATION = {"RDS": 60, "ELASTICACHE": 45, "BEANSTALK": 40}
# How long updates of an environment take in turns. The EB CLI looks each five seconds, so when one ends decides how soon it is seen: here at
# five moments that are spread evenly over that, and fall on none of its looks.
UPDATES = (10.5, 11.5, 12.5, 13.5, 14.5)


@contextmanager
def rehearsed(**seconds: int | str) -> Iterator[None]:
    """A rehearsal with nothing in it, in which changes last that long."""
    server.down()
    settings = {f"BERTH_REHEARSAL_SECONDS_{name}": str(value) for name, value in seconds.items()}
    os.environ.update(settings)
    try:
        server.up()
        demo.bases(ROOT / "examples" / "fibonacci")
        yield
    finally:
        server.down()
        for name in settings:
            del os.environ[name]


def kept() -> int:
    """How many resources a stack is: what AWS makes, changes and removes by itself, without rules, tags and associations."""
    ec2, mine = stack.client("ec2"), [{"Name": "tag:berth:network", "Values": [NAME]}]
    count = sum(
        len(getattr(ec2, f"describe_{what}")(Filters=mine)[key])
        for what, key in (
            ("vpcs", "Vpcs"),
            ("subnets", "Subnets"),
            ("internet_gateways", "InternetGateways"),
            ("nat_gateways", "NatGateways"),
            ("addresses", "Addresses"),
            ("route_tables", "RouteTables"),
            ("vpc_endpoints", "VpcEndpoints"),
            ("security_groups", "SecurityGroups"),
        )
    )
    count += len(ec2.describe_flow_logs()["FlowLogs"])
    names = [each["repositoryName"] for each in stack.client("ecr").describe_repositories()["repositories"]]
    count += len([name for name in names if name.startswith(f"{NAME}/")])
    roles = [each["RoleName"] for each in stack.client("iam").list_roles()["Roles"] if each["RoleName"].startswith(f"{NAME}-")]
    count += len(roles) + sum(len(stack.client("iam").list_role_policies(RoleName=role)["PolicyNames"]) for role in roles)
    count += len(stack.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{NAME}-")["MetricAlarms"])
    count += len([each for each in stack.client("secretsmanager").list_secrets()["SecretList"] if "fibonacci" in each["Name"]])
    count += len(stack.client("logs").describe_log_groups(logGroupNamePrefix="/berth/")["logGroups"])
    # Bucket and its rule, instance profile, key, topic; parameter and subnet group of each store, and the stores; cluster and definition;
    # application, version and environment.
    return count + 5 + 6 + 2 + 3


def no_change() -> list[str]:
    """A run in which nothing changes: ours, a playbook of stock modules, and a bare script that reads the same."""
    with rehearsed():
        run(*SITE)
        run(*STOCK, environment=PLAIN)
        resources = kept()
        ours = seconds(lambda: void(run(*SITE)), 3)
        stock = seconds(lambda: void(run(*STOCK, environment=PLAIN)), 3)
        bare = seconds(lambda: void(run(sys.executable, "-m", "benchmarks.reads", NAME)), 3)
        faults.calls(reset=True)
        run(*SITE)
        calls = sum(faults.calls(reset=True).values())
        run(*STOCK, environment=PLAIN)
        stock_calls = sum(faults.calls(reset=True).values())
        reads = int(run(sys.executable, "-m", "benchmarks.reads", NAME).split()[0])
        return [
            "no change on AWS | site.yml | stock modules in sequence | ratio | per resource | a bare boto3 script | ratio to it",
            f"  {ours:.1f} s ({resources} resources, {calls} requests) | {stock:.1f} s ({stock_calls} requests) | {ours / stock:.2f} | "
            f"{ours / resources:.2f} s | {bare:.1f} s ({reads} requests) | {ours / bare:.1f}",
        ]


def deployment() -> list[str]:
    """A new release by the EB CLI, from a finished bundle, and by deploy.yml: five each, in turns, which end at other moments."""
    with rehearsed(BEANSTALK=",".join(map(str, UPDATES))):
        run(*SITE)
        return releases()


def releases() -> list[str]:
    """Five releases by each, of the stack that is there."""
    number = iter(range(100))
    deploy = ("ansible-playbook", "-i", "inventories/aws", "playbooks/deploy.yml")
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        folder = Path(home) / "bundle"
        folder.mkdir()
        version = stack.client("elasticbeanstalk").describe_environments(EnvironmentNames=[NAME])["Environments"][0]["VersionLabel"]
        found = stack.client("elasticbeanstalk").describe_application_versions(ApplicationName=NAME, VersionLabels=[version])
        source = found["ApplicationVersions"][0]["SourceBundle"]
        archive = Path(home) / "bundle.zip"
        stack.client("s3").download_file(source["S3Bucket"], source["S3Key"], str(archive))
        zipfile.ZipFile(archive).extractall(folder)
        eb, own = str(strangers.programs("clients", PINS) / "eb"), {"HOME": home}
        run(
            eb,
            "init",
            NAME,
            "--platform",
            "ECS running on 64bit Amazon Linux 2023",
            "--region",
            "us-east-1",
            folder=folder,
            environment=own,
        )

        def by_eb() -> None:
            run(eb, "deploy", NAME, "--label", f"eb-{next(number)}", "--timeout", "10", folder=folder, environment=own)

        def by_us(release: str) -> None:
            run(*deploy, "-e", f"app_release={release}")

        by_us("first")
        by_eb()
        theirs, finished, building = [], [], []
        # In turns, so that a machine that is slower for a while is so for all. Each gets each length once: three and five have no common divisor.
        for each in range(len(UPDATES)):
            theirs.append(taken(by_eb))
            finished.append(taken(partial(by_us, built(folder, f"built-{each}"))))
            building.append(taken(partial(by_us, f"new-{each}")))
    return [
        f"a new release on AWS, updates of {UPDATES[0]} to {UPDATES[-1]} s | eb deploy | deploy.yml, whose images are there as well | ratio | "
        "deploy.yml that builds and pushes them | ratio",
        f"  {mean(theirs):.1f} s | {mean(finished):.1f} s | {sum(finished) / sum(theirs):.2f} | {mean(building):.1f} s | "
        f"{sum(building) / sum(theirs):.2f}",
        *("  each, sorted: " + ", ".join(f"{each:.1f}" for each in sorted(times)) for times in (theirs, finished, building)),
    ]


def built(bundle: Path, release: str) -> str:
    """A release whose images are in ECR already: those of a bundle, under another name."""
    for each in json.loads((bundle / "Dockerrun.aws.json").read_text(encoding="utf-8"))["containerDefinitions"]:
        repository = each["image"].split("@")[0]
        if f"/{NAME}/" in repository:
            run("docker", "pull", "--quiet", each["image"])
            run("docker", "tag", each["image"], f"{repository}:{release}")
            run("docker", "push", "--quiet", f"{repository}:{release}")
    return release


def taken(once: Callable[[], None]) -> float:
    """For how many seconds it ran."""
    begin = time.perf_counter()
    once()
    return time.perf_counter() - begin


def provisioning() -> list[str]:
    """A stack from nothing, where a database takes 60 s, a cache 45 s and an environment 40 s."""
    with rehearsed(**CREATION):
        whole = taken(lambda: void(run(*SITE)))
    path = max(CREATION["RDS"], CREATION["ELASTICACHE"]) + CREATION["BEANSTALK"]
    return ["a stack from nothing on AWS | site.yml | critical path | ratio", f"  {whole:.1f} s | {path} s | {whole / path:.2f}"]
