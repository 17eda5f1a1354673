#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep an ElastiCache parameter group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_parameter_group
short_description: Keep an ElastiCache parameter group of any family
description:
  - Makes a parameter group, sets the parameters that differ, and sets back those that were set before and are not wanted any more.
  - Families are not listed in the module, so that tomorrow's work too.
options:
  name:
    description: Name of the group.
    type: str
    required: true
  state:
    description: Whether it is there.
    type: str
    choices: [present, absent]
    default: present
  family:
    description: Family, such as V(valkey8) or V(redis7). Needed to make a group; cannot be changed.
    type: str
  description:
    description: What it is for. By default its name.
    type: str
  parameters:
    description: Parameter to value.
    type: dict
    default: {}
  left:
    description: Parameters that are left as they are where they are not in O(parameters), since something else sets them.
    type: list
    elements: str
    default: []
  tags:
    description: Tags to set. Others stay.
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
    description: Shows the parameters that differ.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: A store that never forgets, for queues and sessions
  elasticache_parameter_group:
    name: shop
    family: valkey8
    parameters:
      maxmemory-policy: noeviction
"""

RETURN = r"""
parameter_group:
  description: The group as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.berth import parameter_group
from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws, made, tag_difference, tag_list
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def describe(module: Any, client: Any) -> dict[str, Any] | None:
    """The group, or None."""
    name = module.params["name"].lower()
    found = absent_as_none(
        module,
        ("CacheParameterGroupNotFound",),
        lambda: client.describe_cache_parameter_groups(aws_retry=True, CacheParameterGroupName=name),
        f"Looking up parameter group {name}",
    )
    return found["CacheParameterGroups"][0] if found else None


def parameters_of(client: Any, name: str) -> list[dict[str, Any]]:
    """All parameters of a group."""
    found: list[dict[str, Any]] = []
    for page in client.get_paginator("describe_cache_parameters").paginate(CacheParameterGroupName=name):
        found += page["Parameters"]
    return found


def entries(values: dict[str, str]) -> list[dict[str, str]]:
    """Parameters as ModifyCacheParameterGroup takes them."""
    return [{"ParameterName": name, "ParameterValue": value} for name, value in values.items()]


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "family": {"type": "str"},
            "description": {"type": "str"},
            "parameters": {"type": "dict", "default": {}},
            "left": {"type": "list", "elements": "str", "default": []},
            "tags": {"type": "dict", "default": {}},
        },
        required_if=[("state", "present", ["family"])],
        supports_check_mode=True,
    )
    params, name = module.params, module.params["name"].lower()
    client = module.client("elasticache", retry_decorator=AWSRetry.jittered_backoff())
    group = describe(module, client)
    try:
        if params["state"] == "absent":
            if group and not module.check_mode:
                client.delete_cache_parameter_group(aws_retry=True, CacheParameterGroupName=name)
            module.exit_json(changed=group is not None, parameter_group={})
        if group and group["CacheParameterGroupFamily"] != params["family"]:
            module.fail_json(
                msg=f"family: {name} is of family {group['CacheParameterGroupFamily']}, and AWS cannot change that to {params['family']}; "
                "make a group of another name, and let the replication group use it"
            )
        known = parameters_of(client, name if group else f"default.{params['family']}")
        problem = parameter_group.problem(known, params["parameters"])
        if problem:
            module.fail_json(msg=problem)
        change, reset = parameter_group.difference(known, params["parameters"], params["left"])
        own = client.list_tags_for_resource(aws_retry=True, ResourceName=group["ARN"])["TagList"] if group else []
        tags = tag_difference({each["Key"]: each["Value"] for each in own}, params["tags"])
        if not module.check_mode:
            if group is None:
                what = {"Description": params["description"] or name, "CacheParameterGroupFamily": params["family"]}
                made(client.create_cache_parameter_group, aws_retry=True, CacheParameterGroupName=name, Tags=tag_list(tags), **what)
            elif tags:
                client.add_tags_to_resource(aws_retry=True, ResourceName=group["ARN"], Tags=tag_list(tags))
            # The service takes 20 at a time.
            for start in range(0, len(change), 20):
                some = dict(list(change.items())[start : start + 20])
                client.modify_cache_parameter_group(aws_retry=True, CacheParameterGroupName=name, ParameterNameValues=entries(some))
            if reset and group:
                client.reset_cache_parameter_group(
                    aws_retry=True, CacheParameterGroupName=name, ParameterNameValues=[{"ParameterName": each} for each in reset]
                )
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Keeping parameter group {name}")
    changed = bool(group is None or change or (reset and group) or tags)
    if changed and not module.check_mode:
        group = describe(module, client)
    old = {each["ParameterName"]: each.get("ParameterValue") for each in known}
    module.exit_json(
        changed=changed,
        parameter_group=camel_dict_to_snake_dict(group or {}),
        diff={"before": {each: old.get(each) for each in [*change, *reset]}, "after": {**change, **dict.fromkeys(reset, "(default)")}},
    )


if __name__ == "__main__":
    main()
