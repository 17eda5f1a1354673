#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a release into service beside the running one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compose_release
short_description: Bring a release into service on this machine, without a gap
description:
  - A release is a Compose project of its own. It is pulled and started next to the running one, has to become healthy, then the edge
    (Caddy) leads new requests to it. Requests in flight end where they began, and the old project is stopped after them; that goes on when
    the module has returned, unless O(wait_ended). Its containers are kept until another release comes, since a way back starts them.
  - Where the new one does not come up, it is taken away, and the old one goes on serving.
  - All of it is one call, so that a connection that breaks leaves no half of it for long; run again, it ends in the same state.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  state:
    description:
      - V(back) brings a release into service that is kept on the machine - the one that served before, or O(release). Once that is done,
        V(back) without a release changes nothing.
      - V(found) only looks. V(fetched) pulls the images and, with O(definition), lets the release's accessories run; it changes nothing else.
      - V(forgotten) removes what is kept of releases that do not serve, to which nobody can go back then; such as those whose passwords open
        nothing any more.
      - V(absent) takes all containers of the app away, and the edge; its named volumes only with O(volumes_too).
    type: str
    choices: [present, back, absent, found, fetched, forgotten]
    default: present
  release:
    description: The release, as M(compose_release_file) named it. With O(state=back) its first part, such as a commit, is enough.
    type: str
  definition:
    description: The release's Compose file. It holds passwords, and is kept so that only root reads it.
    type: str
  images:
    description: The images that it runs.
    type: list
    elements: str
    default: []
  once:
    description: Services that one machine runs for all, such as a migration. A release that is gone back to is brought up without them.
    type: list
    elements: str
    default: []
  once_elsewhere:
    description: Whether another machine has run O(once), and this one brings the release up without them.
    type: bool
    default: false
  accessories_here:
    description:
      - Whether this machine keeps the release's accessories - what its O(definition) has of services that keep data, and stay while releases
        come and go. Another machine's containers find them at the address that is in there.
    type: bool
    default: true
  auths:
    description: Credentials to pull with, as in Docker's C(config.json). They are kept nowhere.
    type: dict
    default: {}
  authorities:
    description: Certificates of authorities, in PEM, that containers trust beside those of this machine.
    type: str
    default: ""
  front_door:
    description: The service to which visitors are led.
    type: str
  port:
    description: Its port.
    type: int
  health_path:
    description: A path that it answers with success; asked through the edge before the old release is stopped.
    type: str
    default: /
  domain:
    description:
      - Name under which visitors come. With it the edge gets a certificate and renews it; then it answers HTTPS, and leads HTTP there.
      - Until there is one it serves plain HTTP, which is a warning and no failure.
    type: str
  domain_aliases:
    description: Further names under which visitors come, for each of which the edge gets a certificate as well.
    type: list
    elements: str
  email:
    description: Whom the certificate's authority writes to.
    type: str
  acme_directory:
    description: URL of the directory of another ACME server than Let's Encrypt.
    type: str
  acme_authority:
    description: Certificate of the authority, in PEM, that the ACME server's own certificate is checked against.
    type: str
  certificate_timeout:
    description: For how many seconds the certificate is waited for. Caddy goes on trying after that.
    type: int
    default: 60
  trusted_proxies:
    description: Addresses, or ranges of them, of proxies that the edge believes what they say of a visitor, such as a load balancer's.
    type: list
    elements: str
    default: []
  edge_options:
    description: Global options of Caddy's, a line each, as in a Caddyfile.
    type: list
    elements: str
    default: []
  edge_image:
    description: Image of the edge.
    type: str
    default: caddy:2.10.2
  wait_timeout:
    description: For how many seconds the release may take to become healthy.
    type: int
    default: 300
  settle:
    description:
      - For how many seconds a container must have run without a break before it is believed to have come up, where nothing says that it is well.
      - The front door is asked itself, and what has a health check says so.
    type: int
    default: 5
  drain:
    description: For how many seconds at most requests in flight may end on the old release, which is stopped when none is left.
    type: int
    default: 30
  wait_ended:
    description:
      - Whether to return only when the old release has ended, such as before passwords that it knows are closed. The next deploy waits for
        that in any case, so that a machine never has more than two releases.
    type: bool
    default: false
  keep:
    description: How many old releases stay on the machine, to go back to without a registry.
    type: int
    default: 3
  volumes_too:
    description: With O(state=absent), whether the app's named volumes are removed.
    type: bool
    default: false
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows the release that serves and the one that would.
    support: full
requirements:
  - docker and docker compose
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Bring the release into service
  compose_release:
    app: shop
    release: "{{ rendered.release }}"
    definition: "{{ lookup('ansible.builtin.file', '/tmp/release/compose.json') }}"
    front_door: "{{ rendered.front_door }}"
    port: "{{ rendered.port }}"
"""

RETURN = r"""
release:
  description: The release that serves, or the empty string.
  type: str
  returned: success
containers:
  description: Its containers - C(name), C(service), C(state), C(status), and C(once) of those that run to an end, such as a migration.
  type: list
  elements: dict
  returned: success
volumes:
  description: The named volumes, and folders of this machine, into which its containers write, those of accessories included.
  type: list
  elements: str
  returned: success
accessories:
  description: The containers of its accessories, which keep data over all releases - C(name), C(service), C(state) and C(status).
  type: list
  elements: dict
  returned: success
before:
  description: The release that served until then, or the empty string.
  type: str
  returned: when another was brought into service
front_door:
  description: The service that visitors are led to, or null.
  type: str
  returned: success
ending:
  description: Releases that are ending - whose last requests are waited for, or whose containers stop.
  type: list
  elements: str
  returned: success
