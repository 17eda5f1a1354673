"""ECS container definitions, run as the ECS agent runs them: what a Beanstalk instance and a Fargate task do with them."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import botocore.exceptions
import docker.errors

from .. import certificates, containers, images
from . import boto

Definition = Mapping[str, Any]
_TRUST = "/etc/berth-rehearsal/ca-bundle.pem"
# How the usual runtimes are told to trust another authority. On AWS the caches' certificates are signed by a public one.
_TRUSTING = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
_SECOND = 1_000_000_000
_MIB = 1024 * 1024


class TaskError(Exception):
    """A task that does not start. The message is what ECS would say."""


class Task:
    """The containers of one task on one instance.

    ``environment``: the Beanstalk environment's properties, which every container gets; ``secrets``: likewise, by reference;
    ``bundle``: the folder that stands for /var/app/current. ``identity``: the task's id, which log streams bear.
    """

    def __init__(
        self,
        name: str,
        document: Mapping[str, Any],
        *,
        kind: str,
        owner: str,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        bundle: str | None = None,
        identity: str | None = None,
    ) -> None:
        self.name = name
        self.document = document
        self.definitions: list[Definition] = list(document["containerDefinitions"])
        self.kind, self.owner = kind, owner
        self.environment = dict(environment or {})
        self.secrets = dict(secrets or {})
        self.bundle = bundle
        self.identity = identity or uuid.uuid4().hex
        # How many of a container's lines CloudWatch has.
        self._delivered: dict[str, int] = {}

    def start(self) -> None:
        """Pull, create and start every container, those that others link to first. Raises :class:`TaskError`."""
        for definition in self.definitions:
            _pull(str(definition["image"]))
        try:
            values = {reference: boto.secret(reference) for reference in self._references()}
        except boto.SecretError as error:
            raise TaskError(str(error)) from None
        try:
            for definition in _in_link_order(self.definitions):
                self._create(definition, values).start()
        except (containers.ContainerError, docker.errors.APIError) as error:
            self.stop(0)
            raise TaskError(f"CannotStartContainerError: {getattr(error, 'explanation', None) or error}") from None

    def _references(self) -> set[str]:
        own = {entry["valueFrom"] for each in self.definitions for entry in each.get("secrets") or []}
        if (own or self.secrets) and not self.document.get("executionRoleArn"):
            raise TaskError("ResourceInitializationError: unable to pull secrets: the task has secrets and no executionRoleArn")
        return own | set(self.secrets.values())

    def _create(self, definition: Definition, values: Mapping[str, str]) -> Any:
        environment = dict.fromkeys(_TRUSTING, _TRUST)
        environment.update(self.environment)
        environment.update({name: values[reference] for name, reference in self.secrets.items()})
        environment.update({entry["name"]: entry["value"] for entry in definition.get("environment") or []})
        environment.update({entry["name"]: values[entry["valueFrom"]] for entry in definition.get("secrets") or []})
        links = [link.partition(":") for link in definition.get("links") or []]
        return containers.create(
            f"{self.name}-{definition['name']}",
            definition["image"],
            kind=self.kind,
            owner=self.owner,
            labels={
                **(definition.get("dockerLabels") or {}),
                f"{containers.LABEL}.task": self.name,
                f"{containers.LABEL}.name": definition["name"],
            },
            environment=environment,
            links=[(containers.full_name(f"{self.name}-{target}"), alias or target) for target, _colon, alias in links],
            volumes_from=[
                containers.full_name(f"{self.name}-{each['sourceContainer']}") + (":ro" if each.get("readOnly") else "")
                for each in definition.get("volumesFrom") or []
            ],
            **settings(definition, self._mounts(definition)),
        )

    def _mounts(self, definition: Definition) -> dict[str, dict[str, str]]:
        paths = self._paths()
        mounts = {str(certificates.bundle()): {"bind": _TRUST, "mode": "ro"}}
        for point in definition.get("mountPoints") or []:
            source = paths.get(point["sourceVolume"])
            if source and self.bundle and (source + "/").startswith("/var/app/current/"):
                source = self.bundle + source.removeprefix("/var/app/current")
                kind = ""
            else:
                # A folder of an instance is empty and root's at first, where a volume of Docker's would begin with what the image has there.
                source, kind = self._folder(source or point["sourceVolume"]), ",nocopy"
            mounts[source] = {"bind": point["containerPath"], "mode": ("ro" if point.get("readOnly") else "rw") + kind}
        return mounts

    def _paths(self) -> dict[str, str]:
        return {each["name"]: str((each.get("host") or {}).get("sourcePath") or "") for each in self.document.get("volumes") or []}

    def _folder(self, path: str) -> str:
        # What lives on an instance lives in a volume here: never in this machine's own folders.
        return containers.volume(f"{self.owner}-{re.sub(r'[^A-Za-z0-9]+', '-', path).strip('-')}", self.owner)

    def folders(self) -> dict[str, str]:
        """The instance's own folders that containers mount: path to the Docker volume that stands for it."""
        return {path: self._folder(path) for path in self._paths().values() if path and not path.startswith("/var/app/current")}

    def containers(self) -> dict[str, Any]:
        """Container name of the definition to container."""
        found = containers.find(self.kind, self.owner)
        return {each.labels[f"{containers.LABEL}.name"]: each for each in found if each.labels.get(f"{containers.LABEL}.task") == self.name}

    def exited(self) -> dict[str, int]:
        """The exit codes of the containers that ended; one that is gone counts as ended."""
        there = self.containers()
        ended = {name: int(each.attrs["State"]["ExitCode"]) for name, each in there.items() if each.status in ("exited", "dead")}
        return ended | {definition["name"]: 137 for definition in self.definitions if definition["name"] not in there}

    def out_of_memory(self) -> set[str]:
        """The names of the containers that were ended since they took more memory than they have."""
        return {name for name, each in self.containers().items() if each.attrs["State"].get("OOMKilled")}

    def essential(self) -> set[str]:
        """The names of the containers whose end ends the task."""
        return {definition["name"] for definition in self.definitions if definition.get("essential", True)}

    def address_of(self, port: int) -> tuple[str, int] | None:
        """The address and port behind a host port of the instance, or None where no container publishes it."""
        for definition in self.definitions:
            for mapping in definition.get("portMappings") or []:
                if mapping.get("hostPort") == port:
                    container = self.containers().get(definition["name"])
                    if container is None:
                        return None
                    address = container.attrs["NetworkSettings"]["Networks"][containers.NETWORK]["IPAddress"]
                    return (address, mapping["containerPort"]) if address else None
        return None

    def logs(self, lines: int = 100) -> dict[str, str]:
        """The last log lines of each container."""
        return {name: each.logs(tail=lines).decode(errors="replace") for name, each in sorted(self.containers().items())}

    def stop(self, grace: int | None = None) -> None:
        """Stop the containers, those that link to others first, and remove them; what they said goes to CloudWatch where that is asked for."""
        there = self.containers()
        for definition in reversed(_in_link_order(self.definitions)):
            container = there.get(definition["name"])
            if container is not None:
                with contextlib.suppress(docker.errors.APIError):
                    container.stop(timeout=int(definition.get("stopTimeout") or 30) if grace is None else grace)
                self._deliver(definition, container)
                containers.remove(container.name)

    @property
    def address(self) -> str:
        """The first container's address; empty where it does not run."""
        container = self.containers().get(self.definitions[0]["name"])
        return str(container.attrs["NetworkSettings"]["Networks"][containers.NETWORK]["IPAddress"]) if container else ""

    def deliver(self) -> None:
        """Bring what the containers have said since to CloudWatch, where that is asked for."""
        there = self.containers()
        for definition in self.definitions:
            if definition["name"] in there:
                self._deliver(definition, there[definition["name"]])

    def _deliver(self, definition: Definition, container: Any) -> None:
        logging = definition.get("logConfiguration") or {}
        options = logging.get("options") or {}
        group, region = options.get("awslogs-group"), options.get("awslogs-region") or boto.REGION
        if logging.get("logDriver") != "awslogs" or not group:
            return
        with contextlib.suppress(docker.errors.APIError, botocore.exceptions.ClientError):  # as the driver, which stops nothing
            said = [line for line in container.logs(timestamps=False).decode(errors="replace").splitlines() if line]
            known = self._delivered.get(definition["name"])
            client = boto.client("logs", region)
            stream = f"{options.get('awslogs-stream-prefix', 'ecs')}/{definition['name']}/{self.identity}"
            if known is None:
                client.create_log_stream(logGroupName=group, logStreamName=stream)
            self._delivered[definition["name"]] = len(said)
            events = [{"timestamp": int(time.time() * 1000), "message": line} for line in said[known or 0 :][-1000:]]
            if events:
                client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def _in_link_order(definitions: list[Definition]) -> list[Definition]:
    """Those that are linked to, or whose volumes others take, before those others."""
    by_name = {definition["name"]: definition for definition in definitions}
    ordered: dict[str, Definition] = {}

    def add(name: str) -> None:
        if name in ordered or name not in by_name:
            return
        for link in by_name[name].get("links") or []:
            add(link.partition(":")[0])
        for each in by_name[name].get("volumesFrom") or []:
            add(each["sourceContainer"])
        ordered[name] = by_name[name]

    for name in by_name:
        add(name)
    return list(ordered.values())


