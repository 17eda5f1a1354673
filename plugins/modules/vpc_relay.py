#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a Fargate task that answers SSH inside a VPC, for as long as something is done there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vpc_relay
short_description: Keep a Fargate task that answers SSH inside a VPC
version_added: 0.1.0
description:
  - Runs a task with a public address, which only one network is let in to at port 22, and waits until it has said its host key. What stands
    in the VPC's private subnets, such as databases, can be reached from there.
  - The task's first container has to print a line C(relay TYPE KEY) with the public half of its host key into its log in CloudWatch, which
    nobody but the account writes to, so that the client can be sure whom it speaks to.
  - Absent, it stops the task, and removes its security group.
options:
  name:
    description: Name of the security group, and family of the task definition.
    type: str
    required: true
  cluster:
    description: Name of the ECS cluster.
    type: str
    required: true
  vpc_id:
    description: The VPC.
    type: str
    required: true
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
  task_definition:
    description: ARN of the task definition. Required with O(state=present).
    type: str
  subnets:
    description: Public subnets, one of which it runs in. Required with O(state=present).
    type: list
    elements: str
  security_groups:
    description: Further security groups, such as those that stores let in.
    type: list
    elements: str
    default: []
  allowed_from:
    description: Network that is let in. Required with O(state=present).
    type: str
  tags:
    description: Tags of the security group.
    type: dict
    default: {}
  wait_timeout:
    description: Seconds until it has to answer, or to be gone.
    type: int
    default: 300
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Changes nothing in check mode, and returns changed.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: The relay answers
  vpc_relay:
    name: shop-relay
    cluster: shop
    vpc_id: vpc-0123456789abcdef0
    task_definition: arn:aws:ecs:eu-central-1:123456789012:task-definition/shop-relay:1
    subnets: [subnet-0123456789abcdef0]
    allowed_from: 198.51.100.7/32
  register: relay
"""

RETURN = r"""
address:
  description: Its public address.
  type: str
  returned: O(state=present)
host_key:
  description: Its host key, as a known_hosts file has it.
  type: str
  returned: O(state=present)
