#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep a stack's droplets and volumes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: digitalocean_droplets
short_description: Keep the droplets and volumes of a stack
description:
  - Makes what is described and missing, attaches volumes, and brings volumes and tags of what is there to what is described. Everything of
    a stack is found again by its tags. One that is off is switched on.
  - Another size stops a droplet for a while, so it is left to a call of its own, O(state=resized); RV(other_size) says which need one.
  - A droplet that is described no more is destroyed, first out of its load balancer; one that keeps data never is, and is refused.
  - The account is that of E(DIGITALOCEAN_TOKEN).
options:
  stack:
    description: Name of the stack; first part of all names.
    type: str
    required: true
  state:
    description:
      - V(found) only looks. V(absent) destroys the stack's droplets, and its SSH key; the volumes only with O(volumes_too).
      - The others are of one droplet, O(name). To one that is V(aside) no visitors are led, and those that it had have gone; V(serving) leads
        them there once it answers the load balancer's own question; V(restarted) restarts it; V(resized) gives it O(size), for which it is
        off meanwhile.
    type: str
    choices: [present, absent, found, aside, serving, restarted, resized]
    default: present
  name:
    description: The droplet, without the stack's name.
    type: str
  size:
    description: With O(state=resized), the droplet's new size. Its disk stays as it is, so that it can shrink again.
    type: str
  droplets:
    description:
      - What there shall be. Each has C(name), C(groups) (of app, postgres, redis, accessories), C(size), and where wanted C(image), C(region), C(volumes)
        (C(name) and C(size) in GiB each) and C(user_data).
    type: list
    elements: dict
    default: []
  region:
    description: Region of those that name none.
    type: str
  image:
    description: Image of those that name none.
    type: str
    default: debian-13-x64
  vpc:
    description: ID of the VPC that they are in.
    type: str
  public_key:
    description: The SSH public key that opens them.
    type: str
  remove:
    description: Whether droplets that are described no more are destroyed now, or left for a later call.
    type: bool
    default: true
  drain:
    description: Seconds between a droplet's leaving its load balancer and its end.
    type: int
    default: 15
  volumes_too:
    description: With O(state=absent), whether volumes are destroyed too.
    type: bool
    default: false
  wait_timeout:
    description: For how many seconds to wait for each step.
    type: int
    default: 600
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
  diff_mode:
    description: Shows each step, and what it interrupts.
    support: full
requirements:
  - pydo
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: One droplet with a volume
  digitalocean_droplets:
    stack: shop
    region: fra1
    vpc: 5a4981aa-9653-4bd1-bef5-d6bff52042e4
    public_key: "{{ lookup('file', '~/.ssh/id_ed25519.pub') }}"
    droplets:
      - name: data-1
        groups: [postgres]
        size: s-2vcpu-4gb
        volumes:
          - name: data
            size: 20
"""

RETURN = r"""
droplets:
  description:
    - The stack's droplets - C(name) within the stack, C(id), C(public) and C(private) address, C(groups), C(volumes) (names within the
      droplet), and whether this run made it (C(made)). In check mode those that are there.
  type: list
  elements: dict
  returned: success
plan:
  description: What was done, or in check mode would be, a line each.
  type: list
  elements: str
  returned: success
other_size:
  description: The droplets that have another size than described, without the stack's name.
  type: list
  elements: str
  returned: with O(state=present)
volumes:
  description: Full names of the stack's volumes.
  type: list
  elements: str
  returned: success
