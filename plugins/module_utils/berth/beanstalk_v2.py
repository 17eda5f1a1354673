# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Beanstalk's and ECS's rules for a Dockerrun.aws.json of version 2, beyond what botocore's model of ECS says of single values."""

from __future__ import annotations

import re

from . import ecs_model
from .containers import LEAST_MEMORY
from .findings import PLACEHOLDER, Report, check_image
from .problems import closest, suggestion
from .tolerant_json import Node

LOGS = "awseb-logs-"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")


def check(node: Node, report: Report) -> None:
    """Report every mistake in a document of version 2."""
    definitions = containers_of(node)
    volumes = _volumes(node, report)
    _authentication(node, report)
    if definitions is None:
        report.error(node.line, "containerDefinitions is missing; version 2 runs the containers that it lists")
        return
    if definitions.kind != "array":
        if definitions.kind != "bare":
            report.error(definitions.line, "containerDefinitions has to be a list, in square brackets")
        return
    containers = [each for each in definitions.items() if each.kind == "object"]
    for index, each in enumerate(definitions.items()):
        ecs_model.check(each, ecs_model.shape("containerDefinitions"), _label(index, each), report.error, report.warn)
    if not definitions.items():
        report.error(definitions.line, "containerDefinitions is empty; name at least one container")
    names = _names(definitions, report)
    mounted: set[str] = set()
    for index, container in enumerate(containers):
        label = _label(index, container)
        _image(container, label, report)
        _memory(container, label, report)
        _environment(container, label, report)
        _links(container, label, names, report)
        mounted |= _mounts(container, label, names, volumes, report)
    _cycles(containers, report)
    _host_ports(containers, report)
    _essential(definitions, containers, report)
    for name, volume in volumes.items():
        if name not in mounted and not name.startswith(LOGS):
            report.warn(volume.line, f"volume {name!r} is declared, and no container mounts it")


def containers_of(node: Node) -> Node | None:
    """The list of containers, also where its key is misspelt: one mistake is not to hide the others."""
    meant = [value for key, value in node.pairs() if closest(key.value, ["containerDefinitions"])]
    return node.get("containerDefinitions") or (meant[0] if meant else None)


def _label(index: int, container: Node) -> str:
    name = container.get("name")
    return f"containerDefinitions[{index}]" + (f" ({name.value})" if name and name.kind == "string" and name.value else "")


def _text(node: Node | None) -> str | None:
    return node.value if node is not None and node.kind == "string" else None


def _misspelt(container: Node, word: str) -> bool:
    """Whether another key was probably meant to be ``word``: then the unknown key is the mistake, and says so."""
    return any(key.value != word and closest(key.value, [word]) for key, _value in container.pairs())


def _names(definitions: Node, report: Report) -> set[str]:
    names: set[str] = set()
    for index, container in enumerate(definitions.items()):
        if container.kind != "object":
            continue
        given = container.get("name")
        name = _text(given)
        if given is None or (given.kind == "string" and not name):
            if not _misspelt(container, "name"):
                report.error((given or container).line, f"containerDefinitions[{index}] has no name")
        elif name is not None:
            if name in names:
                report.error(given.line, f"a second container is called {name!r}; names have to be unique")
            if not _NAME.fullmatch(name) and not PLACEHOLDER.search(name):
                report.error(given.line, f"the name {name!r} is refused by ECS: letters, digits, hyphens and underscores, 255 at most")
            names.add(name)
    return names


def _image(container: Node, label: str, report: Report) -> None:
    given = container.get("image")
    if given is None:
        if not _misspelt(container, "image"):
            report.error(container.line, f"{label} has no image")
    elif given.kind == "string" and not given.value.strip():
        report.error(given.line, f"{label}.image is empty")
    elif given.kind == "string":
        check_image(given, f"{label}.image", report)
    elif given.kind == "null":
        report.error(given.line, f"{label} has no image")


def _memory(container: Node, label: str, report: Report) -> None:
    sizes = {word: container.get(word) for word in ("memory", "memoryReservation")}
    given = {word: node for word, node in sizes.items() if node is not None and node.kind != "null"}
    if not given:
        if not (_misspelt(container, "memory") or _misspelt(container, "memoryReservation")):
            report.error(container.line, f"{label} has neither memory nor memoryReservation (MiB), and ECS asks for one of them")
        return
    numbers = {word: node.value for word, node in given.items() if node.kind == "number" and isinstance(node.value, int)}
    for word, value in numbers.items():
        if value < LEAST_MEMORY:
            report.error(given[word].line, f"{label}.{word} is {value} MiB, and ECS takes no less than {LEAST_MEMORY}")
    if len(numbers) == 2 and numbers["memoryReservation"] > numbers["memory"]:
        report.error(given["memoryReservation"].line, f"{label}.memoryReservation is above its memory; the limit has to be the larger")


def _environment(container: Node, label: str, report: Report) -> None:
    seen: set[str] = set()
    for list_name in ("environment", "secrets"):
        for entry in (container.get(list_name) or container).items():
            name = _text(entry.get("name"))
            if name and name in seen:
                report.warn(entry.line, f"{label} sets {name!r} twice; one of them counts")
            if entry.kind == "object" and not name and entry.get("name") is None and not _misspelt(entry, "name"):
                report.error(entry.line, f"{label}.{list_name} has an entry without a name")
            seen.add(name or "")


def _links(container: Node, label: str, names: set[str], report: Report) -> None:
    own = _text(container.get("name"))
    for link in (container.get("links") or container).items():
        target = str(_text(link) or "").split(":")[0]
        if not target or PLACEHOLDER.search(target):
            continue
        if target == own:
            report.error(link.line, f"{label} is linked to itself")
        elif target not in names:
            report.error(link.line, f"{label} is linked to {target!r}, which is no container here{suggestion(target, names)}")
    for entry in (container.get("volumesFrom") or container).items():
        target = _text(entry.get("sourceContainer")) or ""
        if target and target not in names:
            report.error(entry.line, f"{label} takes volumes from {target!r}, which is no container here{suggestion(target, names)}")


