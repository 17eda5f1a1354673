#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep an Elastic Beanstalk application."""

from __future__ import annotations

DOCUMENTATION = r"""
module: beanstalk_application
short_description: Keep an Elastic Beanstalk application, and how many versions it keeps
description:
  - Makes an application, and has Beanstalk remove its old versions. community.aws.elasticbeanstalk_app has neither that nor tags.
options:
  name:
    description: Name of the application.
    type: str
    required: true
  state:
    description: Whether it is there. With V(absent), environments that still run are an error.
    type: str
    choices: [present, absent]
    default: present
  description:
    description: What it is for.
    type: str
    default: ""
  max_versions:
    description: How many versions are kept, with their bundles. V(0) keeps all.
    type: int
    default: 0
  service_role:
    description: ARN of the role with which Beanstalk removes old versions. Needed with O(max_versions).
    type: str
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
    description: Shows what differs.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Keep the application with its last 30 versions
  beanstalk_application:
    name: shop
    max_versions: 30
    service_role: arn:aws:iam::123456789012:role/shop-service
"""

RETURN = r"""
application:
  description: The application as AWS describes it, in snake case; empty where there is none.
  type: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, fail_aws, made, tag_difference, tag_list
from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def lifecycle(params: dict[str, Any]) -> dict[str, Any]:
    """The module's parameters in the API's words."""
    count = params["max_versions"]
    rule = {"Enabled": True, "MaxCount": count, "DeleteSourceFromS3": True} if count else {"Enabled": False}
    return {
        **({"ServiceRole": params["service_role"]} if params["service_role"] else {}),
        "VersionLifecycleConfig": {"MaxCountRule": rule, "MaxAgeRule": {"Enabled": False}},
    }


def differs(current: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether any of what is wanted is otherwise now; what else the service tells does not count."""
    return any(
        differs(current.get(key) or {}, value) if isinstance(value, dict) else current.get(key) != value for key, value in wanted.items()
    )


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "description": {"type": "str", "default": ""},
            "max_versions": {"type": "int", "default": 0},
            "service_role": {"type": "str"},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params, name = module.params, module.params["name"]
    client = module.client("elasticbeanstalk", retry_decorator=AWSRetry.jittered_backoff())

    def describe() -> dict[str, Any] | None:
        found: list[dict[str, Any]] = client.describe_applications(aws_retry=True, ApplicationNames=[name])["Applications"]
        return found[0] if found else None

    changes: list[str] = []
    try:
        there = describe()
        if params["state"] == "absent":
            if there and not module.check_mode:
                client.delete_application(aws_retry=True, ApplicationName=name)
            module.exit_json(changed=there is not None, application={})
        wanted = lifecycle(params)
        if there is None:
            changes.append("application")
            if not module.check_mode:
                made(
                    client.create_application,
                    ApplicationName=name,
                    Description=params["description"],
                    ResourceLifecycleConfig=wanted,
                    Tags=tag_list(params["tags"]),
                )
        else:
            tags = client.list_tags_for_resource(aws_retry=True, ResourceArn=there["ApplicationArn"])["ResourceTags"]
            missing = tag_difference({each["Key"]: each["Value"] for each in tags}, params["tags"])
            if there.get("Description", "") != params["description"]:
                changes.append("description")
                if not module.check_mode:
                    client.update_application(aws_retry=True, ApplicationName=name, Description=params["description"])
            if differs(there.get("ResourceLifecycleConfig") or {}, wanted):
                changes.append("max_versions")
                if not module.check_mode:
                    client.update_application_resource_lifecycle(aws_retry=True, ApplicationName=name, ResourceLifecycleConfig=wanted)
            if missing:
                changes.append("tags")
                if not module.check_mode:
                    client.update_tags_for_resource(aws_retry=True, ResourceArn=there["ApplicationArn"], TagsToAdd=tag_list(missing))
        there = describe() if changes and not module.check_mode else there
    except AWS_ERRORS as error:
        fail_aws(module, error, f"Keeping application {name}")
    diff = {"before": {}, "after": {"changed": changes}} if changes else {}
    module.exit_json(changed=bool(changes), application=camel_dict_to_snake_dict(there or {}), diff=diff)


if __name__ == "__main__":
    main()