"""

import http.client
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.berth import digitalocean, droplet_plan
from ansible.module_utils.berth.problems import BerthError

# States of one droplet, which is named.
_OF_ONE = ("aside", "serving", "restarted", "resized")
_SERVE_SECONDS = 90
# Two checks of the load balancer's, five seconds apart, and a little.
_NOTICE_SECONDS = 12


class Keeper:
    """The calls, for one stack."""

    def __init__(self, module: Any) -> None:
        self.params = module.params
        self.stack, self.check_mode = module.params["stack"], module.check_mode
        self.account = digitalocean.client()
        self.seconds = module.params["wait_timeout"]

    def droplets(self) -> list[dict[str, Any]]:
        """The stack's droplets."""
        tag = digitalocean.stack_tag(self.stack)
        return digitalocean.every("Listing droplets", self.account.droplets.list, "droplets", tag_name=tag)

    def volumes(self) -> list[dict[str, Any]]:
        """The stack's volumes: those that are tagged so."""
        found = digitalocean.every("Listing volumes", self.account.volumes.list, "volumes")
        return [each for each in found if digitalocean.stack_tag(self.stack) in each["tags"]]

    def check(self, plan: droplet_plan.Plan) -> None:
        """Refuse what DigitalOcean does not offer, before anything is made."""
        if not (plan.create or plan.resize):
            return
        regions = digitalocean.every("Listing regions", self.account.regions.list, "regions")
        images = digitalocean.every("Listing images", self.account.images.list, "images", type="distribution") if plan.create else []
        problem = droplet_plan.offer_problem(plan, regions, images)
        if problem:
            raise BerthError(problem)

    def key(self) -> int:
        """The SSH key's number, added where the account has it not."""
        public = " ".join(self.params["public_key"].split()[:2])
        for each in digitalocean.every("Listing SSH keys", self.account.ssh_keys.list, "ssh_keys"):
            if each["public_key"].split()[:2] == public.split():
                return int(each["id"])
        body = {"name": f"berth-{self.stack}", "public_key": self.params["public_key"]}
        return int(digitalocean.ask("Adding the SSH key", self.account.ssh_keys.create, body=body)["ssh_key"]["id"])

    def apply(self, plan: droplet_plan.Plan) -> None:
        """Do what is planned, what makes before what destroys."""
        for volume in plan.volumes:
            digitalocean.ask(f"Making volume {volume['name']}", self.account.volumes.create, body=volume)
        if plan.create:
            key = self.key()
            for droplet in plan.create:
                body = {**droplet, "ssh_keys": [key], "vpc_uuid": self.params["vpc"], "monitoring": True}
                digitalocean.ask(f"Making droplet {droplet['name']}", self.account.droplets.create, body=body)
        self.wait_active()
        for droplet, tag in plan.tag:
            self.tag(droplet, tag, on=True)
        for droplet, tag in plan.untag:
            self.tag(droplet, tag, on=False)
        self.attach(plan)
        for volume, size in plan.grow:
            body = {"type": "resize", "size_gigabytes": size, "region": volume["region"]["slug"]}
            what = f"Growing volume {volume['name']}"
            digitalocean.finished(
                self.account, what, digitalocean.ask(what, self.account.volume_actions.post_by_id, volume["id"], body=body), self.seconds
            )
        for droplet in plan.switch_on:
            self.switch_on(droplet)
        if plan.remove:
            self.leave(plan.remove)
            for droplet in plan.remove:
                digitalocean.ask(f"Destroying droplet {droplet['name']}", self.account.droplets.destroy, droplet["id"])

    def wait_active(self) -> None:
        """Wait until no droplet of the stack is new."""

        def look() -> bool:
            return all(each["status"] != "new" and not each["locked"] for each in self.droplets())

        digitalocean.wait_for("Waiting for the droplets", look, self.seconds)

    def tag(self, droplet: dict[str, Any], tag: str, *, on: bool) -> None:
        """Put a tag on a droplet, or take it off."""
        resources = {"resources": [{"resource_id": str(droplet["id"]), "resource_type": "droplet"}]}
        if on:
            digitalocean.ask(f"Making tag {tag}", self.account.tags.create, body={"name": tag})
        call = self.account.tags.assign_resources if on else self.account.tags.unassign_resources
        digitalocean.ask(f"Tagging droplet {droplet['name']}", call, tag, body=resources)

    def attach(self, plan: droplet_plan.Plan) -> None:
        """Attach volumes to their droplets."""
        if not plan.attach:
            return
        volumes = {each["name"]: each for each in self.volumes()}
        droplets = {each["name"]: each for each in self.droplets()}
        for volume, droplet in plan.attach:
            body = {"type": "attach", "droplet_id": droplets[droplet]["id"], "region": volumes[volume]["region"]["slug"]}
            what = f"Attaching volume {volume} to {droplet}"
            started = digitalocean.ask(what, self.account.volume_actions.post_by_id, volumes[volume]["id"], body=body)
            digitalocean.finished(self.account, what, started, self.seconds)

    def leave(self, droplets: list[dict[str, Any]]) -> None:
        """Let droplets get no visitors any more, and those whom they have go. Their app keeps its way to the stores."""
        front = digitalocean.front_tag(self.stack)
        served = [each for each in droplets if front in each["tags"]]
        for droplet in served:
            self.tag(droplet, front, on=False)
        time.sleep(self.params["drain"] if served else 0)

    def resize(self, droplet: dict[str, Any], size: str) -> None:
        """Give a droplet another size, which only one that is off can take. Its disk stays, so that it can shrink again."""
        droplet = self.settled(droplet)
        if droplet["size_slug"] != size:
            if droplet["status"] != "off":
                self.act(droplet, {"type": "shutdown"})
            self.act(droplet, {"type": "resize", "size": size, "disk": False})
        self.switch_on(droplet)

    def switch_on(self, droplet: dict[str, Any]) -> None:
        """Switch on a droplet that is off."""
        if self.settled(droplet)["status"] == "off":
            self.act(droplet, {"type": "power_on"})

    def settled(self, droplet: dict[str, Any]) -> dict[str, Any]:
        """The droplet as it is when all that goes on with it has ended, such as what a run has begun that was killed."""
        what, number = f"Waiting for what goes on with droplet {droplet['name']}", droplet["id"]

        def look() -> bool:
            # The newest come first.
            actions = digitalocean.ask(what, self.account.droplet_actions.list, droplet_id=number)["actions"]
            return all(each["status"] != "in-progress" for each in actions)

        digitalocean.wait_for(what, look, self.seconds)
        return dict(digitalocean.ask(what, self.account.droplets.get, number)["droplet"])

    def bring(self, droplets: list[dict[str, Any]], name: str, state: str) -> list[str]:
        """Lead visitors away from a droplet, or to it again, restart it, or give it another size. Returns what that was, or nothing."""
        found = [each for each in droplets if digitalocean.short_name(each["name"], self.stack) == name]
        if not found:
            raise BerthError(f"stack {self.stack} has no droplet {name}")
        droplet, front = found[0], digitalocean.front_tag(self.stack)
        steps = {
            "restarted": [f"restart droplet {droplet['name']}"],
            "resized": [droplet_plan.resizing(droplet, self.params["size"])] if droplet["size_slug"] != self.params["size"] else [],
            "aside": [f"untag droplet {droplet['name']} {front}"] if front in droplet["tags"] else [],
            "serving": [f"tag droplet {droplet['name']} {front}"] if front not in droplet["tags"] else [],
        }[state]
        if not steps or self.check_mode:
            return steps
        if state == "aside":
            self.leave([droplet])
        elif state == "serving":
            if not self.serves(digitalocean.address(droplet, "public")):
                raise BerthError(f"droplet {droplet['name']} does not answer visitors for {_SERVE_SECONDS} s, so none are led there")
            self.tag(droplet, front, on=True)
            time.sleep(_NOTICE_SECONDS)
        elif state == "resized":
            self.resize(droplet, self.params["size"])
        else:
            self.act(self.settled(droplet), {"type": "reboot"})
        return steps

    def serves(self, address: str) -> bool:
        """Wait until an app's droplet answers again what the load balancer asks it. Returns whether it does."""
        path, end = self.health_path(), time.monotonic() + _SERVE_SECONDS
        while time.monotonic() < end:
            try:
                connection = http.client.HTTPConnection(address, 80, timeout=3)
                connection.request("GET", path)
                if connection.getresponse().status < 500:
                    return True
            except OSError:
                pass
            time.sleep(1)
        return False

    def health_path(self) -> str:
        """The path that the stack's load balancer asks its droplets for."""
        balancers = digitalocean.every("Listing load balancers", self.account.load_balancers.list, "load_balancers")
        return next((str(each["health_check"]["path"]) for each in balancers if each["name"] == self.stack), "/")

    def act(self, droplet: dict[str, Any], body: dict[str, Any]) -> None:
        """Do something to a droplet, and wait until it is done."""
        what = f"Droplet {droplet['name']}: {body['type']}"
        started = digitalocean.ask(what, self.account.droplet_actions.post, droplet["id"], body=body)
        digitalocean.finished(self.account, what, started, self.seconds)

    def remove(self, droplets: list[dict[str, Any]], volumes: list[dict[str, Any]]) -> None:
        """Destroy the stack's droplets, its key and, where told, its volumes."""
        for droplet in droplets:
            digitalocean.ask(f"Destroying droplet {droplet['name']}", self.account.droplets.destroy, droplet["id"])
        if droplets:
            digitalocean.wait_for("Waiting for the droplets to go", lambda: not self.droplets(), self.seconds)
        for each in digitalocean.every("Listing SSH keys", self.account.ssh_keys.list, "ssh_keys"):
            if each["name"] == f"berth-{self.stack}":
                digitalocean.ask("Forgetting the SSH key", self.account.ssh_keys.delete, each["id"])
        for volume in volumes if self.params["volumes_too"] else []:
            digitalocean.ask(f"Destroying volume {volume['name']}", self.account.volumes.delete, volume["id"])


