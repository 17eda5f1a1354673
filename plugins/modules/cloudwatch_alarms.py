#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep several CloudWatch alarms at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_alarms
short_description: Keep several CloudWatch alarms at once
description:
  - Keeps any number of metric alarms. They are read in one request for each hundred, so that a run in which nothing changes costs the same
    for one as for a hundred.
options:
  alarms:
    description: Name to what the alarm watches.
    type: dict
    default: {}
  absent:
    description: Names of alarms that there should not be.
    type: list
    elements: str
    default: []
  namespace:
    description: Namespace of the metrics, such as V(AWS/RDS).
    type: str
    default: ""
  actions:
    description: ARNs that are told when an alarm goes off, and when all is well again.
    type: list
    elements: str
    default: []
  tags:
    description: Tags of alarms that are made.
    type: dict
    default: {}
notes:
  - An alarm has C(metric), C(dimensions) (name to value), C(above) or C(below) (the threshold), and by choice C(description), C(statistic)
    (V(Average)), C(period) (seconds, V(300)), C(periods) (how many in a row, V(1)) and C(missing) (what missing data means, V(missing)).
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows of every alarm what changes.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Watch the database
  cloudwatch_alarms:
    namespace: AWS/RDS
    alarms:
      shop-storage:
        metric: FreeStorageSpace
        dimensions: {DBInstanceIdentifier: shop}
        below: 4294967296
    actions: ["arn:aws:sns:eu-central-1:123456789012:shop-alarms"]
"""

RETURN = r"""
changed_alarms:
  description: Names of the alarms that were made, changed or removed.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible.module_utils.berth import alarms
from ansible.module_utils.berth.aws import AWS_ERRORS, fail_aws, tag_list
from ansible.module_utils.berth.problems import BerthError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry

# As many as one request takes.
_AT_ONCE = 100


def describe(client: Any, names: list[str]) -> dict[str, dict[str, Any]]:
    """Those alarms that there are, by name."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        for each in client.describe_alarms(aws_retry=True, AlarmNames=some, MaxRecords=_AT_ONCE)["MetricAlarms"]:
            found[each["AlarmName"]] = each
    return found


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "alarms": {"type": "dict", "default": {}},
            "absent": {"type": "list", "elements": "str", "default": []},
            "namespace": {"type": "str", "default": ""},
            "actions": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    try:
        wanted = alarms.requests(params["alarms"], params["namespace"], params["actions"])
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    client = module.client("cloudwatch", retry_decorator=AWSRetry.jittered_backoff())
    try:
        there = describe(client, sorted({*wanted, *params["absent"]}))
        gone = sorted(set(params["absent"]) & set(there) - set(wanted))
        changes = {name: alarms.difference(there.get(name), request) for name, request in wanted.items()}
        changes = {name: change for name, change in changes.items() if change}
        if not module.check_mode:
            for name in changes:
                more = {"Tags": tag_list(params["tags"])} if name not in there and params["tags"] else {}
                client.put_metric_alarm(aws_retry=True, **wanted[name], **more)
            for start in range(0, len(gone), _AT_ONCE):
                client.delete_alarms(aws_retry=True, AlarmNames=gone[start : start + _AT_ONCE])
    except AWS_ERRORS as error:
        fail_aws(module, error, "Keeping the alarms")
    before = {name: {key: there[name].get(key) for key in change} for name, change in changes.items() if name in there}
    module.exit_json(
        changed=bool(changes or gone),
        changed_alarms=[*changes, *gone],
        diff={"before": before | dict.fromkeys(gone, "an alarm"), "after": changes},
    )


if __name__ == "__main__":
    main()
