# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Compose service as an ECS container definition.

Source of the target's words and limits:
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from .notes import Notes
from .problems import BerthError
from .topology import is_loopback
from .units import MIB, in_bytes, mebibytes, seconds

Definition = dict[str, Any]
LEAST_MEMORY = 6  # MiB, of Docker 20.10 and later
_LOG_DRIVERS = ("json-file", "syslog", "journald", "gelf", "fluentd", "awslogs", "splunk", "awsfirelens")
_ULIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
_CAPABILITY = re.compile(r"^CAP_")
_DEVICE_RIGHTS = {"r": "read", "w": "write", "m": "mknod"}

# Carried elsewhere, or without a meaning where Beanstalk starts the containers.
ELSEWHERE = frozenset(
    """annotations attach build command configs container_name cpu_shares cpus depends_on deploy develop devices entrypoint env_file
    environment expose external_links extra_hosts gpus healthcheck image links label_file logging mem_limit mem_reservation
    memswap_limit networks platform ports profiles pull_policy restart scale secrets security_opt shm_size tmpfs ulimits volumes
    volumes_from network_mode""".split()
)
# Compose's word to ECS's, where the value stays as it is.
_SAME = {
    "hostname": "hostname",
    "user": "user",
    "working_dir": "workingDirectory",
    "privileged": "privileged",
    "read_only": "readonlyRootFilesystem",
    "dns": "dnsServers",
    "dns_search": "dnsSearchDomains",
    "stdin_open": "interactive",
    "tty": "pseudoTerminal",
    "labels": "dockerLabels",
}
_LINUX = frozenset({"init", "cap_add", "cap_drop", "mem_swappiness", "sysctls", "stop_grace_period"})


def settings(name: str, service: Mapping[str, Any], default_memory: Mapping[str, int], notes: Notes) -> Definition:
    """Everything of a definition that depends on the service alone: all but image, links, environment and mounts.

    Raises :class:`BerthError` for a value that ECS refuses. What ECS has no word for is noted as lost.
    """
    definition: Definition = memory(name, service, default_memory, notes)
    parts: list[Callable[[str, Mapping[str, Any], Notes], Definition]] = [
        _cpu,
        _ports,
        _process,
        _hosts,
        _limits,
        _health,
        _logging,
        _security,
    ]
    for part in parts:
        definition.update(part(name, service, notes))
    linux = _linux(name, service, notes)
    if linux:
        definition["linuxParameters"] = linux
    for key in sorted(service):
        if service[key] and key not in ELSEWHERE and key not in _SAME and key not in _LINUX and not key.startswith("x-"):
            notes.lose(name, key, "ECS container definitions have no such setting")
    if service.get("network_mode") not in (None, "bridge", "default"):
        notes.lose(name, f"network_mode {service['network_mode']}", "Beanstalk runs all containers on its own bridge")
    replicas = (service.get("deploy") or {}).get("replicas") or service.get("scale") or 1
    if replicas > 1:
        notes.lose(name, f"{replicas} replicas", "an instance runs one of each; let Beanstalk run more instances")
    if "arm" in str(service.get("platform") or ""):
        notes.advise(f"{name}: platform {service['platform']} needs instances of that architecture")
    return definition


def _size(name: str, setting: str, value: Any, notes: Notes) -> int:
    """A memory size in MiB; a bare number that can only be meant as MiB is taken so, and noted."""
    number = in_bytes(value)
    if 0 < number <= 4096:
        notes.lose(name, f"{setting} of {number} bytes", f"{number} MiB given; write {number}m if that is meant")
        return number
    return mebibytes(value)


