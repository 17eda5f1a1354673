#!/usr/bin/python
# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what this machine is, and what it lacks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: Read in one step what a machine is, and what it lacks of what is asked for
description:
  - Reads the system, and which of some packages, volumes, certificates and the Docker engine are as they should be, so that what would
    keep them is only run where something is to be done.
options:
  packages:
    description: Debian packages.
    type: list
    elements: str
    default: []
  volumes:
    description: Names of volumes, each of which is to be mounted at C(/mnt/NAME).
    type: list
    elements: str
    default: []
  device:
    description: What comes before a volume's name in its device's path.
    type: str
    default: ""
  authority:
    description: Folder of an authority (C(ca.key), C(ca.pem)).
    type: path
  days:
    description: For how many days from now a certificate has to hold.
    type: int
    default: 30
attributes:
  check_mode:
    description: Can run in check mode and return changed status without changing anything.
    support: full
author:
  - Berth contributors (@berth)
"""

EXAMPLES = r"""
- name: Look at the machine
  machine_info:
    packages: [nftables]
    volumes: [data]
    device: /dev/disk/by-id/scsi-0DO_Volume_app-data-1-
  register: machine_found
"""

RETURN = r"""
distribution:
  description: Name of the system as in C(/etc/os-release), such as C(debian).
  type: str
  returned: success
container:
  description: Whether the machine is itself a container, whose kernel is another's.
  type: bool
  returned: success
packages:
  description: Packages that are not installed.
  type: list
  elements: str
  returned: success
volumes:
  description: Volumes that are not mounted where they should be, now or after a restart.
  type: list
  elements: str
  returned: success
engine:
  description: Whether a Docker engine with Compose and Buildx answers, and starts with the machine.
  type: bool
  returned: success
authority:
  description: Whether the authority is there, and holds long enough.
  type: bool
  returned: success
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule


def system() -> str:
    """The name of the system that os-release tells, or the empty string."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            told = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except FileNotFoundError:
        return ""
    return told.get("ID", "").strip("\"'")


def lacking(run: Any, packages: list[str]) -> list[str]:
    """Which packages are not installed."""
    if not packages:
        return []
    _code, out, _err = run(["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n", *packages])
    there = {line.split()[1] for line in out.splitlines() if line.startswith("installed ")}
    return [each for each in packages if each not in there]


def mounts(path: str) -> dict[str, str]:
    """What a table of mounts (fstab, /proc/mounts) mounts, by folder; devices by their real names."""
    found = {}
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                words = line.split()
                if len(words) > 1 and not words[0].startswith("#"):
                    found[words[1]] = os.path.realpath(words[0])
    except FileNotFoundError:
        pass
    return found


def unmounted(names: list[str], prefix: str) -> list[str]:
    """Which volumes are not mounted, or would not be after a restart."""
    tables = (mounts("/proc/mounts"), mounts("/etc/fstab")) if names else ()
    return [name for name in names if any(table.get(f"/mnt/{name}") != os.path.realpath(prefix + name) for table in tables)]


def main() -> None:
    """Run the module as Ansible calls it."""
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "device": {"type": "str", "default": ""},
            "authority": {"type": "path"},
            "days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params

    def succeeds(*words: str) -> bool:
        return module.get_bin_path(words[0]) is not None and module.run_command(list(words))[0] == 0

    def plugins() -> set[str]:
        """What extends the engine's client; none where the engine does not answer."""
        if module.get_bin_path("docker") is None:
            return set()
        code, out, _err = module.run_command(["docker", "info", "--format", "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}"])
        return set(out.split()) if code == 0 else set()

    folder = params["authority"]
    module.exit_json(
        distribution=system(),
        container=succeeds("systemd-detect-virt", "--container", "--quiet"),
        packages=lacking(module.run_command, params["packages"]) if module.get_bin_path("dpkg-query") else params["packages"],
        volumes=unmounted(params["volumes"], params["device"]),
        engine=plugins() >= {"compose", "buildx"} and succeeds("systemctl", "--quiet", "is-enabled", "docker"),
        authority=bool(folder)
        and os.path.isfile(f"{folder}/ca.key")
        and succeeds("openssl", "x509", "-in", f"{folder}/ca.pem", "-noout", "-checkend", str(params["days"] * 86400)),
    )


if __name__ == "__main__":
    main()
