#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at an RDS instance, and at what a change of it would mean."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rds_instance_plan
short_description: Look at an RDS instance for PostgreSQL, and say what a change of it would interrupt
description:
  - Looks at an instance, and compares it with what it is to be. Changes nothing.
  - Fails for what RDS cannot do in place, with the way to do it, and for a version or a class that it does not offer, before anything is
    made.
options:
  name:
    description: Identifier of the instance.
    type: str
    required: true
  engine_version:
    description: Version. A major version alone is met by any of its minor ones.
    type: str
    required: true
  instance_class:
    description: Class, such as V(db.t4g.small).
    type: str
    required: true
  storage:
    description: Storage in GiB.
    type: int
    required: true
  most_storage:
    description: To how many GiB it grows by itself. V(0) means not at all.
    type: int
    default: 0
  multi_az:
    description: Whether there is a standby in another zone.
    type: bool
    default: true
  backup_days:
    description: For how many days backups are kept.
    type: int
    default: 7
  encrypted:
    description: Whether storage is encrypted.
    type: bool
    default: true
  major_upgrade:
    description: Whether a newer major version may be taken.
    type: bool
    default: false
  subnet_group:
    description: Name of the subnet group.
    type: str
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
- name: Say what a bigger class would interrupt
  rds_instance_plan:
    name: shop
    engine_version: "17"
    instance_class: db.r8g.large
    storage: 100
  register: plan
"""

RETURN = r"""
instances:
  description: The instance as AWS describes it, in snake case; an empty list where there is none.
  type: list
  elements: dict
  returned: success
effects:
  description: What will change, and what each change interrupts.
  type: list
  elements: str
  returned: success
  sample: ["class db.t4g.small → db.t4g.medium: a failover to the standby, one or two minutes"]
"""

from typing import Any

from ansible.module_utils.berth import rds_plan
from ansible.module_utils.berth.aws import AWS_ERRORS, absent_as_none, fail_aws
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def offered_versions(client: Any) -> list[str]:
    """The versions of PostgreSQL that RDS offers here."""
    pages = client.get_paginator("describe_db_engine_versions").paginate(Engine="postgres")
    return [str(each["EngineVersion"]) for page in pages for each in page["DBEngineVersions"]]


def offered_classes(client: Any, version: str) -> dict[str, bool]:
    """Class to whether it can have a standby, for a version."""
    pages = client.get_paginator("describe_orderable_db_instance_options").paginate(Engine="postgres", EngineVersion=version, Vpc=True)
    found: dict[str, bool] = {}
    for page in pages:
        for each in page["OrderableDBInstanceOptions"]:
            found[each["DBInstanceClass"]] = found.get(each["DBInstanceClass"], False) or bool(each["MultiAZCapable"])
    return found


def problem(client: Any, current: dict[str, Any] | None, wanted: dict[str, Any], name: str) -> str:
    """Why it cannot be done. What RDS offers is asked for only where a version or a class is new."""
    why = rds_plan.refused(name, current, wanted)
    if why:
        return why
    version, instance_class = wanted["engine_version"], wanted["instance_class"]
    running = str(current["EngineVersion"]) if current else ""
    if not rds_plan.meets(running, version):
        offered = offered_versions(client)
        why = rds_plan.version_problem(version, offered)
        running = next((each for each in reversed(offered) if rds_plan.meets(each, version)), version)
    if not why and (current is None or current["DBInstanceClass"] != instance_class):
        why = rds_plan.class_problem(instance_class, offered_classes(client, running), wanted["multi_az"])
    return why


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "engine_version": {"type": "str", "required": True},
            "instance_class": {"type": "str", "required": True},
            "storage": {"type": "int", "required": True},
            "most_storage": {"type": "int", "default": 0},
            "multi_az": {"type": "bool", "default": True},
            "backup_days": {"type": "int", "default": 7},
            "encrypted": {"type": "bool", "default": True},
            "major_upgrade": {"type": "bool", "default": False},
            "subnet_group": {"type": "str"},
        },
        supports_check_mode=True,
    )
    wanted, name = dict(module.params), module.params["name"]
    client = module.client("rds", retry_decorator=AWSRetry.jittered_backoff())
    found = absent_as_none(
        module,
        ("DBInstanceNotFound", "DBInstanceNotFoundFault"),
        lambda: client.describe_db_instances(aws_retry=True, DBInstanceIdentifier=name),
        f"Looking up instance {name}",
    )
    current = found["DBInstances"][0] if found else None
    try:
        why = problem(client, current, wanted, name)
    except AWS_ERRORS as error:
        fail_aws(module, error, "Asking what RDS offers")
    if why:
        module.fail_json(msg=why)
    module.exit_json(
        changed=False,
        instances=[camel_dict_to_snake_dict(current)] if current else [],
        effects=rds_plan.effects(current, wanted) if current else [],
    )


if __name__ == "__main__":
    main()