def memory(name: str, service: Mapping[str, Any], default: Mapping[str, int], notes: Notes) -> Definition:
    """``memory`` and ``memoryReservation`` in MiB; ``default``, one of them, where the service names neither."""
    resources = (service.get("deploy") or {}).get("resources") or {}
    limit = service.get("mem_limit") or (resources.get("limits") or {}).get("memory")
    reservation = service.get("mem_reservation") or (resources.get("reservations") or {}).get("memory")
    result: Definition = {}
    if limit and in_bytes(limit) > 0:
        result["memory"] = _size(name, "memory limit", limit, notes)
    if reservation and in_bytes(reservation) > 0:
        result["memoryReservation"] = _size(name, "memory reservation", reservation, notes)
    if not result:
        result.update(default)
        notes.defaulted.append(name)
    for key, value in result.items():
        if value < LEAST_MEMORY:
            raise BerthError(f"services.{name}: {key} is {value} MiB; ECS takes no less than {LEAST_MEMORY} MiB")
    if result.get("memoryReservation", 0) > result.get("memory", result.get("memoryReservation", 0)):
        raise BerthError(
            f"services.{name}: the memory reservation ({result['memoryReservation']} MiB) is above the limit ({result['memory']} MiB)"
        )
    return result


def _cpu(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    resources = (service.get("deploy") or {}).get("resources") or {}
    share = (resources.get("reservations") or {}).get("cpus") or service.get("cpus") or (resources.get("limits") or {}).get("cpus")
    result: Definition = {}
    if service.get("cpu_shares"):
        result["cpu"] = int(service["cpu_shares"])
    elif share and float(share) > 0:
        result["cpu"] = max(2, round(float(share) * 1024))
    if service.get("gpus") or (resources.get("reservations") or {}).get("devices"):
        notes.lose(name, "gpus", "give the environment GPU instances, and the container resourceRequirements")
    return result


def _ports(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    mappings = []
    for port in service.get("ports") or []:
        host, protocol = str(port.get("published") or ""), port.get("protocol") or "tcp"
        mapping: Definition = {"containerPort": int(port["target"])}
        setting = f"port {host or '(any)'}:{port['target']}"
        if port.get("host_ip") and is_loopback(str(port["host_ip"])):
            notes.lose(name, setting, f"it is bound to {port['host_ip']}, which ECS cannot, and would be open to others")
            continue
        if protocol not in ("tcp", "udp"):
            notes.lose(name, setting, f"ECS has no protocol {protocol}")
            continue
        if host.isdigit():
            mapping["hostPort"] = int(host)
        elif host:
            notes.lose(name, setting, "ECS takes single host ports; name one")
            continue
        if protocol == "udp":
            mapping["protocol"] = "udp"
        if mapping not in mappings:
            mappings.append(mapping)
    return {"portMappings": mappings} if mappings else {}


def _process(_name: str, service: Mapping[str, Any], _notes: Notes) -> Definition:
    result: Definition = {}
    if service.get("entrypoint"):
        result["entryPoint"] = [str(word) for word in service["entrypoint"]]
    if service.get("command"):
        result["command"] = [str(word) for word in service["command"]]
    for word, theirs in _SAME.items():
        if service.get(word):
            result[theirs] = service[word]
    if service.get("stop_grace_period"):
        result["stopTimeout"] = max(2, seconds(service["stop_grace_period"]))
    if service.get("sysctls"):
        result["systemControls"] = [{"namespace": key, "value": str(value)} for key, value in sorted(service["sysctls"].items())]
    return result


def _hosts(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    hosts = []
    for entry in service.get("extra_hosts") or []:
        host, _sign, address = re.sub(r"^([^=:]+)[=:]", r"\1=", entry).partition("=")
        try:
            hosts.append({"hostname": host, "ipAddress": str(ipaddress.ip_address(address.strip("[]")))})
        except ValueError:
            notes.lose(name, f"extra_hosts {host}", f"ECS takes addresses, not {address}")
    return {"extraHosts": hosts} if hosts else {}


def _limits(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    limits = []
    for kind, value in sorted((service.get("ulimits") or {}).items()):
        if kind not in _ULIMITS:
            notes.lose(name, f"ulimit {kind}", "ECS does not know it")
            continue
        pair = value if isinstance(value, dict) else {"soft": value, "hard": value}
        limits.append({"name": kind, "softLimit": int(pair["soft"]), "hardLimit": int(pair["hard"])})
    return {"ulimits": limits} if limits else {}


def _health(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    check = service.get("healthcheck") or {}
    test = check.get("test") or []
    if not check or check.get("disable") or test[:1] == ["NONE"]:
        return {}
    if not test:
        notes.lose(name, "healthcheck", "ECS asks for a test, and this one only tunes the image's own")
        return {}
    result: Definition = {"command": [str(word) for word in test]}
    for word, theirs, least, most in (
        ("interval", "interval", 5, 300),
        ("timeout", "timeout", 2, 60),
        ("start_period", "startPeriod", 0, 300),
    ):
        if check.get(word):
            result[theirs] = _within(name, f"healthcheck {word}", seconds(check[word]), least, most, notes)
    if check.get("retries"):
        result["retries"] = _within(name, "healthcheck retries", int(check["retries"]), 1, 10, notes)
    return {"healthCheck": result}


def _within(name: str, setting: str, value: int, least: int, most: int, notes: Notes) -> int:
    if not least <= value <= most:
        notes.advise(f"{name}: {setting} of {value} is brought into what ECS takes, {least} to {most}")
    return min(max(value, least), most)


def _logging(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    logging = service.get("logging") or {}
    driver = logging.get("driver") or ("json-file" if logging.get("options") else None)
    if driver is None:
        return {}
    if driver not in _LOG_DRIVERS:
        notes.lose(name, f"logging driver {driver}", f"ECS takes {', '.join(_LOG_DRIVERS)}")
        return {}
    result: Definition = {"logDriver": driver}
    if logging.get("options"):
        result["options"] = {key: str(value) for key, value in sorted(logging["options"].items())}
    return {"logConfiguration": result}


def _security(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    options = []
    for option in service.get("security_opt") or []:
        text = re.sub(r"^(apparmor|label|no-new-privileges)=", r"\1:", str(option))
        if text in ("no-new-privileges", "no-new-privileges:true"):
            options.append("no-new-privileges")
        elif text.startswith(("apparmor:", "label:")):
            options.append(text)
        elif text != "no-new-privileges:false":
            notes.lose(name, f"security_opt {option}", "ECS takes no-new-privileges, apparmor and label")
    return {"dockerSecurityOptions": options} if options else {}


def _linux(name: str, service: Mapping[str, Any], notes: Notes) -> Definition:
    result: Definition = {}
    capabilities = {
        side: [_CAPABILITY.sub("", str(each).upper()) for each in service.get(f"cap_{side}") or []]
        for side in ("add", "drop")
        if service.get(f"cap_{side}")
    }
    if capabilities:
        result["capabilities"] = capabilities
    devices = [_device(device) for device in service.get("devices") or []]
    if devices:
        result["devices"] = devices
    if service.get("init"):
        result["initProcessEnabled"] = True
    if service.get("shm_size") and in_bytes(service["shm_size"]) > 0:
        result["sharedMemorySize"] = mebibytes(service["shm_size"])
    if service.get("memswap_limit") and in_bytes(str(service["memswap_limit"]).lstrip("-")) > 0:
        total, limit = str(service["memswap_limit"]), service.get("mem_limit")
        if limit and not total.startswith("-"):
            result["maxSwap"] = max(0, (in_bytes(total) - in_bytes(limit)) // MIB)
        else:
            notes.lose(name, "memswap_limit", "ECS counts swap beyond a memory limit; name mem_limit")
    if service.get("mem_swappiness") is not None:
        result["swappiness"] = int(service["mem_swappiness"])
    return result


def _device(device: Mapping[str, Any] | str) -> Definition:
    if isinstance(device, str):
        source, _colon, rest = device.partition(":")
        target, _colon, rights = rest.partition(":")
    else:
        source, target, rights = device["source"], device.get("target") or "", device.get("permissions") or ""
    permissions = [_DEVICE_RIGHTS[letter] for letter in rights or "rwm" if letter in _DEVICE_RIGHTS]
    return {"hostPath": source, "containerPath": target or source, "permissions": permissions}
