# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A selection of a Compose project's services as a Dockerrun.aws.json of version 2 or 1.

Source: https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/create_deploy_docker_v2config.html and
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/single-container-docker-configuration.html
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from . import accessories, containers, topology
from .beanstalk_environment import STREAM_PREFIX
from .bound_files import target_of
from .compose import Project
from .mount_kinds import GONE, taken_from
from .mounts import Mounts
from .problems import BerthError, listed
from .references import read_url
from .release_model import AUTHORITIES
from .selection import Options, Selection
from .standing import one_shots

# The order in which a reader looks for things; ECS does not mind.
_ORDER = """name image repositoryCredentials essential memory memoryReservation cpu hostname portMappings links entryPoint command
workingDirectory user environment secrets mountPoints volumesFrom healthCheck stopTimeout logConfiguration""".split()

# How Node, beside those that it has, and libpq are told of who signs what the stores show.
_TRUST = ("NODE_EXTRA_CA_CERTS", "PGSSLROOTCERT")

_SECRET = re.compile(r"(SECRET|PASSWORD|PASSWD|TOKEN|PRIVATE_KEY|API_?KEY|ACCESS_KEY)(?!.*(_FILE|_ID|_NAME|_URL|_EXPIR\w*|_TTL)$)")


def canonical(document: dict[str, Any]) -> str:
    """JSON as Berth writes it: two spaces, a newline at the end, no escapes where none are needed."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def version_2(project: Project, selection: Selection, options: Options) -> dict[str, Any]:
    """The document for Beanstalk's ECS platform, all containers of the selection in it.

    Raises :class:`BerthError` for what ECS refuses: a link cycle, a value out of its limits.
    """
    notes, services = selection.notes, selection.services
    default = {"memoryReservation": options.default_reservation} if options.default_reservation else {"memory": options.default_memory}
    mounts = Mounts(project, notes, delivered=options.delivered)
    wanted = topology.edges(services, selection.front_door, project.directory)
    links, remarks = topology.links(services, wanted)
    for remark in remarks:
        notes.advise(remark)
    for remark in accessories.on_instances(services, selection.images, selection.front_door):
        notes.advise(remark)
    one_shot = one_shots(services)
    definitions = []
    for name, service in services.items():
        definition: dict[str, Any] = {"name": name, "image": selection.images[name], "essential": name not in one_shot}
        definition.update(containers.settings(name, service, default, notes))
        if links.get(name):
            definition["links"] = links[name]
        trust = _trust(name, selection, mounts)
        _environment(definition, selection, name)
        points, tmpfs = mounts.of(name, service)
        points += trust + _files(name, service, project, mounts)
        if points:
            definition["mountPoints"] = points
        if tmpfs:
            definition.setdefault("linuxParameters", {})["tmpfs"] = tmpfs
        _volumes_from(definition, service, services, notes)
        _credentials(definition, service, options)
        if options.awslogs:
            _to_cloudwatch(definition, options.awslogs)
        definitions.append({key: definition[key] for key in [*_ORDER, *sorted(definition)] if key in definition})
    if len(one_shot) == len(services):
        first = definitions[0]
        first["essential"] = True
        notes.advise(f"{first['name']} is made essential: ECS asks for one essential container, and all of these run once")
    document: dict[str, Any] = {"AWSEBDockerrunVersion": 2}
    document.update(_role(definitions, options, notes))
    if options.authentication:
        document["authentication"] = {"bucket": options.authentication["bucket"], "key": options.authentication["key"]}
    if mounts.volumes:
        document["volumes"] = [mounts.volumes[name] for name in sorted(mounts.volumes)]
    document["containerDefinitions"] = definitions
    if notes.defaulted and options.default_reservation:
        notes.advise(
            f"no memory limit is named for {listed(notes.defaulted)}: {options.default_reservation} MiB are reserved for each, and it may take what "
            "the instance has; name one (mem_limit), so that none takes all of it"
        )
    elif notes.defaulted:
        notes.advise(
            f"no memory limit is named for {listed(notes.defaulted)}, and ECS asks for one: {options.default_memory} MiB given each (default_memory)"
        )
    reached = _on_front_port(definitions, selection.front_door, options.front_port, asked=bool(options.front_door))
    if reached:
        _behind(reached, selection)
    elif options.front_port is not None:
        raise BerthError(
            f"front_port: visitors come in on port {options.front_port}, and no service is the one that they reach; name it (app_front_door), "
            "and publish a port of it in the Compose file (ports:). Elastic Beanstalk asks there whether the app is well, so it runs none that nobody visits"
        )
    else:
        _port_80(selection)
    return document


def _trust(name: str, selection: Selection, mounts: Mounts) -> list[dict[str, Any]]:
    """The mount point of who signs what a service's stores show, which its runtime is told of where the service says nothing of that."""
    if name not in selection.trusted:
        return []
    for variable in _TRUST:
        selection.bindings[name].environment.setdefault(variable, AUTHORITIES)
    volume = mounts.text(name, "berth-authorities", selection.trusted[name])
    return [{"sourceVolume": volume, "containerPath": AUTHORITIES, "readOnly": True}]