certificate:
  description: What visitors have of HTTPS - C(domain), C(served), C(expires) and C(problem); empty without a domain.
  type: dict
  returned: success
seconds:
  description: How long each part took.
  type: dict
  returned: when it was brought into service
"""

import json
import shutil
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import edge_files, registries, release_model
from ansible.module_utils.berth.accompanied import accompany, is_accompanied
from ansible.module_utils.berth.problems import BerthError
from ansible.module_utils.berth.release_machine import Machine
from ansible.module_utils.berth.release_start import start


def deploy(machine: Machine, found: Mapping[str, Any], *, back: bool) -> dict[str, float]:
    """Bring the release into service, a new one or (``back``) one that was kept. Returns how long the parts took, in seconds.

    ``found``: what has containers here.
    """
    params, begin, noted = machine.params, time.monotonic(), machine.current()
    release, before = params["release"], machine.serving()
    parts = {}

    def done(part: str) -> None:
        parts[part] = round(time.monotonic() - begin - sum(parts.values()), 2)

    if machine.make_way():
        found = machine.found()
    done("make way")
    try:
        start(machine, begun=release in found)
        done("start")
        if params["front_door"]:
            machine.edge.lead(machine.upstream)
        done("lead")
    except BerthError as problem:
        if release != before:
            machine.accessories.leave(*machine.joining(release))
            machine.docker(*machine.compose(release, "down", "--remove-orphans", "--timeout", "10"))
            if not back:
                shutil.rmtree(machine.file(release).parent, ignore_errors=True)
        goes_on = f"{before} goes on serving" if before and before != release else "nothing else serves"
        raise BerthError(f"release {release} was not brought into service, and {goes_on}: {problem}") from None
    if release != before:
        noted = {"after": before} if back else {"before": before}
    machine.serves(**{**noted, "release": release})
    ending = sorted(machine.active(found) - {release})
    for each in ending:
        machine.end(each)
    # Each of those does so when it has ended.
    if not ending:
        machine.forget()
    return parts


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "back", "absent", "found", "fetched", "forgotten"], "default": "present"},
            "release": {"type": "str"},
            "definition": {"type": "str", "no_log": True},
            "images": {"type": "list", "elements": "str", "default": []},
            "once": {"type": "list", "elements": "str", "default": []},
            "once_elsewhere": {"type": "bool", "default": False},
            "accessories_here": {"type": "bool", "default": True},
            "auths": {"type": "dict", "no_log": True, "default": {}},
            "authorities": {"type": "str", "default": ""},
            "front_door": {"type": "str"},
            "port": {"type": "int"},
            "health_path": {"type": "str", "default": "/"},
            "domain": {"type": "str"},
            "domain_aliases": {"type": "list", "elements": "str"},
            "email": {"type": "str"},
            "acme_directory": {"type": "str"},
            "acme_authority": {"type": "str"},
            "certificate_timeout": {"type": "int", "default": 60},
            "trusted_proxies": {"type": "list", "elements": "str", "default": []},
            "edge_options": {"type": "list", "elements": "str", "default": []},
            "edge_image": {"type": "str", "default": edge_files.IMAGE},
            "wait_timeout": {"type": "int", "default": 300},
            "settle": {"type": "int", "default": 5},
            "drain": {"type": "int", "default": 30},
            "wait_ended": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 3},
            "volumes_too": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ("release", "definition"))],
        supports_check_mode=True,
    )
    machine = Machine(module.params, module.run_command)
    params = machine.params
    module.no_log_values.update(registries.passwords(params["auths"]))
    took: dict[str, float] = {}
    try:
        found, serving = machine.found(), machine.serving()
        changed = False
        if params["state"] == "fetched" and not module.check_mode:
            machine.fetch()
            if params["definition"]:
                accompany(machine, json.loads(params["definition"]))
        if params["state"] == "absent":
            changed = bool(found) or machine.folder.is_dir()
            if changed and not module.check_mode:
                machine.remove(volumes_too=params["volumes_too"])
                found, serving = {}, ""
        elif params["state"] == "forgotten":
            changed = bool(set(machine.kept()) - {serving})
            if changed and not module.check_mode:
                machine.forget_others(serving)
        elif params["state"] in ("present", "back"):
            if params["state"] == "back":
                machine.take_up(release_model.rollback_target(machine.current(), machine.kept(), params["release"] or ""))
            up = serving == params["release"] and machine.is_up(serving, found) and machine.leads()
            up = up and machine.active(found) - set(machine.endings.under_way()) == {serving} and is_accompanied(machine, serving)
            changed = not up
            before, after = serving, params["release"]
            if not module.check_mode:
                if changed:
                    took = deploy(machine, found, back=params["state"] == "back")
                # Also where a run that was killed had brought the release into service.
                if params["wait_ended"]:
                    machine.all_ended()
                    for each, reason in machine.endings.problems(found).items():
                        raise BerthError(f"release {after} serves, and {each} could not be ended: {reason}")
                found, serving = machine.found(), machine.serving()
        certificate = machine.edge.certificate() if params["domain"] and machine.edge.runs() else {}
        answer: dict[str, Any] = {"changed": changed, "release": serving, "containers": machine.told(serving, found), "seconds": took}
        answer |= {"front_door": params["front_door"], "accessories": machine.accessories.found(), "volumes": machine.volumes()}
        answer |= {"certificate": certificate, "ending": machine.endings.under_way()}
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    if certificate.get("problem"):
        module.warn(certificate["problem"])
    for release, reason in machine.endings.problems(found).items():
        module.warn(f"release {release} could not be ended, and the next run tries again: {reason}")
    if params["state"] in ("present", "back") and changed:
        answer["before"] = before
        answer["diff"] = {"before": f"release {before or 'none'}\n", "after": f"release {after}\n"}
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
