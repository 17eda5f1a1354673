#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep what watches a stack on AWS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_watch
short_description: Keep what watches a stack on AWS
description:
  - Keeps the log group of a stack, the SNS topic that its alarms go to, by choice encrypted with a key of the stack's own, and by choice the
    VPC's flow logs.
  - A topic that is encrypted with AWS's own key takes no alarms, so the key is the stack's, and opened to the services that tell of things.
options:
  name:
    description: Name of the stack. The topic is C(<name>-alarms), the key C(alias/<name>).
    type: str
    required: true
  state:
    description: Whether it is there. A deleted key can be restored for a week.
    type: str
    choices: [present, absent]
    default: present
  log_group:
    description: Name of the log group. Flow logs go to C(<log_group>/flow).
    type: str
    required: true
  retention_days:
    description: For how many days logs are kept.
    type: int
    default: 90
  email:
    description: Address that alarms are sent to, once its owner has confirmed. What else is subscribed stays.
    type: str
  encrypted:
    description: Whether the topic is encrypted with a key of the stack's own.
    type: bool
    default: false
  vpc_id:
    description: VPC whose connections are logged, with O(flow_role).
    type: str
  flow_role:
    description: ARN of the role by which flow logs are written. Without it there are none.
    type: str
  account:
    description: Number of the account, which the key is opened to.
    type: str
  tags:
    description: Tags of what is made.
    type: dict
    default: {}
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Lists what would be made, changed and removed.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Keep logs and alarms
  aws_watch:
    name: shop
    log_group: /shop
    email: team@example.com
"""

RETURN = r"""
topic_arn:
  description: ARN of the topic; empty where there is none.
  type: str
  returned: success
