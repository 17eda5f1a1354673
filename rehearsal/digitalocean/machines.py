"""The machine behind a droplet: a container with systemd, sshd and an engine of its own, on the public network and in its VPC."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from .. import containers, images
from . import registry

IMAGE = "berth/droplet"
_FOLDER = Path(__file__).parent / "droplet"
_SSH_SECONDS = 90
# What lets systemd and an engine run in a container, without the one right that not every machine can give.
_RIGHTS = (
    *("--cgroupns", "private", "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined"),
    *("--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined", "--device-cgroup-rule", "b 7:* rmw"),
    *("--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/run/lock", "--env", "container=docker"),
    *("--env", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "--restart", "unless-stopped"),
)
_SOCKET = "[Unit]\nDescription=Registry {name}\n[Socket]\nListenStream={port}\n"
_PROXY = "[Unit]\nDescription=Registry {name}\n[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd {address}:5000\n"


def image() -> None:
    """Have the droplets' image, built where it is missing. Raises :class:`images.ImageError`."""
    images.build(IMAGE, _FOLDER)


def name_of(number: int) -> str:
    """A droplet's container on the engine."""
    return containers.full_name(f"droplet-{number}")


def of(number: int) -> Any:
    """A droplet's container."""
    return containers.client().containers.get(name_of(number))


def create(droplet: dict[str, Any], keys: list[str], user_data: str, vpc_network: str) -> None:
    """Make and start a droplet's machine, with what cloud-init would bring into it."""
    public, private = (
        next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == kind) for kind in ("public", "private")
    )
    number = int(droplet["id"])
    labels = containers.labels("droplet", str(number))
    words = ["docker", "create", "--name", name_of(number), "--hostname", droplet["name"], *_RIGHTS]
    for key, value in labels.items():
        words += ["--label", f"{key}={value}"]
    words += ["--memory", f"{droplet['memory']}m", "--network", containers.NETWORK, "--ip", public, IMAGE]
    containers.remove(name_of(number))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise containers.ContainerError(done.stderr.strip())
    containers.client().networks.get(vpc_network).connect(name_of(number), ipv4_address=private)
    files = {"root/.ssh/authorized_keys": ("".join(f"{key}\n" for key in keys).encode(), 0o600, 0)}
    files["etc/rehearsal/firewall.nft"] = (b"", 0o600, 0)
    files["etc/rehearsal/volumes"] = (b"", 0o600, 0)
    if user_data:
        files["etc/rehearsal/user-data"] = (user_data.encode(), 0o700, 0)
    for name, (port, address) in registry.forwards().items():
        unit = f"etc/systemd/system/rehearsed-{name}"
        files[f"{unit}.socket"] = (_SOCKET.format(name=name, port=f"127.0.0.1:{port}").encode(), 0o644, 0)
        files[f"{unit}.service"] = (_PROXY.format(name=name, address=address).encode(), 0o644, 0)
        if name == "mirror":
            files["etc/default/docker"] = (f'DOCKER_OPTS="--registry-mirror=http://127.0.0.1:{port}"\n'.encode(), 0o644, 0)
    container = of(number)
    containers.put(container, files)
    # sshd asks that nobody else can write to what leads to the keys.
    container.start()
    containers.run_in(container, ["chmod", "700", "/root/.ssh"])
    wait(public)


def wait(address: str) -> None:
    """Wait until a machine's sshd answers."""
    containers.wait_until(lambda: _greets(address), _SSH_SECONDS, f"{address} does not answer SSH")


def _greets(address: str) -> bool:
    with socket.create_connection((address, 22), timeout=2) as connection:
        return connection.recv(4) == b"SSH-"


def power(number: int, *, on: bool, hard: bool = False) -> None:
    """Start or stop a machine; ``hard`` pulls the plug."""
    container = of(number)
    if on:
        container.start()
    elif hard:
        container.kill()
        container.wait(timeout=30)
    else:
        container.stop(timeout=60)


def resize(number: int, memory: int) -> None:
    """Give a stopped machine another size of memory, in MiB."""
    of(number).update(mem_limit=f"{memory}m", memswap_limit=f"{memory * 2}m")


def attach(number: int, device: str, loop: str, name: str) -> None:
    """Let a machine see a block device, now and after each start."""
    container = of(number)
    minor = loop.removeprefix("/dev/loop")
    script = f"echo '{device} {minor} {name}' >> /etc/rehearsal/volumes; /usr/local/sbin/boot.sh"
    containers.run_in(container, ["sh", "-c", script])


def detach(number: int, device: str, name: str) -> None:
    """Take a block device away from a machine, mounted or not, as pulling it would."""
    script = (
        f"sed -i '/^{device} /d' /etc/rehearsal/volumes; for where in $(awk '$1 == \"/dev/{device}\" {{ print $2 }}' /proc/mounts); "
        f'do umount "$where" || umount --lazy "$where"; done; rm -f /dev/{device} /dev/disk/by-id/scsi-0DO_Volume_{name}'
    )
    container = of(number)
    if container.status == "running":
        containers.run_in(container, ["sh", "-c", script])


def filter_with(number: int, rules: str) -> None:
    """Let a machine's packets be filtered so, now and after each start."""
    container = of(number)
    containers.put(container, {"etc/rehearsal/firewall.nft": (rules.encode(), 0o600, 0)})
    if container.status == "running":
        containers.run_in(container, ["nft", "--file", "/etc/rehearsal/firewall.nft"])


def answer_to(number: int, address: str, *, yes: bool) -> None:
    """Let a machine have a further public address, or have it no more, now and after each start."""
    kept = f"echo {address} >> /etc/rehearsal/addresses" if yes else f"sed -i '/^{address}$/d' /etc/rehearsal/addresses"
    script = f"{kept}; ip address {'add' if yes else 'delete'} {address}/32 dev eth0"
    containers.run_in(of(number), ["sh", "-c", script])


def remove(number: int) -> None:
    """Take a machine away, with its own disk."""
    containers.remove(name_of(number))
