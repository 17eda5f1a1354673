#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the network of a stack on AWS."""

from __future__ import annotations

DOCUMENTATION = r"""
module: aws_network
short_description: Keep the network of a stack on AWS
description:
  - Keeps a VPC with a public and a private subnet in each of two or three zones, an internet gateway, by choice a NAT gateway, a gateway
    endpoint for S3, and security groups for load balancer, app and stores, in which only the app reaches the stores.
  - One module rather than one for each resource, since each needs the others' ids. So check mode is truthful where nothing exists yet,
    and a run in which nothing changes takes a handful of calls.
  - Everything is found again by its tags, also what a run that was killed has made.
options:
  name:
    description: Name of the stack's network.
    type: str
    required: true
  state:
    description: Whether it is there, or is only looked up.
    type: str
    choices: [present, absent, found]
    default: present
  cidr:
    description: The network, private, /16 to /22. Cannot be changed.
    type: str
    default: 10.40.0.0/16
  zones:
    description: In how many zones.
    type: int
    default: 2
  nat_gateway:
    description: Whether private subnets reach out through a NAT gateway.
    type: bool
    default: true
  visitors:
    description: From where the load balancer can be reached.
    type: list
    elements: str
    default: [0.0.0.0/0]
  stores:
    description: Store to its port. Each gets a security group that lets in the app alone.
    type: dict
    default: {postgres: 5432, redis: 6379}
  tags:
    description: Tags of everything that is made.
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
- name: Keep the network
  aws_network:
    name: berth-shop
    nat_gateway: false
  register: network
"""

RETURN = r"""
network:
  description:
    - C(region), C(account), C(vpc_id), C(cidr), C(public_subnets) and C(private_subnets) (ids, by zone), C(security_groups) (part to id).
    - Ids are placeholders in check mode where a thing does not exist yet. Empty with O(state=found) where there is no network.
  type: dict
  returned: success
"""

from typing import Any

try:
    import boto3
except ImportError:
    boto3 = None  # AnsibleAWSModule says that it is missing

from ansible.module_utils.berth import network
from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, looking_again
from ansible.module_utils.berth.aws_account import Account, check_region
from ansible.module_utils.berth.aws_network import Builder
from ansible.module_utils.berth.problems import BerthError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "found"], "default": "present"},
            "cidr": {"type": "str", "default": "10.40.0.0/16"},
            "zones": {"type": "int", "default": 2},
            "nat_gateway": {"type": "bool", "default": True},
            "visitors": {"type": "list", "elements": "str", "default": ["0.0.0.0/0"]},
            "stores": {"type": "dict", "default": {"postgres": 5432, "redis": 6379}},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    # What was just made may not be found for a while.
    late = [f"Invalid{kind}.NotFound" for kind in ("VpcID", "SubnetID", "InternetGatewayID", "RouteTableID", "Group", "AllocationID")]
    retry = AWSRetry.jittered_backoff(
        catch_extra_error_codes=["DependencyViolation", "InvalidIPAddress.InUse", "NatGatewayNotFound", *late]
    )
    try:
        client = module.client("ec2", retry_decorator=retry)
        check_region(client.meta.region_name, boto3.session.Session().get_available_regions("ec2"))
        account = Account.of(module.client("sts", retry_decorator=retry), client)
        builder = Builder(client, params["name"], {key: str(value) for key, value in params["tags"].items()}, module.check_mode)
        if params["state"] == "absent":
            looking_again(builder.remove)
        else:
            groups = network.groups(params["visitors"], {name: int(port) for name, port in params["stores"].items()})
            if params["state"] == "present":
                zones = sorted(account.zones)[: params["zones"]]
                subnets = network.subnets(params["cidr"], zones)
                looking_again(lambda: builder.keep(builder.look(), subnets, params["cidr"], params["nat_gateway"], groups))
            else:
                builder.look()
        answer = builder.answer() | {"region": account.region, "account": account.number} if builder.there else {}
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    except AWS_ERRORS as error:
        if error_code(error) == "VpcLimitExceeded":
            module.fail_json(msg="the account has as many VPCs in this region as its quota lets it; ask AWS for more, or remove one")
        fail_aws(module, error, f"Keeping network {params['name']}")
    steps = builder.steps
    module.exit_json(changed=bool(steps), network=answer, diff={"before": {}, "after": {"steps": steps}} if steps else {})


if __name__ == "__main__":
    main()
