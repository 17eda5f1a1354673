#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep several image repositories at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_repositories
short_description: Keep several image repositories in ECR at once
description:
  - Keeps repositories whose tags cannot be moved, whose images are scanned when they are pushed, and which throw away old images.
  - All are read in one request, so that a run in which nothing changes costs little more for ten than for one.
options:
  names:
    description: Names of the repositories.
    type: list
    elements: str
    required: true
  state:
    description: Whether they are there. V(absent) removes their images too.
    type: str
    choices: [present, absent]
    default: present
  images_kept:
    description: How many images each keeps.
    type: int
    default: 50
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
    description: Lists what would be made, changed and removed.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Keep a repository for each image
  ecr_repositories:
    names: [shop/api, shop/web]
    images_kept: 20
"""

RETURN = r"""
repositories:
  description: Name to URI of those that there are.
  type: dict
  returned: success
"""

import json
from functools import partial
from typing import Any

from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws, looking_again, side_by_side, tag_difference, tag_list
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def lifecycle(kept: int) -> dict[str, Any]:
    """The policy that throws old images away."""
    select = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": kept}
    return {"rules": [{"rulePriority": 1, "description": "The latest images", "selection": select, "action": {"type": "expire"}}]}


class Keeper:
    """Keeps repositories. ``steps`` collects what was done, or in check mode would be."""

    def __init__(self, client: Any, check: bool) -> None:
        self.client, self.check = client, check
        self.steps: list[str] = []

    def look(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """Those that there are, by name. One that is missing fails the request for all, so then halves are asked for."""
        if not names:
            return {}
        try:
            found = self.client.describe_repositories(aws_retry=True, repositoryNames=names)["repositories"]
        except AWS_ERRORS as error:
            if error_code(error) != "RepositoryNotFoundException":
                raise
            half = len(names) // 2
            return {**self.look(names[:half]), **self.look(names[half:])} if half else {}
        return {each["repositoryName"]: each for each in found}

    def _do(self, what: str, operation: str, **given: Any) -> None:
        self.steps.append(what)
        if not self.check:
            getattr(self.client, operation)(aws_retry=True, **given)

    def all(self, names: list[str], state: str, kept: int, tags: dict[str, str]) -> dict[str, dict[str, Any]]:
        """Keep or remove all. Returns those that there were."""
        there = self.look(names)

        def one(name: str) -> None:
            if state == "present":
                self.keep(name, there.get(name), kept, tags)
            elif name in there:
                self.remove(name)

        side_by_side(one, names)
        return there

    def keep(self, name: str, there: dict[str, Any] | None, kept: int, tags: dict[str, str]) -> None:
        """Bring one to what it should be."""
        policy = lifecycle(kept)
        if there is None:
            how: dict[str, Any] = {"imageScanningConfiguration": {"scanOnPush": True}, "imageTagMutability": "IMMUTABLE"}
            self._do(f"make repository {name}", "create_repository", repositoryName=name, tags=tag_list(tags), **how)
        else:
            if not there.get("imageScanningConfiguration", {}).get("scanOnPush"):
                scan = {"scanOnPush": True}
                self._do(
                    f"scan images pushed to {name}",
                    "put_image_scanning_configuration",
                    repositoryName=name,
                    imageScanningConfiguration=scan,
                )
            if there.get("imageTagMutability") != "IMMUTABLE":
                self._do(f"fix the tags of {name}", "put_image_tag_mutability", repositoryName=name, imageTagMutability="IMMUTABLE")
            own = self.client.list_tags_for_resource(aws_retry=True, resourceArn=there["repositoryArn"])["tags"] if tags else []
            missing = tag_difference({each["Key"]: each["Value"] for each in own}, tags)
            if missing:
                self._do(f"tag {name}", "tag_resource", resourceArn=there["repositoryArn"], tags=tag_list(missing))
        if there is None or self._policy(name) != policy:
            text = json.dumps(policy, sort_keys=True)
            self._do(f"keep {kept} images in {name}", "put_lifecycle_policy", repositoryName=name, lifecyclePolicyText=text)

    def _policy(self, name: str) -> Any:
        try:
            return json.loads(self.client.get_lifecycle_policy(aws_retry=True, repositoryName=name)["lifecyclePolicyText"])
        except AWS_ERRORS as error:
            if error_code(error) != "LifecyclePolicyNotFoundException":
                raise
            return None

    def remove(self, name: str) -> None:
        """Take one away, with its images."""
        self._do(f"remove repository {name}", "delete_repository", repositoryName=name, force=True)


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "images_kept": {"type": "int", "default": 50},
            "tags": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    client = module.client("ecr", retry_decorator=AWSRetry.jittered_backoff())
    keeper, names = Keeper(client, module.check_mode), sorted(set(params["names"]))
    tags = {key: str(value) for key, value in params["tags"].items()}
    try:
        there = looking_again(partial(keeper.all, names, params["state"], params["images_kept"], tags))
        if keeper.steps and not module.check_mode:
            there = keeper.look(names)
    except AWS_ERRORS as error:
        fail_aws(module, error, "Keeping the image repositories")
    steps = keeper.steps
    module.exit_json(
        changed=bool(steps),
        repositories={name: each["repositoryUri"] for name, each in there.items()},
        diff={"before": {}, "after": {"steps": steps}} if steps else {},
    )


if __name__ == "__main__":
    main()