def shown(droplets: list[dict[str, Any]], volumes: list[dict[str, Any]], stack: str, made: set[str]) -> list[dict[str, Any]]:
    """Droplets as the module returns them."""
    names = {each["id"]: each["name"] for each in volumes}
    return [
        {
            "name": digitalocean.short_name(each["name"], stack),
            "id": each["id"],
            "status": each["status"],
            "public": digitalocean.address(each, "public"),
            "private": digitalocean.address(each, "private"),
            "groups": digitalocean.groups_of(each, stack),
            "size": each["size_slug"],
            "volumes": [names[number].removeprefix(f"{each['name']}-") for number in each["volume_ids"] if number in names],
            "made": each["name"] in made,
        }
        for each in sorted(droplets, key=lambda droplet: str(droplet["name"]))
    ]


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "found", *_OF_ONE], "default": "present"},
            "name": {"type": "str"},
            "size": {"type": "str"},
            "droplets": {"type": "list", "elements": "dict", "default": []},
            "region": {"type": "str"},
            "image": {"type": "str", "default": "debian-13-x64"},
            "vpc": {"type": "str"},
            "public_key": {"type": "str", "no_log": False},
            "remove": {"type": "bool", "default": True},
            "drain": {"type": "int", "default": 15},
            "volumes_too": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 600},
        },
        required_if=[*(("state", each, ("name",)) for each in _OF_ONE), ("state", "resized", ("size",))],
        supports_check_mode=True,
    )
    params = module.params
    try:
        keeper = Keeper(module)
        droplets, volumes = keeper.droplets(), keeper.volumes()
        if params["state"] == "found":
            there = shown(droplets, volumes, params["stack"], set())
            module.exit_json(changed=False, plan=[], droplets=there, volumes=[each["name"] for each in volumes])
        if params["state"] == "absent":
            gone = [f"destroy droplet {each['name']}" for each in droplets]
            gone += [f"destroy volume {each['name']}" for each in volumes if params["volumes_too"]]
            if not module.check_mode:
                keeper.remove(droplets, volumes)
            diff = {"before": "\n".join(["", *gone, ""]), "after": "\n"}
            module.exit_json(changed=bool(gone), plan=gone, droplets=[], volumes=[each["name"] for each in volumes], diff=diff)
        if params["state"] in _OF_ONE:
            steps = keeper.bring(droplets, params["name"], params["state"])
            there = shown(keeper.droplets(), volumes, params["stack"], set())
            diff = {"before": "", "after": "".join(f"{step}\n" for step in steps)}
            module.exit_json(changed=bool(steps), plan=steps, droplets=there, volumes=[each["name"] for each in volumes], diff=diff)
        wanted = droplet_plan.described(params["droplets"])
        plan = droplet_plan.plan(params["stack"], wanted, droplets, volumes, params["region"], params["image"])
        if not params["remove"]:
            plan = plan._replace(remove=[])
        keeper.check(plan)
        other_size = [digitalocean.short_name(each["name"], params["stack"]) for each, _size in plan.resize]
        plan = plan._replace(resize=[])
        lines = plan.lines()
        if plan and not module.check_mode:
            keeper.apply(plan)
            droplets, volumes = keeper.droplets(), keeper.volumes()
    except BerthError as problem:
        module.fail_json(msg=str(problem))
        raise AssertionError("fail_json returned") from None
    made = {each["name"] for each in plan.create}
    module.exit_json(
        changed=bool(plan),
        plan=lines,
        other_size=other_size,
        droplets=shown(droplets, volumes, params["stack"], made),
        volumes=[each["name"] for each in volumes],
        diff={"before": "", "after": "".join(f"{line}\n" for line in lines)},
    )


if __name__ == "__main__":
    main()
