"""Prowler looks at what Berth made in the rehearsed AWS, in production and small, and at what a playbook of stock modules made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from rehearsal import demo, server, stack, strangers
from scan import findings
from scan.running import ROOT, run

PINS = Path(__file__).parent / "requirements.txt"
# Those of which a stack has something.
SERVICES = "autoscaling cloudwatch ec2 ecr ecs elasticache elasticbeanstalk elbv2 iam kms rds s3 secretsmanager sns vpc".split()


def looked_at(programs: Path) -> list[dict[str, Any]]:
    """What Prowler says of the whole account."""
    with tempfile.TemporaryDirectory(prefix="berth-scan-") as folder:
        command = [str(programs / "prowler"), "aws", "--services", *SERVICES, "--region", server.environment()["AWS_REGION"]]
        command += ["--no-banner", "--output-formats", "json-ocsf", "--output-directory", folder, "--output-filename", "scan"]
        settings = {**os.environ, **server.environment(), "HOME": folder}
        # It ends with 3 where a check failed, and some of its questions the rehearsal cannot answer.
        done = subprocess.run(command, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        report = Path(folder) / "scan.ocsf.json"
        if not report.is_file():
            sys.exit(f"Prowler wrote no report: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        answer: list[dict[str, Any]] = json.loads(report.read_text())
        return answer


def words_of(name: str) -> list[str]:
    """By which a stack's resources are told: its name, and the ids of its network's parts."""
    ec2 = stack.client("ec2")
    by_name = [each for each in ec2.describe_vpcs()["Vpcs"] if any(tag["Value"] == name for tag in each.get("Tags", []))]
    ids = [each["VpcId"] for each in by_name]
    inside = [{"Name": "vpc-id", "Values": ids}]
    ids += [each["VpcEndpointId"] for each in ec2.describe_vpc_endpoints(Filters=inside)["VpcEndpoints"]] if ids else []
    return [name, *ids]


def scan() -> int:
    """Make, look, and say. Returns 1 where the production profile has a grave finding, or a check is muted without need."""
    programs = strangers.programs("scan", PINS)
    mutes = yaml.safe_load((Path(__file__).parent / "muted.yaml").read_text())
    server.down()
    try:
        server.up()
        demo.bases(ROOT / "examples" / "fibonacci")
        site = ("ansible-playbook", "-i", "inventories/aws", "playbooks/site.yml")
        run(*site)
        run(*site, "-e", "app_stage=small", "-e", "aws_profile=small")
        run("ansible-playbook", "-i", "localhost,", "benchmarks/stock/site.yml")
        print("  Prowler looks", flush=True)
        report = looked_at(programs)
        small = findings.failed(report, words_of("berth-fibonacci-small"))
        everything = findings.failed(report, words_of("berth-fibonacci"))
        production = [each for each in everything if each not in small]
        stock = findings.failed(report, words_of("berth-stock"))
    finally:
        server.down()
    ours = {"production": production, "small": small}
    open_ = {name: [each for each in found if not findings.muted(each, mutes)] for name, found in ours.items()}
    print("\n".join(findings.table({**open_, "stock modules, nothing muted": stock})))
    for name, found in open_.items():
        print(f"\n{name}:")
        for each in found:
            print(f"  {each.severity:9} {each.check}: {each.says}")
    used = sorted({each.check for found in ours.values() for each in found if findings.muted(each, mutes)})
    print(f"\nmuted, for the reasons in scan/muted.yaml: {', '.join(used)}")
    idle = sorted(set(mutes) - set(used))
    if idle:
        print(f"muted without need: {', '.join(idle)}")
    return int(any(each.severity in findings.GRAVE for each in open_["production"]) or bool(idle))