def _files(name: str, service: Mapping[str, Any], project: Project, mounts: Mounts) -> list[dict[str, Any]]:
    """The mount points of a service's configs; what of them, and of its secrets, cannot be carried is noted."""
    points = []
    for entry in service.get("configs") or []:
        declared = (project.model.get("configs") or {}).get(entry["source"]) or {}
        path = str(declared.get("file") or "")
        if declared.get("content") is not None:
            volume: str | None = mounts.text(name, entry["source"], str(declared["content"]))
        else:
            volume = mounts.bundled(name, path) if path.startswith(project.directory + "/") else None
        if volume:
            points.append({"sourceVolume": volume, "containerPath": target_of("configs", entry), "readOnly": True})
        else:
            mounts.notes.lose(
                name, f"config {entry['source']}", "it is no file of the project; give it one (file:), or its content (content:)"
            )
    for entry in service.get("secrets") or []:
        mounts.notes.lose(
            name,
            f"secret {entry['source']}",
            "ECS hands secrets in as variables, not as files; let the app read a variable, and give it in app_env",
        )
    return points


def _to_cloudwatch(definition: dict[str, Any], awslogs: Mapping[str, str]) -> None:
    """Let CloudWatch keep what a container says, where the Compose file names no other place: instances end, and their logs with them."""
    options = {"awslogs-group": awslogs["group"], "awslogs-region": awslogs["region"], "awslogs-stream-prefix": STREAM_PREFIX}
    definition.setdefault("logConfiguration", {"logDriver": "awslogs", "options": options})


def _on_front_port(definitions: list[dict[str, Any]], door: str | None, wanted: int | None, *, asked: bool) -> str | None:
    """Publish the front door on the port where visitors come from, unless a container is there already. Returns the one that is, or None.

    ``asked``: the front door was named, so that it takes the place of another one.
    """
    mappings: dict[str, list[dict[str, Any]]] = {each["name"]: each.get("portMappings", []) for each in definitions}
    there = [name for name, each in mappings.items() if any(mapping.get("hostPort") == wanted for mapping in each)]
    if wanted is None:
        return None
    if there and (not asked or door in there):
        return there[0]
    own = [mapping for mapping in mappings.get(door or "", []) if mapping.get("hostPort") and mapping.get("protocol") != "udp"]
    if not own:
        return None
    for name in there:
        mappings[name][:] = [mapping for mapping in mappings[name] if mapping.get("hostPort") != wanted]
    # Of several, the one that speaks HTTP: containers listen on 80 for it, and on a higher port for TLS or for their keeper.
    min(own, key=lambda mapping: (mapping["containerPort"] != wanted, mapping["containerPort"]))["hostPort"] = wanted
    return door


def _behind(reached: str, selection: Selection) -> None:
    """Tell of services that publish a port, and of whom visitors know nothing. ``reached``: the one that they are led to."""
    keep = accessories.kept(selection.services, selection.images, (), selection.front_door)
    for name in sorted(selection.services.keys() - keep.keys() - {reached}):
        if ports := topology.published(selection.services[name]):
            selection.notes.advise(
                f"{name}: nobody outside reaches port {listed(map(str, ports))}, since visitors are led to {reached} alone"
            )


def _has_password(value: str) -> bool:
    url = read_url(value)
    return bool(url and url.password)


def _environment(definition: dict[str, Any], selection: Selection, name: str) -> None:
    bindings = selection.bindings[name]
    exposed = sorted(key for key, value in bindings.environment.items() if value and (_SECRET.search(key.upper()) or _has_password(value)))
    if exposed:
        selection.notes.advise(f"{name}: {listed(exposed)} would be readable in the file; better set as an environment secret")
    if bindings.environment:
        definition["environment"] = [{"name": key, "value": value} for key, value in sorted(bindings.environment.items())]
    if bindings.secrets:
        definition["secrets"] = [{"name": key, "valueFrom": value} for key, value in sorted(bindings.secrets.items())]


def _volumes_from(definition: dict[str, Any], service: dict[str, Any], services: dict[str, Any], notes: Any) -> None:
    found = []
    for entry, source in taken_from(service).items():
        if source not in services:
            notes.lose(definition["name"], f"volumes_from {entry}", GONE)
        else:
            found.append({"sourceContainer": source, "readOnly": True} if entry.endswith(":ro") else {"sourceContainer": source})
    if found:
        definition["volumesFrom"] = found


