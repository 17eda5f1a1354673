#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep several IAM roles at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: iam_roles
short_description: Keep several roles of services at once, with their policies and instance profiles
description:
  - Keeps roles that a service of AWS takes, each with its own policy, managed policies and by choice an instance profile of the same name.
  - One module rather than one for each resource, since a policy belongs to its role. So check mode is truthful where nothing exists yet, and
    a run in which nothing changes takes a few reads.
options:
  roles:
    description: Name to what the role is.
    type: dict
    required: true
  state:
    description: Whether they are there.
    type: str
    choices: [present, absent]
    default: present
  policy_name:
    description: Name of the roles' own policy.
    type: str
    default: berth
  tags:
    description: Tags to set. Others stay.
    type: dict
    default: {}
notes:
  - A role has C(service) (who takes it, such as V(ec2)), and by choice C(description), C(source_account) (for
    whose resources alone the service takes it; not every service says), C(policy) (a document), C(managed_policies) (ARNs)
    and C(instance_profile) (whether instances take it).
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
- name: Instances may read their bundle
  iam_roles:
    roles:
      shop-instance:
        service: ec2
        description: What instances may do
        instance_profile: true
        policy:
          Version: "2012-10-17"
          Statement: [{Effect: Allow, Action: ["s3:GetObject"], Resource: ["arn:aws:s3:::shop/*"]}]
