#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look up an ElastiCache replication group."""

from __future__ import annotations

DOCUMENTATION = r"""
module: elasticache_replication_group_info
short_description: Look up an ElastiCache replication group
description:
  - Tells what AWS tells of a replication group.
options:
  name:
    description: Name of the group.
    type: str
    required: true
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Where does the cache answer?
  elasticache_replication_group_info:
    name: shop
  register: cache
"""

RETURN = r"""
replication_group:
  description: The group as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
"""

from ansible.module_utils.berth.aws import absent_as_none
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(argument_spec={"name": {"type": "str", "required": True}}, supports_check_mode=True)
    name = module.params["name"].lower()
    client = module.client("elasticache", retry_decorator=AWSRetry.jittered_backoff())
    found = absent_as_none(
        module,
        ("ReplicationGroupNotFoundFault",),
        lambda: client.describe_replication_groups(aws_retry=True, ReplicationGroupId=name),
        f"Looking up replication group {name}",
    )
    module.exit_json(changed=False, replication_group=camel_dict_to_snake_dict(found["ReplicationGroups"][0]) if found else {})


if __name__ == "__main__":
    main()
