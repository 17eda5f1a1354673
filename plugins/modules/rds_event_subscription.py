#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let RDS tell a topic what becomes of instances."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_event_subscription
short_description: Let RDS tell a topic what becomes of instances
description:
  - Keeps a subscription of an SNS topic to events of RDS instances, such as a backup that failed. No collection of AWS's has a module for it.
options:
  name:
    description: Name of the subscription.
    type: str
    required: true
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
  topic_arn:
    description: Topic that is told. Needed with O(state=present).
    type: str
  instances:
    description: Names of the instances.
    type: list
    elements: str
    default: []
  categories:
    description: Categories of events; none tells all.
    type: list
    elements: str
    default: []
  tags:
    description: Tags, set when it is made.
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
    description: Shows what differs.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Somebody is told when a backup fails
  rds_event_subscription:
    name: shop-postgres
    topic_arn: arn:aws:sns:eu-central-1:123456789012:shop-alarms
    instances: [shop]
    categories: [failure, backup]
"""

RETURN = r"""
subscription:
  description: The subscription as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws, made, tag_list
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

# What AWS calls a thing when it is described, and when it is asked for.
_SAME = {"SnsTopicArn": "SnsTopicArn", "SourceType": "SourceType", "SourceIdsList": "SourceIds", "EventCategoriesList": "EventCategories"}


def find(module: Any, client: Any) -> dict[str, Any]:
    """The subscription, empty where there is none."""
    name = module.params["name"]
    found = absent_as_none(
        module,
        ("SubscriptionNotFound", "SubscriptionNotFoundFault"),
        lambda: client.describe_event_subscriptions(aws_retry=True, SubscriptionName=name),
        f"Looking up event subscription {name}",
    )
    listed = (found or {}).get("EventSubscriptionsList") or []
    return dict(listed[0]) if listed and listed[0].get("Status") != "deleting" else {}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "topic_arn": {"type": "str"},
            "instances": {"type": "list", "elements": "str", "default": []},
            "categories": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "dict", "default": {}},
        },
        required_if=[("state", "present", ("topic_arn",))],
        supports_check_mode=True,
    )
    params, name = module.params, module.params["name"]
    client = module.client("rds", retry_decorator=AWSRetry.jittered_backoff())
    there = find(module, client)
    before = {key: sorted(there[key]) if isinstance(there.get(key), list) else there.get(key) for key in _SAME} if there else {}
    after: dict[str, Any] = {}
    if params["state"] == "present":
        after = {"SnsTopicArn": params["topic_arn"], "SourceType": "db-instance"}
        after |= {"SourceIdsList": sorted(params["instances"]), "EventCategoriesList": sorted(params["categories"])}
    changed = before != after
    if changed and not module.check_mode:
        wanted = {_SAME[key]: value for key, value in after.items()}
        try:
            if not after:
                client.delete_event_subscription(aws_retry=True, SubscriptionName=name)
            elif not before:
                tags = tag_list({key: str(value) for key, value in params["tags"].items()})
                made(client.create_event_subscription, SubscriptionName=name, Enabled=True, Tags=tags, **wanted)
            else:
                # The instances of one that is there are added and removed one by one.
                ids = wanted.pop("SourceIds")
                client.modify_event_subscription(aws_retry=True, SubscriptionName=name, Enabled=True, **wanted)
                for each in sorted(set(ids) - set(before["SourceIdsList"])):
                    client.add_source_identifier_to_subscription(aws_retry=True, SubscriptionName=name, SourceIdentifier=each)
                for each in sorted(set(before["SourceIdsList"]) - set(ids)):
                    client.remove_source_identifier_from_subscription(aws_retry=True, SubscriptionName=name, SourceIdentifier=each)
        except AWS_ERRORS as error:
            fail_aws(module, error, f"Changing event subscription {name}")
        there = find(module, client)
    module.exit_json(changed=changed, subscription=camel_dict_to_snake_dict(there), diff={"before": before, "after": after})


if __name__ == "__main__":
    main()
