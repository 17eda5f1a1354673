#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build a Compose project's images and push them to a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_release
short_description: Build a Compose project's images and push them to a registry, once per release
description:
  - Builds the services that C(build:) with C(docker compose build --push), tagged with the release, and returns each image by its digest.
    What the registry has under that tag already is not built again.
  - Credentials are there for the time of the push, and nowhere after it.
options:
  registry:
    description: Registry and what the images' names begin with, such as C(registry.example.com/team). Empty means DigitalOcean's own.
    type: str
  username:
    description: User of O(registry).
    type: str
  password:
    description: Password of O(registry).
    type: str
  prefix:
    description: What comes between O(registry) and the service in an image's name, such as the app's name.
    type: str
    required: true
  exclude:
    description: Services that are left out.
    type: list
    elements: str
    default: []
  platform:
    description: Platform of the machines that the images are for.
    type: str
    default: linux/amd64
extends_documentation_fragment:
  - berth.project
  - berth.release
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
requirements:
  - docker compose and buildx, and an engine
  - pydo, for DigitalOcean's registry
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Build and push what changed
  registry_release:
    project_src: /srv/shop
    registry: registry.example.com/team
    username: deploy
    password: "{{ lookup('ansible.builtin.env', 'REGISTRY_PASSWORD') }}"
    prefix: shop
  register: release
"""

RETURN = r"""
release:
  description: Name of the release.
  type: str
  returned: success
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

import json
import re
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import compose, digitalocean, floating, overview, registries, release
from ansible.module_utils.berth.problems import BerthError


def own_registry(*, write: bool) -> tuple[str, dict[str, Any]]:
    """DigitalOcean's registry of this account: what its images' names begin with, and credentials that hold for an hour."""
    account = digitalocean.client()
    try:
        name = digitalocean.ask("Looking for the account's registry", account.registry.get)["registry"]["name"]
    except BerthError as problem:
        raise BerthError(
            f"{problem}. Set app_registry to a registry of yours, or make one at https://cloud.digitalocean.com/registry"
        ) from None
    found = digitalocean.ask(
        "Asking for the registry's credentials", account.registry.get_docker_credentials, expiry_seconds=3600, read_write=write
    )
    entries: dict[str, Any] = found["auths"]
    return f"{next(iter(entries))}/{name}", entries


def digest_of(module: Any, image: str, environment: dict[str, str]) -> str | None:
    """The digest under which a registry has an image, or None. Raises :class:`BerthError` where it cannot be asked."""
    words = ["docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", image]
    code, out, err = module.run_command(words, environ_update=environment)
    if code == 0:
        return str(json.loads(out)["digest"])
    if re.search(r"not found|NAME_UNKNOWN|name unknown|manifest unknown", err, re.IGNORECASE):
        return None
    said = err.strip().splitlines()[-1] if err.strip() else "no answer"
    remedy = "; check app_registry_username and app_registry_password" if re.search("401|403|denied|authoriz", said, re.IGNORECASE) else ""
    raise BerthError(f"app_registry: {image.rsplit(':', 1)[0]} cannot be looked at: {said}{remedy}")


def converge(module: Any) -> dict[str, Any]:
    """Build and push what the registry has not."""
    params = module.params
    project = compose.project_of(module)
    name = release.name_of(project.directory, module.run_command, params["release"], project.services, project.builds)
    found = overview.overview(project, None)["services"]
    without = {each["name"] for each in found if each["backing"]} | set(params["exclude"])
    services = [each["name"] for each in found if each["built"] and each["name"] not in without]
    loose = floating.floating(project.services, without)
    registry, entries = params["registry"].rstrip("/") if params["registry"] else "", {}
    if registry and params["username"]:
        entries = registries.auths(registry, params["username"], params["password"] or "")
    elif services and not registry:
        registry, entries = own_registry(write=True)
    module.no_log_values.update(registries.passwords(entries))
    images = {service: f"{registry}/{params['prefix']}/{service}".lower() for service in services}
    with registries.signed_in(entries) as environment:
        pinned, told = floating.pinned(loose, module.run_command, environment)
        digests = {service: digest_of(module, f"{image}:{name}", environment) for service, image in images.items()}
        missing = sorted(service for service, digest in digests.items() if digest is None)
        if missing and not module.check_mode:
            wanted = {service: f"{images[service]}:{name}" for service in missing}
            settings = {**environment, "DOCKER_DEFAULT_PLATFORM": params["platform"]}
            release.build_and_push(module.run_command, project, wanted, params, settings)
            digests |= {service: digest_of(module, f"{images[service]}:{name}", environment) for service in missing}
    named = {service: f"{image}@{digests[service]}" if digests[service] else f"{image}:{name}" for service, image in images.items()}
    for warning in told:
        module.warn(warning)
    return {"changed": bool(missing), "release": name, "images": named, "pinned": pinned, "built": missing}


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            **compose.ARGUMENTS,
            "release": {"type": "str"},
            "registry": {"type": "str"},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "prefix": {"type": "str", "required": True},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "platform": {"type": "str", "default": "linux/amd64"},
        },
        supports_check_mode=True,
    )
    try:
        answer = converge(module)
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
