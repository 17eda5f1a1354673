#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a Fargate task to its end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecs_run_task
short_description: Run a Fargate task to its end
description:
  - Runs a task that does something inside the VPC and ends, waits for its end, and fails with its log when it did not succeed.
    community.aws.ecs_task waits until a task runs, which one that ends at once is taken for a failure by.
options:
  cluster:
    description: Name of the cluster.
    type: str
    required: true
  task_definition:
    description: ARN of the task definition.
    type: str
    required: true
  subnets:
    description: Subnets, one of which it runs in.
    type: list
    elements: str
    required: true
  security_groups:
    description: Security groups.
    type: list
    elements: str
    required: true
  assign_public_ip:
    description: Whether it gets a public address, with which it can pull its image without a NAT gateway.
    type: bool
    default: false
  timeout:
    description: Seconds until it has failed.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Runs nothing in check mode, and returns changed.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Make the database inside the VPC
  ecs_run_task:
    cluster: shop
    task_definition: arn:aws:ecs:eu-central-1:123456789012:task-definition/shop-database:3
    subnets: [subnet-0123456789abcdef0]
    security_groups: [sg-0123456789abcdef0]
"""

RETURN = r"""
task_arn:
  description: ARN of the task that ran.
  type: str
  returned: when it was started
exit_code:
  description: Exit code of its first container.
  type: int
  returned: when it ended
log:
  description: Last lines of its log, where its definition sends that to CloudWatch.
  type: list
  elements: str
  returned: when it ended
"""

import time
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, fail_aws
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

_LOG_LINES = 20


def log_of(module: Any, client: Any, definition: str, task: str) -> list[str]:
    """The last lines of the first container's log; what cannot be had is left out."""
    container = client.describe_task_definition(aws_retry=True, taskDefinition=definition)["taskDefinition"]["containerDefinitions"][0]
    options = (container.get("logConfiguration") or {}).get("options") or {}
    if not options.get("awslogs-group"):
        return []
    stream = f"{options.get('awslogs-stream-prefix')}/{container['name']}/{task.rsplit('/', 1)[-1]}"
    logs = module.client("logs", retry_decorator=AWSRetry.jittered_backoff())
    try:
        found = logs.get_log_events(logGroupName=options["awslogs-group"], logStreamName=stream, limit=_LOG_LINES, startFromHead=False)
    except AWS_ERRORS:
        return []
    return [str(event["message"]) for event in found["events"]]


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "cluster": {"type": "str", "required": True},
            "task_definition": {"type": "str", "required": True},
            "subnets": {"type": "list", "elements": "str", "required": True},
            "security_groups": {"type": "list", "elements": "str", "required": True},
            "assign_public_ip": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=True)
    client = module.client("ecs", retry_decorator=AWSRetry.jittered_backoff())
    network = {
        "subnets": params["subnets"],
        "securityGroups": params["security_groups"],
        "assignPublicIp": "ENABLED" if params["assign_public_ip"] else "DISABLED",
    }
    try:
        answer = client.run_task(
            cluster=params["cluster"],
            taskDefinition=params["task_definition"],
            launchType="FARGATE",
            count=1,
            startedBy="berth",
            networkConfiguration={"awsvpcConfiguration": network},
        )
        if not answer["tasks"]:
            reasons = ", ".join(str(each.get("reason")) for each in answer.get("failures", []))
            module.fail_json(msg=f"Task {params['task_definition']} was not started: {reasons}")
        arn = str(answer["tasks"][0]["taskArn"])
        end = time.monotonic() + params["timeout"]
        while True:
            task = client.describe_tasks(aws_retry=True, cluster=params["cluster"], tasks=[arn])["tasks"][0]
            if task["lastStatus"] == "STOPPED":
                break
            if time.monotonic() > end:
                client.stop_task(aws_retry=True, cluster=params["cluster"], task=arn, reason="It took too long")
                module.fail_json(msg=f"Task {arn} was still {task['lastStatus']} after {params['timeout']} s, and is stopped", task_arn=arn)
            time.sleep(0.5)
        container = task["containers"][0]
        code, lines = container.get("exitCode"), log_of(module, client, params["task_definition"], arn)
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Running task {params['task_definition']}")
    if code != 0:
        why = container.get("reason") or task.get("stoppedReason") or f"exit code {code}"
        said = "\n".join(lines) or "(no log)"
        module.fail_json(msg=f"Task {arn} failed: {why}. Its log ends:\n{said}", task_arn=arn, exit_code=code, log=lines)
    module.exit_json(changed=True, task_arn=arn, exit_code=code, log=lines)


if __name__ == "__main__":
    main()
