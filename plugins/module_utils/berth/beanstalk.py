# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Elastic Beanstalk would make of a Dockerrun.aws.json: its containers, and every mistake with its line.

An error is what Beanstalk or ECS refuses, or what cannot work; a warning is what works, and deserves a look. Sources:
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/create_deploy_docker_v2config.html (version 2),
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/single-container-docker-configuration.html (versions 1 and 3) and botocore's
model of ECS.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import beanstalk_v2
from .findings import PLACEHOLDER, Finding, Report, check_image
from .problems import closest, suggestion
from .tolerant_json import Node, parse, plain

MOST_BYTES = 1024 * 1024
VERSION_KEY = "AWSEBDockerrunVersion"
TOP_KEYS = {
    1: {VERSION_KEY, "Authentication", "Image", "Ports", "Volumes", "Logging", "Entrypoint", "Command"},
    2: {VERSION_KEY, "authentication", "executionRoleArn", "volumes", "containerDefinitions"},
    3: {VERSION_KEY, "Authentication"},
}


class Inspection(NamedTuple):
    """What a Dockerrun.aws.json says.

    ``version``: 1, 2, 3, or None where it cannot be made out. ``containers``: {name, image, essential, memory, ports} each, memory in
    MiB or None, ports {host, container, protocol}. ``syntax``: how many of the errors are errors of JSON.
    """

    version: int | None
    containers: list[dict[str, Any]]
    errors: list[Finding]
    warnings: list[Finding]
    syntax: int


def inspect(text: str) -> Inspection:
    """Inspect the text of a Dockerrun.aws.json, of any version."""
    report = Report()
    node, faults = parse(text)
    for fault in faults:
        report.error(*fault)
    if node is None:
        report.error(1, "the file is empty; a Dockerrun.aws.json is a JSON object with AWSEBDockerrunVersion")
    if node is None or node.kind != "object":
        if node is not None and not faults:
            report.error(node.line, "a Dockerrun.aws.json is a JSON object, in braces, with AWSEBDockerrunVersion")
        return Inspection(None, [], report.errors, report.warnings, len(faults) or 1)
    version = _version(node, report)
    _top_keys(node, version, report)
    containers: list[dict[str, Any]] = []
    if version == 2:
        beanstalk_v2.check(node, report)
        containers = [_container(each) for each in (beanstalk_v2.containers_of(node) or node).items()]
    elif version == 1:
        containers = _version_1(node, report)
    elif version == 3:
        _credentials(node.get("Authentication"), "Authentication", report)
    ordered = sorted(report.errors), sorted(report.warnings)
    return Inspection(version, containers, *ordered, len(faults))


def _version(node: Node, report: Report) -> int | None:
    """The version a file declares; where it declares none, the one that its keys speak of."""
    names = {key.value: key for key, _value in node.pairs()}
    declared = node.get(VERSION_KEY)
    if declared is not None:
        value = declared.value
        if str(value).strip() in ("1", "2", "3") and declared.kind in ("string", "number"):
            return int(value)
        if declared.kind != "bare":
            report.error(declared.line, f"{VERSION_KEY} is {plain(declared)!r}; Beanstalk knows 1, 2 and 3")
    else:
        meant = next((name for name in names if closest(name, [VERSION_KEY])), None)
        if meant:
            report.error(names[meant].line, f"unknown key {meant!r}; did you mean {VERSION_KEY!r}?")
            value = str(plain(node.get(meant) or node)).strip()
            if value in ("1", "2", "3"):
                return int(value)
        else:
            report.error(node.line, f"{VERSION_KEY} is missing; Beanstalk cannot tell the file's version without it")
    if any(closest(name, ["containerDefinitions"]) for name in names):
        return 2
    return 1 if {"Image", "Ports"} & set(names) else None


def _top_keys(node: Node, version: int | None, report: Report) -> None:
    if version is None:
        return
    known, seen = TOP_KEYS[version], set()
    present = {key.value for key, _value in node.pairs()}
    for key, _value in node.pairs():
        name = key.value
        if name in seen:
            report.warn(key.line, f"{name!r} stands there twice; the last one counts")
        seen.add(name)
        if name in known or closest(name, [VERSION_KEY]) or name.startswith(("_", "$", "#")):
            continue
        meant = closest(name, known - present)
        if meant:
            report.error(key.line, f"unknown key {name!r}; did you mean {meant!r}?")
        elif name == "containerDefinitions":
            report.error(key.line, f"containerDefinitions belongs to version 2, and the file says {version}; set {VERSION_KEY} to 2")
        elif version == 3 and name in TOP_KEYS[1] | TOP_KEYS[2]:
            report.warn(
                key.line, f"{name!r} belongs to another version; in version 3 the docker-compose.yml says it, and Beanstalk ignores it here"
            )
        else:
            # What it asks for does not happen, and nothing else says so.
            other = next((each for each in (1, 2) if name in TOP_KEYS[each]), None)
            where = f"a key of version {other}" if other else "no key of Beanstalk's"
            report.error(key.line, f"{name!r} is {where}, and has no effect in version {version}; remove it")