"""

RETURN = r"""
roles:
  description: Name to ARN of those that there are.
  type: dict
  returned: success
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, looking_again, side_by_side, tag_difference, tag_list
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.policy import compare_policies
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def trust(service: str, account: str) -> dict[str, Any]:
    """The document by which a service takes a role, for one account's resources alone where that is given."""
    allowed: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    if account:
        allowed["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return {"Version": "2012-10-17", "Statement": [allowed]}


def found_or_none(call: Callable[..., Any], **given: Any) -> Any:
    """What a call returns, or None where there is no such thing."""
    try:
        return call(**given)
    except AWS_ERRORS as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


class Keeper:
    """Keeps roles. ``steps`` collects what was done, or in check mode would be."""

    def __init__(self, client: Any, check: bool, policy_name: str, tags: dict[str, str]) -> None:
        self.client, self.check, self.policy_name, self.tags = client, check, policy_name, tags
        self.steps: list[str] = []
        self.arns: dict[str, str] = {}

    def _do(self, what: str, operation: str, **given: Any) -> Any:
        self.steps.append(what)
        return None if self.check else getattr(self.client, operation)(aws_retry=True, **given)

    def keep(self, name: str, given: dict[str, Any]) -> None:
        """Bring one to what it should be."""
        document, description = trust(str(given["service"]), str(given.get("source_account", ""))), str(given.get("description", ""))
        found = found_or_none(self.client.get_role, RoleName=name)
        role = found["Role"] if found else None
        if role is None:
            text = json.dumps(document)
            how = {"AssumeRolePolicyDocument": text, "Description": description, "Tags": tag_list(self.tags)}
            made = self._do(f"make role {name}", "create_role", RoleName=name, **how)
            role = made["Role"] if made else None
            if made:
                self.client.get_waiter("role_exists").wait(RoleName=name)
        else:
            if compare_policies(role["AssumeRolePolicyDocument"], document):
                self._do(
                    f"let {given['service']} take {name}", "update_assume_role_policy", RoleName=name, PolicyDocument=json.dumps(document)
                )
            if role.get("Description", "") != description:
                self._do(f"describe {name}", "update_role", RoleName=name, Description=description)
            missing = tag_difference({each["Key"]: each["Value"] for each in role.get("Tags", [])}, self.tags)
            if missing:
                self._do(f"tag {name}", "tag_role", RoleName=name, Tags=tag_list(missing))
        if role:
            self.arns[name] = role["Arn"]
        self._policies(name, given, found is not None)
        if given.get("instance_profile"):
            self._profile(name)

    def _policies(self, name: str, given: dict[str, Any], there: bool) -> None:
        client, own = self.client, self.policy_name
        wanted = [str(each) for each in given.get("managed_policies") or []]
        attached = client.list_attached_role_policies(aws_retry=True, RoleName=name)["AttachedPolicies"] if there else []
        has = [str(each["PolicyArn"]) for each in attached]
        for arn in sorted(set(wanted) - set(has)):
            self._do(f"give {name} {arn.rpartition('/')[2]}", "attach_role_policy", RoleName=name, PolicyArn=arn)
        for arn in sorted(set(has) - set(wanted)):
            self._do(f"take {arn.rpartition('/')[2]} from {name}", "detach_role_policy", RoleName=name, PolicyArn=arn)
        found = found_or_none(client.get_role_policy, RoleName=name, PolicyName=own) if there else None
        if given.get("policy"):
            if found is None or compare_policies(found["PolicyDocument"], given["policy"]):
                text = json.dumps(given["policy"])
                self._do(f"say what {name} may do", "put_role_policy", RoleName=name, PolicyName=own, PolicyDocument=text)
        elif found is not None:
            self._do(f"take {own} from {name}", "delete_role_policy", RoleName=name, PolicyName=own)

    def _profile(self, name: str) -> None:
        found = found_or_none(self.client.get_instance_profile, InstanceProfileName=name)
        holds = [str(each["RoleName"]) for each in found["InstanceProfile"]["Roles"]] if found else []
        if found is None:
            self._do(f"make instance profile {name}", "create_instance_profile", InstanceProfileName=name, Tags=tag_list(self.tags))
            if not self.check:
                self.client.get_waiter("instance_profile_exists").wait(InstanceProfileName=name)
        else:
            own = {each["Key"]: each["Value"] for each in found["InstanceProfile"].get("Tags", [])}
            missing = tag_difference(own, self.tags)
            if missing:
                self._do(f"tag instance profile {name}", "tag_instance_profile", InstanceProfileName=name, Tags=tag_list(missing))
        for other in holds:
            if other != name:
                given = {"InstanceProfileName": name, "RoleName": other}
                self._do(f"take {other} out of its profile", "remove_role_from_instance_profile", **given)
        if name not in holds:
            self._do(f"put {name} into its profile", "add_role_to_instance_profile", InstanceProfileName=name, RoleName=name)

    def remove(self, name: str) -> None:
        """Take one away: its profile, its policies, and the role."""
        client = self.client
        profile = found_or_none(client.get_instance_profile, InstanceProfileName=name)
        if profile:
            for each in profile["InstanceProfile"]["Roles"]:
                given = {"InstanceProfileName": name, "RoleName": each["RoleName"]}
                self._do(f"take {each['RoleName']} out of its profile", "remove_role_from_instance_profile", **given)
            self._do(f"remove instance profile {name}", "delete_instance_profile", InstanceProfileName=name)
        if not found_or_none(client.get_role, RoleName=name):
            return
        for each in client.list_attached_role_policies(aws_retry=True, RoleName=name)["AttachedPolicies"]:
            self._do(f"take {each['PolicyName']} from {name}", "detach_role_policy", RoleName=name, PolicyArn=each["PolicyArn"])
        for policy in client.list_role_policies(aws_retry=True, RoleName=name)["PolicyNames"]:
            self._do(f"take {policy} from {name}", "delete_role_policy", RoleName=name, PolicyName=policy)
        self._do(f"remove role {name}", "delete_role", RoleName=name)


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "roles": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "policy_name": {"type": "str", "default": "berth"},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    for name, given in params["roles"].items():
        if params["state"] == "present" and not (isinstance(given, dict) and given.get("service")):
            module.fail_json(msg=f"roles: {name} names no service that takes it")
    # What was just made may not be found for a while.
    client = module.client("iam", retry_decorator=AWSRetry.jittered_backoff(catch_extra_error_codes=["NoSuchEntity"]))
    tags = {key: str(value) for key, value in params["tags"].items()}
    keeper = Keeper(client, module.check_mode, params["policy_name"], tags)
    try:
        keep = params["state"] == "present"
        side_by_side(
            lambda role: looking_again(partial(keeper.keep, *role) if keep else partial(keeper.remove, role[0])),
            sorted(params["roles"].items()),
        )
    except AWS_ERRORS as error:
        fail_aws(module, error, "Keeping the roles")
    steps = keeper.steps
    module.exit_json(changed=bool(steps), roles=keeper.arns, diff={"before": {}, "after": {"steps": steps}} if steps else {})


if __name__ == "__main__":
    main()
