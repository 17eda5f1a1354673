"""The containers that the rehearsal's clouds are made of: labelled, on a network of their own, at fixed addresses."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import docker
import docker.errors
from docker.types import IPAMConfig, IPAMPool

from . import state

LABEL = "org.berth.rehearsal"
NETWORK = state.NAME
_SUBNETS = (*(f"10.{second}.0.0/16" for second in range(213, 233)), "192.168.240.0/20")
_OF = f"{LABEL}.of"
_OWNER = f"{LABEL}.owner"
_lock = threading.Lock()
_taken: set[str] = set()


class ContainerError(Exception):
    """A container that does not do what the rehearsal needs of it."""


def client() -> Any:
    """The engine of this machine."""
    return docker.from_env(timeout=120)


def labels(kind: str, owner: str | None = None) -> dict[str, str]:
    """What marks a container, volume or network as this rehearsal's. ``owner``: of which resource of a cloud it is."""
    return {LABEL: kind, _OF: state.NAME} | ({} if owner is None else {_OWNER: owner})


def network() -> Any:
    """The rehearsal's network, made where it is missing. Its lower half is for fixed addresses."""
    engine = client()
    try:
        return engine.networks.get(NETWORK)
    except docker.errors.NotFound:
        pass
    problem: Exception | None = None
    for subnet in _SUBNETS:
        lower, upper = ipaddress.IPv4Network(subnet).subnets()
        pool = IPAMPool(subnet=subnet, iprange=str(upper), gateway=str(next(lower.hosts())))
        try:
            return engine.networks.create(NETWORK, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=labels("network"))
        except docker.errors.APIError as error:  # another network has the subnet
            problem = error
    raise ContainerError(f"no network for the rehearsal: {', '.join(_SUBNETS)} are all in use ({problem})")


def free_address() -> str:
    """An address of the network that no container has or is promised."""
    attributes = network().attrs["IPAM"]["Config"][0]
    lower = next(ipaddress.IPv4Network(attributes["Subnet"]).subnets())
    with _lock:
        engine = client()
        used = set(_taken)
        for container in engine.containers.list(all=True, filters={"network": NETWORK}):
            settings = container.attrs["NetworkSettings"]["Networks"].get(NETWORK) or {}
            used.add(settings.get("IPAddress") or "")
            used.add((settings.get("IPAMConfig") or {}).get("IPv4Address") or "")
        for address in list(lower.hosts())[9:]:
            if str(address) not in used:
                _taken.add(str(address))
                return str(address)
    raise ContainerError("no free address is left in the rehearsal's network")


def gateway() -> str:
    """The address by which containers of the network reach this machine."""
    return str(network().attrs["IPAM"]["Config"][0]["Gateway"])


def create(
    name: str,
    image: str,
    *,
    kind: str,
    owner: str,
    address: str | None = None,
    files: Mapping[str, tuple[bytes, int, int]] | None = None,
    aliases: list[str] | None = None,
    links: list[tuple[str, str]] | None = None,
    **settings: Any,
) -> Any:
    """Create a container, not yet started; its full name starts with the rehearsal's own.

    ``kind``: rds, elasticache, beanstalk, …; ``owner``: the resource it belongs to. ``files``: path in the container to content, mode
    and owner. Further ``settings`` are those of the Docker SDK.
    """
    net = network()
    engine = client()
    name = full_name(name)
    remove(name)
    endpoint = engine.api.create_endpoint_config(ipv4_address=address, aliases=aliases, links=links)
    marks = {**settings.pop("labels", {}), **labels(kind, owner)}
    try:
        container = engine.containers.create(
            image, name=name, labels=marks, network=net.name, networking_config={net.name: endpoint}, **settings
        )
    except docker.errors.ImageNotFound:
        raise ContainerError(f"image {image} is not on this machine") from None
    except docker.errors.APIError as error:
        raise ContainerError(str(error.explanation or error)) from None
    if files:
        put(container, files)
    return container