"""

import re
import time
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, tag_list
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

_SAID = re.compile(r"^relay (\S+ \S+)$")


class Relay:
    """The task and the security group of one name."""

    def __init__(self, module: Any) -> None:
        self.module, self.params = module, module.params
        self.ecs, self.ec2, self.logs = (
            module.client(each, retry_decorator=AWSRetry.jittered_backoff()) for each in ("ecs", "ec2", "logs")
        )
        self.end = time.monotonic() + self.params["wait_timeout"]

    def late(self) -> bool:
        """Whether it has taken too long; sleeps a little where it has not."""
        time.sleep(1)
        return time.monotonic() > self.end

    def running(self) -> list[str]:
        """ARNs of its tasks that have not ended."""
        try:
            found = self.ecs.list_tasks(aws_retry=True, cluster=self.params["cluster"], family=self.params["name"])
        except AWS_ERRORS as error:
            if error_code(error) == "ClusterNotFoundException":
                return []
            raise
        return list(found["taskArns"])

    def group(self) -> dict[str, Any]:
        """Its security group; empty where there is none."""
        filters = [{"Name": "group-name", "Values": [self.params["name"]]}, {"Name": "vpc-id", "Values": [self.params["vpc_id"]]}]
        return dict(next(iter(self.ec2.describe_security_groups(aws_retry=True, Filters=filters)["SecurityGroups"]), {}))

    def stop(self) -> bool:
        """Stop its tasks. Returns whether there were any."""
        tasks = self.running()
        for arn in tasks:
            self.ecs.stop_task(aws_retry=True, cluster=self.params["cluster"], task=arn, reason="What it was for is done")
        while tasks:
            told = self.ecs.describe_tasks(aws_retry=True, cluster=self.params["cluster"], tasks=tasks)["tasks"]
            if all(each["lastStatus"] == "STOPPED" for each in told):
                break
            if self.late():
                self.module.fail_json(msg=f"Task {tasks[0]} does not end; stop it in the console, and try again")
        return bool(tasks)

    def remove(self) -> bool:
        """Take all away. Returns whether there was something."""
        stopped, group = self.stop(), self.group()
        while group:
            try:
                self.ec2.delete_security_group(GroupId=group["GroupId"])
                break
            except AWS_ERRORS as error:
                if error_code(error) == "InvalidGroup.NotFound":
                    break
                # The task's network interface is there for a while after it.
                if error_code(error) != "DependencyViolation" or self.late():
                    raise
        return stopped or bool(group)

    def let_in(self) -> str:
        """Keep the security group. Returns its id."""
        wanted = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": self.params["allowed_from"]}]}
        tags = tag_list({"Name": self.params["name"], **self.params["tags"]})
        made = self.ec2.create_security_group(
            GroupName=self.params["name"],
            Description="Lets the machine that moves data in to the relay",
            VpcId=self.params["vpc_id"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
        self.ec2.authorize_security_group_ingress(aws_retry=True, GroupId=made["GroupId"], IpPermissions=[wanted])
        return str(made["GroupId"])

    def start(self) -> dict[str, str]:
        """Start the task, and wait for its key. Returns what the module returns."""
        network = {
            "subnets": self.params["subnets"],
            "securityGroups": [*self.params["security_groups"], self.let_in()],
            "assignPublicIp": "ENABLED",
        }
        answer = self.ecs.run_task(
            cluster=self.params["cluster"],
            taskDefinition=self.params["task_definition"],
            launchType="FARGATE",
            count=1,
            startedBy="berth",
            networkConfiguration={"awsvpcConfiguration": network},
        )
        if not answer["tasks"]:
            reasons = ", ".join(str(each.get("reason")) for each in answer.get("failures", []))
            self.module.fail_json(msg=f"Task {self.params['task_definition']} was not started: {reasons}")
        arn = str(answer["tasks"][0]["taskArn"])
        while True:
            task = self.ecs.describe_tasks(aws_retry=True, cluster=self.params["cluster"], tasks=[arn])["tasks"][0]
            said = self.said(arn)
            found = next((found[1] for found in map(_SAID.match, said) if found), "")
            if task["lastStatus"] == "RUNNING" and found:
                return {"address": self.address(task), "host_key": found}
            if task["lastStatus"] == "STOPPED" or self.late():
                why = task["containers"][0].get("reason") or task.get("stoppedReason") or "it has not said its key in time"
                self.module.fail_json(msg=f"Task {arn} does not answer: {why}. Its log ends: {' '.join(said[-5:]) or '(no log)'}")

    def said(self, arn: str) -> list[str]:
        """The lines of a task's log; none where there is none yet."""
        definition = self.ecs.describe_task_definition(aws_retry=True, taskDefinition=self.params["task_definition"])
        container = definition["taskDefinition"]["containerDefinitions"][0]
        options = container["logConfiguration"]["options"]
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{arn.rsplit('/', 1)[-1]}"
        try:
            found = self.logs.get_log_events(logGroupName=options["awslogs-group"], logStreamName=stream, startFromHead=True)
        except AWS_ERRORS as error:
            if error_code(error) == "ResourceNotFoundException":
                return []
            raise
        return [str(event["message"]) for event in found["events"]]

    def address(self, task: dict[str, Any]) -> str:
        """The public address of a task."""
        told = {each["name"]: each["value"] for attachment in task["attachments"] for each in attachment["details"]}
        found = self.ec2.describe_network_interfaces(aws_retry=True, NetworkInterfaceIds=[told["networkInterfaceId"]])
        return str(found["NetworkInterfaces"][0]["Association"]["PublicIp"])


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cluster": {"type": "str", "required": True},
            "vpc_id": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "task_definition": {"type": "str"},
            "subnets": {"type": "list", "elements": "str"},
            "security_groups": {"type": "list", "elements": "str", "default": []},
            "allowed_from": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
            "wait_timeout": {"type": "int", "default": 300},
        },
        required_if=[("state", "present", ["task_definition", "subnets", "allowed_from"])],
        supports_check_mode=True,
    )
    relay, wanted = Relay(module), module.params["state"] == "present"
    try:
        if module.check_mode:
            module.exit_json(changed=wanted or bool(relay.running() or relay.group()))
        # One that was left by a run that was killed has another key.
        removed = relay.remove()
        result = relay.start() if wanted else {}
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Keeping relay {module.params['name']}")
        raise AssertionError("fail_aws returned") from None
    module.exit_json(changed=wanted or removed, **result)


if __name__ == "__main__":
    main()
