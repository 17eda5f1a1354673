# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The droplets of a stack as hosts, in the groups that their descriptions and tags say."""

from __future__ import annotations

DOCUMENTATION = r"""
name: digitalocean_droplets
short_description: The droplets of a stack, in the groups of what they do
description:
  - Reads C(digitalocean_stack) and C(digitalocean_droplets) where playbooks have them from (C(group_vars), the inventory's own, C(-e)), and
    asks DigitalOcean which of these droplets there are. A droplet that is not there yet is a host too, with C(machine_there=false).
  - Machines are reached with C(digitalocean_private_key) and C(digitalocean_ssh_options).
  - Every droplet is in the group C(machines). One that does one thing (C(app), C(postgres), C(redis)) is in that group as well; one that
    does several stands in each of them as a host of its own, C(NAME-GROUP), since a slot's role is a group's variable.
  - The account is that of E(DIGITALOCEAN_TOKEN). Where it does not answer, C(digitalocean_problem) says why, and playbooks stop with that.
options:
  plugin:
    description: Name of this plugin.
    required: true
    choices: [digitalocean_droplets]
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
# inventories/digitalocean/droplets.yml
plugin: digitalocean_droplets
"""

from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleError
from ansible.inventory.group import Group
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.loader import vars_loader
from ansible.template import Templar
from ansible.utils.vars import combine_vars, load_extra_vars

_ROOT = Path(__file__).resolve().parents[2]
if str(_ROOT / "plugins" / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(_ROOT / "plugins" / "module_utils"))

from ansible.module_utils.berth import digitalocean, droplet_plan
from ansible.module_utils.berth.problems import BerthError

_GROUP = "digitalocean"
# What Ansible looks at for every task, and of which of the project's variables it is.
_REACH = {"ansible_ssh_private_key_file": "digitalocean_private_key", "ansible_ssh_common_args": "digitalocean_ssh_options"}


class InventoryModule(BaseInventoryPlugin):
    """The plugin."""

    NAME = "digitalocean_droplets"

    def verify_file(self, path: str) -> bool:
        """Whether a file is for this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("droplets.yml", "droplets.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        variables = self._variables(loader, path)
        templar = Templar(loader=loader, variables=variables)
        inventory.add_group(_GROUP)
        inventory.add_group("machines")
        inventory.add_child(_GROUP, "machines")
        try:
            stack = str(templar.template(variables["digitalocean_stack"]))
            wanted = droplet_plan.described(templar.template(variables.get("digitalocean_droplets") or []))
            for name, source in _REACH.items():
                inventory.set_variable(_GROUP, name, str(templar.template(variables[source])))
            self._fill(stack, wanted)
        except (BerthError, AnsibleError, KeyError) as problem:
            inventory.set_variable(_GROUP, "digitalocean_problem", str(problem))

    def _variables(self, loader: Any, path: str) -> dict[str, Any]:
        """The variables of the groups all and digitalocean, in the order in which playbooks take them."""
        places = [str(Path(path).resolve().parent), str(_ROOT / "playbooks")]
        found: dict[str, Any] = {
            "playbook_dir": str(_ROOT / "playbooks"),
            "inventory_dir": places[0],
            "omit": None,
        }
        reader = vars_loader.get("host_group_vars")
        for name in ("all", _GROUP):
            for place in places:
                found = combine_vars(found, reader.get_vars(loader, place, [Group(name)], cache=False))
        return dict(combine_vars(found, load_extra_vars(loader)))

    def _fill(self, stack: str, wanted: list[dict[str, Any]]) -> None:
        there: dict[str, dict[str, Any]] = {}
        try:
            account = digitalocean.client()
            found = digitalocean.every("Listing droplets", account.droplets.list, "droplets", tag_name=digitalocean.stack_tag(stack))
            there = {digitalocean.short_name(each["name"], stack): each for each in found}
        except BerthError as problem:
            self.inventory.set_variable(_GROUP, "digitalocean_problem", str(problem))
        groups = {each["name"]: list(each["groups"]) for each in wanted}
        # What is described no more stays a machine as it was, until a converge has destroyed it, and gets no release any more.
        surplus = {name: digitalocean.groups_of(droplet, stack) for name, droplet in there.items() if name not in groups}
        volumes = {each["name"]: [volume["name"] for volume in each["volumes"]] for each in wanted}
        for name in sorted({**groups, **surplus}):
            self._host(name, name, "machines", groups.get(name, surplus.get(name, [])), there.get(name), volumes.get(name, []))
            for group in groups.get(name, []):
                alias = name if len(groups[name]) == 1 else f"{name}-{group}"
                self._host(name, alias, group, groups[name], there.get(name), volumes.get(name, []))

    def _host(self, name: str, alias: str, group: str, groups: list[str], droplet: dict[str, Any] | None, volumes: list[str]) -> None:
        self.inventory.add_group(group)
        self.inventory.add_host(alias, group)
        told: dict[str, Any] = {"machine_there": droplet is not None, "machine_name": name, "machine_groups": groups}
        told["machine_volume_names"] = volumes
        if droplet is not None:
            told["ansible_host"] = digitalocean.address(droplet, "public")
            told["machine_address"] = digitalocean.address(droplet, "private")
            told["machine_vpc"] = droplet.get("vpc_uuid") or ""
            told["machine_memory"] = droplet["memory"]
            told["machine_cores"] = droplet["vcpus"]
            told["machine_volume_device"] = f"/dev/disk/by-id/scsi-0DO_Volume_{droplet['name']}-"
        for key, value in told.items():
            self.inventory.set_variable(alias, key, value)
