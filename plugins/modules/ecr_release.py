#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build a Compose project's images and push them to ECR."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ecr_release
short_description: Build a Compose project's images and push them to ECR, once per release
description:
  - Builds the services that C(build:) with C(docker compose build --push), tagged with the release, and returns each image by its
    digest. What ECR has under that tag already is not built again.
  - Credentials are there for the time of the push, and nowhere after it.
options:
  repositories:
    description: Service to the name of its repository. A service that is built and has none is left out.
    type: dict
  repository_prefix:
    description: Instead, what the names of repositories begin with, before the service's. Backing services have none.
    type: str
  exclude:
    description: With O(repository_prefix), services that are left out.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - berth.project
  - berth.release
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
requirements:
  - docker compose and buildx, and an engine
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Build and push what changed
  ecr_release:
    project_src: /srv/shop
    files: [compose.yaml, compose.production.yaml]
    repositories:
      api: shop/api
  register: release
"""

RETURN = r"""
release:
  description: Name of the release.
  type: str
  returned: success
  sample: 3f9c2e1
images:
  description: Service to image, by digest; by tag in check mode where it is not built yet.
  type: dict
  returned: success
pinned:
  description:
    - Service to image, by digest, of those that nobody builds here and whose tag, C(latest) or none, does not say what is in them. What keeps
      data is none of them.
  type: dict
  returned: success
built:
  description: The services that were built and pushed.
  type: list
  elements: str
  returned: success
"""

import base64
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.berth import compose, floating, overview, registries, release
from ansible.module_utils.berth.aws import AWS_ERRORS, error_code, fail_aws
from ansible.module_utils.berth.problems import BerthError
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry


def uri_of(client: Any, name: str) -> str | None:
    """The URI of a repository, or None where there is none of that name."""
    try:
        return str(client.describe_repositories(aws_retry=True, repositoryNames=[name])["repositories"][0]["repositoryUri"])
    except AWS_ERRORS as error:
        if error_code(error) == "RepositoryNotFoundException":
            return None
        raise


def looked_up(look: Callable[[str], str | None], names: Iterable[str]) -> dict[str, str | None]:
    """What is found under each name, asked for side by side."""
    wanted = sorted(set(names))
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(wanted, pool.map(look, wanted), strict=True))


def digest_of(client: Any, name: str, tag: str) -> str | None:
    """The digest of an image in ECR, or None where it has none of that tag."""
    try:
        found = client.describe_images(aws_retry=True, repositoryName=name, imageIds=[{"imageTag": tag}])
    except AWS_ERRORS as error:
        if error_code(error) in ("ImageNotFoundException", "RepositoryNotFoundException"):
            return None
        raise
    return str(found["imageDetails"][0]["imageDigest"])


def credentials(module: Any, client: Any) -> dict[str, Any]:
    """What lets the engine's client push for some hours. The account has one registry."""
    token = client.get_authorization_token(aws_retry=True)["authorizationData"][0]
    user, _colon, password = base64.b64decode(token["authorizationToken"]).decode().partition(":")
    entries = registries.auths(str(token["proxyEndpoint"]).split("://", 1)[1], user, password)
    module.no_log_values.update(registries.passwords(entries))
    return entries


def repositories_of(project: compose.Project, params: dict[str, Any]) -> dict[str, str]:
    """Service to repository, of the services that are built."""
    given = params["repositories"]
    if given is None:
        own = [each["name"] for each in overview.overview(project, None)["services"] if each["built"] and not each["backing"]]
        given = {each: f"{params['repository_prefix']}{each}" for each in own if each not in params["exclude"]}
    return {each: str(given[each]) for each in release.built(project.services, given)}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleAWSModule(
        argument_spec={
            **compose.ARGUMENTS,
            "release": {"type": "str"},
            "repositories": {"type": "dict"},
            "repository_prefix": {"type": "str"},
            "exclude": {"type": "list", "elements": "str", "default": []},
        },
        mutually_exclusive=[("repositories", "repository_prefix")],
        required_one_of=[("repositories", "repository_prefix")],
        supports_check_mode=True,
    )
    params = module.params
    client = module.client("ecr", retry_decorator=AWSRetry.jittered_backoff())
    try:
        project = compose.project_of(module)
        name = release.name_of(project.directory, module.run_command, params["release"], project.services, project.builds)
        repositories = repositories_of(project, params)
        backing = {each["name"] for each in overview.overview(project, None)["services"] if each["backing"]}
        loose = floating.floating(project.services, backing | set(params["exclude"]))
        pinned, told = floating.pinned(loose, module.run_command, {})
        there = looked_up(lambda repository: uri_of(client, repository), repositories.values())
        absent = [repository for repository, uri in there.items() if uri is None]
        if absent and not module.check_mode:
            raise BerthError(f"repositories: ECR has no {', '.join(absent)}; run playbooks/platform.yml first, which makes them")
        digests = looked_up(lambda repository: digest_of(client, repository, name), repositories.values())
        missing = [service for service, repository in sorted(repositories.items()) if digests[repository] is None]
        if missing and not module.check_mode:
            wanted = {service: f"{there[repositories[service]]}:{name}" for service in missing}
            with registries.signed_in(credentials(module, client)) as environment:
                release.build_and_push(module.run_command, project, wanted, params, environment)
            digests = looked_up(lambda repository: digest_of(client, repository, name), repositories.values())
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    except AWS_ERRORS as error:
        fail_aws(module, error, "Looking for the release's images in ECR")
    images = {}
    for service, repository in sorted(repositories.items()):
        uri, digest = there[repository] or repository, digests[repository]
        images[service] = f"{uri}@{digest}" if digest else f"{uri}:{name}"
    for warning in told:
        module.warn(warning)
    module.exit_json(changed=bool(missing), release=name, images=images, pinned=pinned, built=missing)


if __name__ == "__main__":
    main()
