"""The rehearsal's server process: started in the background, found again, and taken away with all that it made."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from . import certificates, containers, images, state
from .aws import boto
from .digitalocean import api, balancers, machines, registry, spaces, volumes

_START_SECONDS = 60
# What the resources of an AWS account run on here.
_IMAGES = ("postgres:17", "valkey/valkey:8", "registry:2")
# What Berth's roles run on droplets, beside the app.
_ON_DROPLETS = ("postgres:17.7", "redis:8.2.2", "caddy:2.10.2", "haproxy:3.2.4")


class ServerError(Exception):
    """What keeps the rehearsal from running. The message is shown to the user as it is."""


def endpoint() -> str | None:
    """Where a running server answers, or None."""
    found = state.read(state.SERVER)
    if not found or not _is_ours(int(found["pid"])):
        return None
    return str(found["endpoint"]) if _answers(str(found["endpoint"])) else None


def environment() -> dict[str, str]:
    """What leads the clouds' clients to the rehearsal. Raises :class:`ServerError` when it does not run."""
    where = endpoint()
    if where is None:
        raise ServerError("the rehearsal does not run; python -m rehearsal up starts it")
    found = state.read(state.SERVER) or {}
    return {
        **boto.CREDENTIALS,
        **spaces.environment(int(found["spaces"])),
        "AWS_ENDPOINT_URL": where,
        "AWS_DEFAULT_REGION": boto.REGION,
        "AWS_REGION": boto.REGION,
        # No other credentials or settings of this machine's user may come between.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "DIGITALOCEAN_TOKEN": api.TOKEN,
        "DIGITALOCEAN_API_URL": str(found["digitalocean"]),
        "REQUESTS_CA_BUNDLE": str(certificates.bundle()),
        "BERTH_RDS_AUTHORITIES": str(certificates.authority(certificates.RDS)),
        "BERTH_RELAY_FROM": f"{containers.gateway()}/32",
        "BERTH_SSH_KEY": str(state.FOLDER / "ssh" / "id_ed25519"),
        "BERTH_KNOWN_HOSTS": str(state.FOLDER / "ssh" / "known_hosts"),
    }


def prepare(wanted: Sequence[str] = (*_IMAGES, *_ON_DROPLETS)) -> list[str]:
    """Have base images, by default all that the rehearsals of both clouds begin with, and what droplets and load balancers are made of.

    Returns those that are stand-ins. Raises :class:`images.ImageError`.
    """
    stand_ins = images.ensure(wanted, lambda text: print(f"  {text}", flush=True))
    machines.image()
    balancers.image()
    return stand_ins


def up() -> list[str]:
    """Start the server, unless it runs. Returns the images that are stand-ins. Raises :class:`ServerError`."""
    stand_ins = images.ensure(_IMAGES, lambda text: print(f"  {text}", flush=True))
    if endpoint():
        return stand_ins
    # What an earlier server made is of no use without its memory.
    containers.take_away()
    containers.network()
    certificates.bundle()
    ports = [_free_port() for _each in range(3)]
    log = state.folder() / state.LOG
    with log.open("ab") as output:
        command = [sys.executable, "-m", "rehearsal.serve", *map(str, ports)]
        process = subprocess.Popen(
            command, cwd=state.ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=_environment()
        )
    where = f"http://127.0.0.1:{ports[0]}"
    state.write(state.SERVER, {"pid": process.pid, "endpoint": where, "digitalocean": f"https://localhost:{ports[1]}", "spaces": ports[2]})
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if _answers(where):
            return stand_ins
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise ServerError(f"the rehearsal's server does not start; its log is {log}")


def digitalocean(wanted: Sequence[str] = ()) -> list[str]:
    """Start the server, and have what droplets need: their image, registries that offer ``wanted`` images, an SSH key.

    Returns the images that are stand-ins. Raises :class:`ServerError` and :class:`images.ImageError`.
    """
    offered = [*_ON_DROPLETS, *wanted]
    stand_ins = prepare(offered)
    up()
    registry.start()
    registry.offer(offered)
    key = state.folder("ssh") / "id_ed25519"
    if not key.is_file():
        if shutil.which("ssh-keygen") is None:
            raise ServerError("droplets are reached by SSH, and there is no ssh on this machine: apt-get install openssh-client")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "rehearsal", "-f", str(key)], check=True)
    return stand_ins


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environment() -> dict[str, str]:
    hidden = ("AWS_", "DIGITALOCEAN_", "BERTH_REHEARSAL_ENDPOINT")
    return {key: value for key, value in os.environ.items() if not key.startswith(hidden)} | {"PYTHONUNBUFFERED": "1"}


def _answers(where: str) -> bool:
    try:
        with urllib.request.urlopen(f"{where}/moto-api/config", timeout=10):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _is_ours(pid: int) -> bool:
    try:
        return b"rehearsal.serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def down(path: Path = state.FOLDER) -> bool:
    """Stop the server and take away all that it made, also what an earlier one left. Returns whether there was anything.

    ``path``: the rehearsal's folder; that of users or that of tests.
    """
    found = state.read(state.SERVER, path)
    there = False
    if found and _is_ours(int(found["pid"])):
        there = True
        os.kill(int(found["pid"]), signal.SIGKILL)
    there = bool(containers.take_away(state.name_of(path))) or there
    volumes.give_back(path)
    shutil.rmtree(path, ignore_errors=True)
    return there