def _cycles(containers: list[Node], report: Report) -> None:
    links = {
        _text(container.get("name")) or "": [str(_text(link) or "").split(":")[0] for link in (container.get("links") or container).items()]
        for container in containers
    }
    lines = {_text(container.get("name")) or "": (container.get("links") or container).line for container in containers}
    done: set[str] = set()
    for start in links:
        path, trail = [start], [iter(links[start])]
        while trail:
            target = next(trail[-1], None)
            if target is None:
                done.add(path.pop())
                trail.pop()
            elif target in path and target != path[-1]:
                circle = " to ".join([*path[path.index(target) :], target])
                report.error(lines[path[-1]], f"links form a cycle: {circle}; ECS cannot start any of them")
            elif target in links and target not in done and target not in path:
                path.append(target)
                trail.append(iter(links[target]))


def _volumes(node: Node, report: Report) -> dict[str, Node]:
    """The declared volumes by name."""
    given = node.get("volumes")
    found: dict[str, Node] = {}
    if given is None or given.kind == "bare":
        return found
    if given.kind == "null":
        report.warn(given.line, "volumes is null; leave it out")
        return found
    if given.kind != "array":
        report.error(given.line, "volumes has to be a list, in square brackets")
        return found
    for index, volume in enumerate(given.items()):
        ecs_model.check(volume, ecs_model.shape("volumes"), f"volumes[{index}]", report.error, report.warn)
        name = _text(volume.get("name"))
        if not name:
            if volume.kind == "object" and volume.get("name") is None and not _misspelt(volume, "name"):
                report.error(volume.line, f"volumes[{index}] has no name")
            continue
        if name in found:
            report.error(volume.line, f"a second volume is called {name!r}; names have to be unique")
        found[name] = volume
        path = (volume.get("host") or volume).get("sourcePath")
        text = _text(path)
        if path is not None and text is not None and not text.startswith("/") and not PLACEHOLDER.match(text):
            meant = f"/var/app/current/{text.removeprefix('./')}".rstrip("/.")
            report.error(
                path.line,
                f"volume {name!r}: sourcePath {text!r} is not absolute; the source bundle is unpacked in /var/app/current: {meant!r}",
            )
    return found


def _mounts(container: Node, label: str, names: set[str], volumes: dict[str, Node], report: Report) -> set[str]:
    """The names of the volumes that a container mounts."""
    mounted: set[str] = set()
    for index, point in enumerate((container.get("mountPoints") or container).items()):
        given = point.get("sourceVolume")
        source = _text(given)
        if point.kind == "object" and not source and (given is None or given.kind == "string") and not _misspelt(point, "sourceVolume"):
            report.error(point.line, f"{label}.mountPoints[{index}] has no sourceVolume")
        if point.kind == "object" and not _text(point.get("containerPath")) and not _misspelt(point, "containerPath"):
            report.error(point.line, f"{label}.mountPoints[{index}] has no containerPath")
        if not source or given is None:
            continue
        mounted.add(source)
        if source in volumes:
            continue
        owner = source.removeprefix(LOGS)
        if not source.startswith(LOGS):
            report.error(given.line, f"{label} mounts the volume {source!r}, which is not declared in volumes{suggestion(source, volumes)}")
        elif owner not in names and not PLACEHOLDER.search(owner):
            report.error(given.line, f"{label} mounts {source!r}, and no container is called {owner!r}{suggestion(owner, names)}")
    return mounted


def _host_ports(containers: list[Node], report: Report) -> None:
    owners: dict[tuple[str, int], str] = {}
    for index, container in enumerate(containers):
        label = _label(index, container)
        for position, mapping in enumerate((container.get("portMappings") or container).items()):
            numbers = {word: mapping.get(word) for word in ("containerPort", "hostPort")}
            for word, node in numbers.items():
                if node is not None and node.kind == "number" and not (0 if word == "hostPort" else 1) <= node.value < 65536:
                    report.error(node.line, f"{label}.portMappings[{position}].{word} is {node.value}, and has to be a port number")
            nowhere = numbers["containerPort"] is None and mapping.get("containerPortRange") is None
            if mapping.kind == "object" and nowhere and not _misspelt(mapping, "containerPort"):
                report.error(mapping.line, f"{label}.portMappings[{position}] has no containerPort")
            host = numbers["hostPort"]
            if host is None or host.kind != "number" or not host.value:
                continue
            key = (_text(mapping.get("protocol")) or "tcp", host.value)
            if key in owners:
                report.error(host.line, f"{label} takes host port {host.value}/{key[0]}, which {owners[key]} has already")
            owners.setdefault(key, label)


def _essential(definitions: Node, containers: list[Node], report: Report) -> None:
    if containers and all((node := each.get("essential")) is not None and node.value is False for each in containers):
        report.error(definitions.line, "no container is essential; ECS asks for at least one")


def _authentication(node: Node, report: Report) -> None:
    given = node.get("authentication")
    if given is None or given.kind in ("null", "bare"):
        return
    if given.kind != "object":
        report.error(given.line, "authentication has to be an object with bucket and key")
        return
    for key, _value in given.pairs():
        if key.value not in ("bucket", "key"):
            report.error(key.line, f"authentication has an unknown key {key.value!r}{suggestion(key.value, ['bucket', 'key'])}")
    for word in ("bucket", "key"):
        if given.get(word) is None and not _misspelt(given, word):
            report.error(given.line, f"authentication has no {word}: it names the S3 object that holds the registry's credentials")