def _credentials(definition: dict[str, Any], service: dict[str, Any], options: Options) -> None:
    # x-aws-pull_credentials is how Docker's own ECS integration named the secret of a private registry.
    secret = service.get("x-aws-pull_credentials") or options.repository_credentials
    registry = definition["image"].split("/")[0]
    if service.get("x-aws-pull_credentials") or (secret and ".dkr.ecr." not in registry and registry != "public.ecr.aws"):
        definition["repositoryCredentials"] = {"credentialsParameter": secret}


def _role(definitions: list[dict[str, Any]], options: Options, notes: Any) -> dict[str, str]:
    needing = [each["name"] for each in definitions if "secrets" in each or "repositoryCredentials" in each]
    if options.execution_role_arn:
        return {"executionRoleArn": options.execution_role_arn}
    if needing:
        notes.advise(f"ECS reads the secrets of {listed(needing)} with executionRoleArn; give execution_role_arn")
    return {}


def _port_80(selection: Selection) -> None:
    ports = {port for service in selection.services.values() for port in topology.published(service)}
    if ports and not ports & {80, 443}:
        door = selection.front_door
        what = f"{door} publishes" if door else "the containers publish"
        numbers = ", ".join(str(port) for port in sorted(topology.published(selection.services[door]) if door else ports))
        selection.notes.advise(
            f"no container publishes port 80, where Beanstalk's load balancer looks; {what} {numbers}. Set Port of "
            "aws:elasticbeanstalk:environment:process:default, publish 80 in a production Compose file, or give front_port"
        )


_V1_CARRIED = {"image", "ports", "volumes", "command", "entrypoint", "environment"}


def version_1(project: Project, selection: Selection, options: Options) -> dict[str, Any]:
    """The document for Beanstalk's Docker platform with a single container.

    Raises :class:`BerthError` when the selection holds more than one. Version 1 has no environment: that belongs into the Beanstalk
    environment's properties, and each variable is noted as lost here.
    """
    notes = selection.notes
    if len(selection.services) != 1:
        raise BerthError(
            f"format 1 holds a single container, and {len(selection.services)} are left ({listed(selection.services)}); "
            "leave the others out with exclude, or use format 2"
        )
    ((name, service),) = selection.services.items()
    full = version_2(project, selection, options)
    definition = full["containerDefinitions"][0]
    paths = {volume["name"]: volume["host"]["sourcePath"] for volume in full.get("volumes", [])}
    ports = [
        {"ContainerPort": mapping["containerPort"], **({"HostPort": mapping["hostPort"]} if "hostPort" in mapping else {})}
        for mapping in definition.get("portMappings", [])
    ]
    if not ports:
        ports = [{"ContainerPort": int(str(port).split("/")[0].split("-")[0])} for port in service.get("expose") or []]
    if not ports:
        notes.advise(f"{name} names no port, and Beanstalk's proxy asks for one; publish or expose it")
    document: dict[str, Any] = {"AWSEBDockerrunVersion": "1", "Image": {"Name": definition["image"], "Update": "true"}}
    if options.authentication:
        document["Authentication"] = {"Bucket": options.authentication["bucket"], "Key": options.authentication["key"]}
    if ports:
        document["Ports"] = ports
    volumes, logging = [], None
    for point in definition.get("mountPoints", []):
        if point["sourceVolume"] == f"awseb-logs-{name}":
            logging = point["containerPath"]
        elif point["sourceVolume"] in paths:
            volumes.append({"HostDirectory": paths[point["sourceVolume"]], "ContainerDirectory": point["containerPath"]})
    if volumes:
        document["Volumes"] = volumes
    if logging:
        document["Logging"] = logging
    if definition.get("entryPoint"):
        document["Entrypoint"] = _shell(definition["entryPoint"])
    if definition.get("command"):
        document["Command"] = _shell(definition["command"])
    variables = [entry["name"] for key in ("environment", "secrets") for entry in definition.get(key, [])]
    if variables:
        notes.lose(name, f"environment ({', '.join(variables)})", "version 1 has none; set it as the Beanstalk environment's properties")
    carried = _V1_CARRIED | containers.ELSEWHERE - {"mem_limit", "mem_reservation", "healthcheck", "ulimits", "extra_hosts", "logging"}
    for key in sorted(key for key in service if service[key] and key not in carried and not key.startswith("x-")):
        notes.lose(name, key, "version 1 has no such setting")
    return document


def _shell(words: list[str]) -> str:
    return shlex.join(words)