"""

import json
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, looking_again, tag_list
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

# Who tells the topic of something.
_TELLERS = ("cloudwatch", "elasticache", "elasticbeanstalk", "events.rds")


def key_policy(account: str) -> dict[str, Any]:
    """Who may use the key: the account, as its own policies say, and the services that tell of things."""
    own = {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}
    tell = {
        "Sid": "Services",
        "Effect": "Allow",
        "Principal": {"Service": [f"{name}.amazonaws.com" for name in _TELLERS]},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [own, tell]}


class Keeper:
    """The calls. ``steps`` collects what was done, or in check mode would be."""

    def __init__(self, module: Any) -> None:
        retry = AWSRetry.jittered_backoff()
        self.module, self.params = module, module.params
        self.logs = module.client("logs", retry_decorator=retry)
        self.sns = module.client("sns", retry_decorator=retry)
        self.kms = module.client("kms", retry_decorator=retry)
        self.tags = {key: str(value) for key, value in self.params["tags"].items()}
        self.steps: list[str] = []

    def _do(self, what: str, call: Any, **given: Any) -> Any:
        self.steps.append(what)
        return None if self.module.check_mode else call(aws_retry=True, **given)

    def _group(self, name: str) -> dict[str, Any] | None:
        found = self.logs.describe_log_groups(aws_retry=True, logGroupNamePrefix=name)["logGroups"]
        return next((each for each in found if each["logGroupName"] == name), None)

    def keep_group(self, name: str) -> None:
        """A log group."""
        there, days = self._group(name), self.params["retention_days"]
        if there is None:
            self._do(f"make log group {name}", self.logs.create_log_group, logGroupName=name, tags=self.tags)
        if there is None or there.get("retentionInDays") != days:
            self._do(f"keep the logs of {name} for {days} days", self.logs.put_retention_policy, logGroupName=name, retentionInDays=days)

    def _key(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.kms.describe_key(KeyId=f"alias/{self.params['name']}")["KeyMetadata"]
        except AWS_ERRORS as error:
            if error_code(error) != "NotFoundException":
                raise
            return None
        return found

    def _nameless(self, text: str) -> dict[str, Any] | None:
        """The key that a run made which was cut off before it could name it. Keys cost money, and are found again by nothing else."""
        for page in self.kms.get_paginator("list_keys").paginate():
            for each in page["Keys"]:
                found: dict[str, Any] = self.kms.describe_key(aws_retry=True, KeyId=each["KeyId"])["KeyMetadata"]
                if found.get("Description") == text and found["KeyState"] == "Enabled":
                    return found
        return None

    def keep_key(self) -> str:
        """The stack's key. Returns its id; a placeholder in check mode where there is none."""
        policy, alias, key = key_policy(self.params["account"]), f"alias/{self.params['name']}", self._key()
        if key is None:
            tags = [{"TagKey": each["Key"], "TagValue": each["Value"]} for each in tag_list(self.tags)]
            text = f"Alarms of {self.params['name']}"
            key = self._nameless(text)
            if key is None:
                made = self._do("make a key", self.kms.create_key, Description=text, Policy=json.dumps(policy), Tags=tags)
                if made is None:
                    return alias
                key = made["KeyMetadata"]
            self._do("name the key", self.kms.create_alias, AliasName=alias, TargetKeyId=key["KeyId"])
        elif key["KeyState"] == "PendingDeletion":
            self._do("keep the key after all", self.kms.cancel_key_deletion, KeyId=key["KeyId"])
            self._do("use the key again", self.kms.enable_key, KeyId=key["KeyId"])
        identity = str(key["KeyId"])
        if not self.kms.get_key_rotation_status(aws_retry=True, KeyId=identity)["KeyRotationEnabled"]:
            self._do("renew the key every year", self.kms.enable_key_rotation, KeyId=identity)
        has = json.loads(self.kms.get_key_policy(aws_retry=True, KeyId=identity, PolicyName="default")["Policy"])
        if compare_policies(has, policy):
            self._do("open the key", self.kms.put_key_policy, KeyId=identity, PolicyName="default", Policy=json.dumps(policy))
        return identity

    def _topic(self) -> tuple[str, dict[str, str]]:
        """ARN and attributes of the topic; empty where there is none."""
        arn = f"arn:aws:sns:{self.sns.meta.region_name}:{self.params['account']}:{self.params['name']}-alarms"
        try:
            return arn, self.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except AWS_ERRORS as error:
            if error_code(error) not in ("NotFound", "NotFoundException"):
                raise
            return "", {}

    def keep_topic(self, key: str) -> str:
        """The topic, and who is told. Returns its ARN."""
        arn, has = self._topic()
        if not arn:
            more = {"Attributes": {"KmsMasterKeyId": key}} if key else {}
            made = self._do(
                "make the alarms' topic", self.sns.create_topic, Name=f"{self.params['name']}-alarms", Tags=tag_list(self.tags), **more
            )
            arn = made["TopicArn"] if made else ""
        elif has.get("KmsMasterKeyId", "") != key:
            words = "encrypt the alarms' topic" if key else "encrypt the alarms' topic no longer"
            self._do(words, self.sns.set_topic_attributes, TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=key)
        email = self.params["email"]
        if email:
            pages = self.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn) if arn else []
            if not any(each["Endpoint"] == email for page in pages for each in page["Subscriptions"]):
                self._do(
                    f"ask {email} to confirm that alarms may be sent there",
                    self.sns.subscribe,
                    TopicArn=arn,
                    Protocol="email",
                    Endpoint=email,
                )
        return arn

    def keep_flow_log(self) -> None:
        """What connections there are and are refused in the VPC, in a log group of its own."""
        vpc, role, group = self.params["vpc_id"], self.params["flow_role"], f"{self.params['log_group']}/flow"
        client = self.module.client("ec2", retry_decorator=AWSRetry.jittered_backoff())
        real = bool(vpc) and not vpc.endswith("-00000000")
        filters = [{"Name": "resource-id", "Values": [vpc]}]
        there = client.describe_flow_logs(aws_retry=True, Filters=filters)["FlowLogs"] if real else []
        there = [each for each in there if each.get("LogGroupName") == group]
        if role and not there:
            self.keep_group(group)
            given = {
                "ResourceIds": [vpc],
                "ResourceType": "VPC",
                "TrafficType": "ALL",
                "LogGroupName": group,
                "DeliverLogsPermissionArn": role,
            }
            tags = [{"ResourceType": "vpc-flow-log", "Tags": tag_list(self.tags)}] if self.tags else []
            answer = self._do("log the VPC's connections", client.create_flow_logs, **given, TagSpecifications=tags)
            for problem in (answer or {}).get("Unsuccessful", []):
                self.module.fail_json(msg=f"flow_role: the VPC's connections are not logged: {problem['Error']['Message']}")
        elif there and not role:
            self._do("log the VPC's connections no longer", client.delete_flow_logs, FlowLogIds=[each["FlowLogId"] for each in there])

    def keep(self) -> str:
        """All. Returns the topic's ARN."""
        self.keep_group(self.params["log_group"])
        if self.params["vpc_id"]:
            self.keep_flow_log()
        return self.keep_topic(self.keep_key() if self.params["encrypted"] else "")

    def remove(self) -> None:
        """Take all away. Flow logs go with their VPC."""
        for name in (self.params["log_group"], f"{self.params['log_group']}/flow"):
            if self._group(name):
                self._do(f"remove log group {name}", self.logs.delete_log_group, logGroupName=name)
        arn, _has = self._topic()
        if arn:
            self._do("remove the alarms' topic", self.sns.delete_topic, TopicArn=arn)
        key = self._key()
        if key:
            # By its name the key is found, so that goes last.
            if key["KeyState"] != "PendingDeletion":
                self._do("delete the key in a week", self.kms.schedule_key_deletion, KeyId=key["KeyId"], PendingWindowInDays=7)
            self._do("forget the key's name", self.kms.delete_alias, AliasName=f"alias/{self.params['name']}")


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "log_group": {"type": "str", "required": True},
            "retention_days": {"type": "int", "default": 90},
            "email": {"type": "str"},
            "encrypted": {"type": "bool", "default": False},
            "vpc_id": {"type": "str"},
            "flow_role": {"type": "str"},
            "account": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if not module.params["account"]:
        module.params["account"] = str(module.client("sts").get_caller_identity()["Account"])
    keeper, arn = Keeper(module), ""
    try:
        if module.params["state"] == "absent":
            looking_again(keeper.remove)
        else:
            arn = looking_again(keeper.keep)
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Keeping what watches {module.params['name']}")
    steps = keeper.steps
    module.exit_json(changed=bool(steps), topic_arn=arn, diff={"before": {}, "after": {"steps": steps}} if steps else {})


if __name__ == "__main__":
    main()