def _pull(image: str) -> None:
    """Have an image: pulled anew where it can be, since a tag may have moved; else as this machine has it, or a stand-in."""
    engine = containers.client()
    if re.match(r"(127\.0\.0\.1|localhost)(:\d+)?/", image):
        try:
            engine.images.pull(image)
        except docker.errors.APIError as error:
            raise TaskError(f"CannotPullContainerError: {image}: {error.explanation or error}") from None
        return
    try:
        images.ensure([image], say=lambda _text: None)
    except images.ImageError as error:
        raise TaskError(f"CannotPullContainerError: {str(error).splitlines()[0]}") from None


def settings(definition: Definition, mounts: Mapping[str, Any]) -> dict[str, Any]:
    """A container definition in the words of the Docker SDK, without name, image, environment and links."""
    linux = definition.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    health = definition.get("healthCheck")
    result: dict[str, Any] = {
        "entrypoint": definition.get("entryPoint"),
        "command": definition.get("command"),
        "volumes": dict(mounts),
        "mem_limit": definition["memory"] * _MIB if definition.get("memory") else None,
        "mem_reservation": definition["memoryReservation"] * _MIB if definition.get("memoryReservation") else None,
        "cpu_shares": max(2, definition["cpu"]) if definition.get("cpu") else None,
        "hostname": definition.get("hostname"),
        "user": definition.get("user"),
        "working_dir": definition.get("workingDirectory"),
        "privileged": bool(definition.get("privileged")),
        "read_only": bool(definition.get("readonlyRootFilesystem")),
        "dns": definition.get("dnsServers"),
        "stdin_open": bool(definition.get("interactive")),
        "tty": bool(definition.get("pseudoTerminal")),
        "init": linux.get("initProcessEnabled"),
        "cap_add": capabilities.get("add"),
        "cap_drop": capabilities.get("drop"),
        "shm_size": linux["sharedMemorySize"] * _MIB if linux.get("sharedMemorySize") else None,
        "tmpfs": {each["containerPath"]: f"size={each['size']}m" for each in linux.get("tmpfs") or []} or None,
        "extra_hosts": {each["hostname"]: each["ipAddress"] for each in definition.get("extraHosts") or []} or None,
        "sysctls": {each["namespace"]: each["value"] for each in definition.get("systemControls") or []} or None,
        "ulimits": [
            docker.types.Ulimit(name=each["name"], soft=each["softLimit"], hard=each["hardLimit"])
            for each in definition.get("ulimits") or []
        ]
        or None,
    }
    if health:
        result["healthcheck"] = {
            "test": health["command"],
            "interval": health.get("interval", 30) * _SECOND,
            "timeout": health.get("timeout", 5) * _SECOND,
            "retries": health.get("retries", 3),
            "start_period": health.get("startPeriod", 0) * _SECOND,
        }
    return {key: value for key, value in result.items() if value is not None}