def _container(node: Node) -> dict[str, Any]:
    value = plain(node)
    if not isinstance(value, dict):
        value = {}
    mappings = value.get("portMappings")
    ports = [
        {"host": port.get("hostPort") or None, "container": port.get("containerPort"), "protocol": port.get("protocol") or "tcp"}
        for port in (mappings if isinstance(mappings, list) else [])
        if isinstance(port, dict)
    ]
    return {
        "name": value.get("name"),
        "image": value.get("image"),
        "essential": value.get("essential", True) is not False,
        "memory": value.get("memory") or value.get("memoryReservation"),
        "ports": ports,
    }


_V1_INNER = {"Image": {"Name", "Update"}, "Ports": {"ContainerPort", "HostPort"}, "Volumes": {"HostDirectory", "ContainerDirectory"}}


def _version_1(node: Node, report: Report) -> list[dict[str, Any]]:
    image = node.get("Image")
    name = None
    if image is not None and _expect(image, "object", "Image", report):
        _inner_keys(image, "Image", report)
        given = image.get("Name")
        if given is None or given.kind != "string" or not given.value.strip():
            report.error((given or image).line, "Image has no Name; name the image, or leave Image out where a Dockerfile lies beside")
        else:
            name = given.value
            check_image(given, "Image.Name", report)
    ports = []
    given = node.get("Ports")
    if given is not None and _expect(given, "array", "Ports", report):
        for index, port in enumerate(given.items()):
            if _expect(port, "object", f"Ports[{index}]", report):
                _inner_keys(port, f"Ports[{index}]", report)
                ports.append(
                    {
                        "host": _port(port, "HostPort", index, report),
                        "container": _port(port, "ContainerPort", index, report),
                        "protocol": "tcp",
                    }
                )
                if port.get("ContainerPort") is None and not any(closest(key.value, ["ContainerPort"]) for key, _value in port.pairs()):
                    report.error(port.line, f"Ports[{index}] has no ContainerPort")
    elif given is None and name and not any(closest(key.value, ["Ports"]) for key, _value in node.pairs()):
        report.warn(node.line, "Ports is missing, and Beanstalk asks for it beside Image; its proxy falls back to what the image exposes")
    volumes = node.get("Volumes")
    if volumes is not None and _expect(volumes, "array", "Volumes", report):
        for index, volume in enumerate(volumes.items()):
            if _expect(volume, "object", f"Volumes[{index}]", report):
                _inner_keys(volume, f"Volumes[{index}]", report)
    for word in ("Logging", "Entrypoint", "Command"):
        value = node.get(word)
        if value is not None:
            _expect(value, "string", word, report)
    _credentials(node.get("Authentication"), "Authentication", report)
    return [{"name": None, "image": name, "essential": True, "memory": None, "ports": ports}]


def _expect(node: Node, kind: str, path: str, report: Report) -> bool:
    if node.kind == kind:
        return True
    if node.kind == "null":
        report.warn(node.line, f"{path} is null; leave it out")
    elif node.kind != "bare":
        word = {"object": "an object, in braces", "array": "a list, in square brackets", "string": "a text, in double quotes"}[kind]
        report.error(node.line, f"{path} has to be {word}")
    return False


def _inner_keys(node: Node, path: str, report: Report) -> None:
    known = _V1_INNER[path.split("[")[0]]
    for key, _value in node.pairs():
        if key.value not in known:
            report.error(key.line, f"{path} has an unknown key {key.value!r}{suggestion(key.value, known)}")


def _port(node: Node, key: str, index: int, report: Report) -> int | None:
    value = node.get(key)
    if value is None or value.kind in ("null", "bare"):
        return None
    text = str(value.value).strip() if value.kind in ("string", "number") else ""
    if text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    if PLACEHOLDER.search(text):
        report.warn(value.line, f"Ports[{index}].{key} is a placeholder left to fill: {text!r}")
    else:
        report.error(value.line, f"Ports[{index}].{key} is {plain(value)!r}, and has to be a port number")
    return None


def _credentials(node: Node | None, path: str, report: Report) -> None:
    if node is None or not _expect(node, "object", path, report):
        return
    present = {key.value.lower(): key for key, _value in node.pairs()}
    if not present:
        report.warn(node.line, f"{path} is empty, and has no effect")
        return
    for word in ("bucket", "key"):
        if word not in present:
            report.error(node.line, f"{path} has no {word}: it names the S3 object that holds the registry's credentials")
    for name, key in present.items():
        if name not in ("bucket", "key"):
            report.error(key.line, f"{path} has an unknown key {key.value!r}{suggestion(key.value, ['bucket', 'key'])}")