def full_name(name: str) -> str:
    """A container's or volume's name on the engine, where other rehearsals may have their own."""
    return f"{state.NAME}-{name}"


def volume(name: str, owner: str) -> str:
    """A volume of the rehearsal, made where it is missing. Returns its full name."""
    full = full_name(name)
    client().volumes.create(full, labels=labels("volume", owner))
    return full


def put(container: Any, files: Mapping[str, tuple[bytes, int, int]]) -> None:
    """Write files into a container: path to content, mode and owner."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        made: set[str] = set()
        for path, (content, mode, owner) in files.items():
            parts = path.strip("/").split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                folder = "/".join(parts[:depth])
                if folder not in made and folder not in ("etc", "var", "usr"):
                    entry = tarfile.TarInfo(folder)
                    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, int(time.time())
                    tar.addfile(entry)
                    made.add(folder)
            entry = tarfile.TarInfo(path.strip("/"))
            entry.size, entry.mode, entry.uid, entry.gid, entry.mtime = len(content), mode, owner, owner, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    container.put_archive("/", archive.getvalue())


def find(kind: str | None = None, owner: str | None = None) -> list[Any]:
    """The rehearsal's containers, running or not."""
    wanted = [f"{_OF}={state.NAME}", f"{LABEL}={kind}" if kind else LABEL] + ([f"{_OWNER}={owner}"] if owner else [])
    found: list[Any] = client().containers.list(all=True, filters={"label": wanted}, ignore_removed=True)
    return found


def remove(name: str) -> None:
    """Remove a container with its anonymous volumes, if it is there."""
    try:
        client().containers.get(name).remove(force=True, v=True)
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        if "already in progress" not in str(error):
            raise


def remove_volume(name: str) -> None:
    """Remove a volume, if it is there."""
    with contextlib.suppress(docker.errors.NotFound):
        client().volumes.get(full_name(name)).remove(force=True)


def run_in(container: Any, command: list[str], *, user: str = "", environment: dict[str, str] | None = None) -> str:
    """Run a command in a container and return its output. Raises :class:`ContainerError` with it when it fails."""
    code, output = container.exec_run(command, user=user, environment=environment or {})
    text = (output or b"").decode(errors="replace")
    if code != 0:
        raise ContainerError(f"{container.name}: {command[0]}: {text.strip()[-500:]}")
    return text


def wait_until(check: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first truthy answer of ``check``. Raises :class:`ContainerError` when there is none in time."""
    end, problem = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            answer = check()
            if answer:
                return answer
        except (ContainerError, docker.errors.APIError, OSError) as error:
            problem = f": {error}"
        time.sleep(0.2)
    raise ContainerError(f"{what} within {seconds:.0f} s{problem}")


def take_away(of: str = state.NAME) -> int:
    """Remove every container, volume and network of a rehearsal from this engine. Returns how many containers there were."""
    engine = client()
    wanted = {"label": f"{_OF}={of}"}
    found = engine.containers.list(all=True, filters=wanted, ignore_removed=True)
    for container in found:
        remove(container.name)
    for volume in engine.volumes.list(filters=wanted):
        volume.remove(force=True)
    for net in engine.networks.list(filters=wanted):
        net.remove()
    return len(found)


def take_abandoned_networks() -> int:
    """Remove networks of rehearsals that have no container left, as one whose checkout was deleted leaves them. Returns how many."""
    engine = client()
    living = {each.labels[_OF] for each in engine.containers.list(all=True, filters={"label": _OF}, ignore_removed=True)} | {state.NAME}
    taken = 0
    for each in engine.networks.list(filters={"label": _OF}):
        if each.attrs["Labels"][_OF] in living:
            continue
        with contextlib.suppress(docker.errors.APIError):  # something is attached to it, or another took it away
            each.remove()
            taken += 1
    return taken
