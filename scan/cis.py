"""What the CIS Docker Benchmark asks of an engine and of the containers on it, by the numbers of its release 1.6, as docker-bench-security counts them.

Of its sections those are looked at that a machine's own look can answer: the daemon (2), its files (3), images as they run (4) and containers (5).
What asks a person (a policy, a review), or is of swarms, is left out. Source: CIS Docker Benchmark 1.6.0, and docker-bench-security's list of tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .lynis import Advice

# What a machine is asked, by what it is the answer to.
QUESTIONS = {
    "info": "docker info --format '{{json .}}'",
    "daemon": "cat /etc/docker/daemon.json 2>/dev/null || echo '{}'",
    "command": "systemctl show docker --property ExecStart --value",
    "containers": "docker ps --quiet | xargs -r docker inspect",
    "files": "stat --format '%n %U:%G %a' /usr/lib/systemd/system/docker.service /usr/lib/systemd/system/docker.socket /etc/docker"
    " /etc/docker/daemon.json /run/containerd/containerd.sock /run/docker.sock 2>/dev/null || true",
}
_SENSITIVE = {"/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr"}
# Most rights that a file may have, and whose it is.
_FILES = {
    "docker.service": ("3.1", "root:root", 0o644),
    "docker.socket": ("3.3", "root:root", 0o644),
    "docker": ("3.5", "root:root", 0o755),
    "docker.sock": ("3.15", "root:docker", 0o660),
    "daemon.json": ("3.17", "root:root", 0o644),
    "containerd.sock": ("3.23", "root:root", 0o660),
}
Container = Mapping[str, Any]


def _daemon(info: Mapping[str, Any], told: Mapping[str, Any], command: str) -> list[tuple[str, str]]:
    """Number and words of what is not so."""
    options = " ".join(info.get("SecurityOptions") or [])
    registries = (info.get("RegistryConfig") or {}).get("InsecureRegistryCIDRs") or []
    asked = {
        "2.2": (told.get("icc") is False, "containers on the default bridge reach one another"),
        "2.3": (told.get("log-level", "info") == "info", "the log level is not info"),
        "2.4": (told.get("iptables") is not False, "the engine may not keep iptables"),
        "2.5": (set(registries) <= {"127.0.0.0/8", "::1/128"}, "registries are used without TLS"),
        "2.6": (info.get("Driver") != "aufs", "the storage driver is aufs"),
        "2.7": ("tcp://" not in command and not any(str(each).startswith("tcp") for each in told.get("hosts") or []), "listens on TCP"),
        "2.8": (bool(told.get("default-ulimits")), "there are no default limits of what a container may open"),
        "2.9": ("userns" in options, "root in a container is root on the machine"),
        "2.12": (bool(told.get("authorization-plugins")), "who may ask the engine may ask it anything"),
        "2.13": (info.get("LoggingDriver") not in ("json-file", "local"), "logs stay on the machine"),
        "2.14": (told.get("no-new-privileges") is True, "a program in a container may gain privileges"),
        "2.15": (info.get("LiveRestoreEnabled") is True, "containers end with the engine"),
        "2.16": (told.get("userland-proxy") is False, "the userland proxy is on"),
        "2.17": ("seccomp" in options, "seccomp is off"),
        "2.18": (not info.get("ExperimentalBuild"), "experimental features are on"),
    }
    return [(number, words) for number, (fine, words) in asked.items() if not fine]


def _files(text: str) -> list[tuple[str, str, str]]:
    found = []
    for line in text.splitlines():
        path, owner, mode = line.split()
        number, wanted, most = _FILES[path.rsplit("/", 1)[1]]
        if owner != wanted or int(mode, 8) & ~most:
            found.append((number, "a file of the engine's is another's, or has wider rights", f"{path} {owner} {mode}"))
    return found


def _healthy(each: Container) -> bool:
    return bool(each["State"].get("Health"))


def _host(each: Container) -> Mapping[str, Any]:
    found: Mapping[str, Any] = each["HostConfig"]
    return found


def _published(each: Container) -> list[Mapping[str, str]]:
    return [place for places in (_host(each).get("PortBindings") or {}).values() for place in places or []]


def _options(each: Container) -> str:
    return " ".join(_host(each).get("SecurityOpt") or [])


# Number, words, and whether a container is as it should be.
_CONTAINER: list[tuple[str, str, Callable[[Container], bool]]] = [
    ("4.1", "begins as root", lambda each: each["Config"].get("User") not in ("", "root", "0")),
    ("4.6", "has no health check", _healthy),
    ("5.1", "has no AppArmor profile", lambda each: each.get("AppArmorProfile") not in ("", "unconfined")),
    ("5.3", "has capabilities that it was not given by name", lambda each: "ALL" in (_host(each).get("CapDrop") or [])),
    ("5.4", "is privileged", lambda each: not _host(each).get("Privileged")),
    ("5.5", "mounts a folder of the system", lambda each: not _SENSITIVE & {mount.get("Source") for mount in each.get("Mounts") or []}),
    ("5.7", "has a port below 1024", lambda each: all(int(place.get("HostPort") or 1024) >= 1024 for place in _published(each))),
    ("5.9", "is on the machine's own network", lambda each: _host(each).get("NetworkMode") != "host"),
    ("5.10", "may take all memory", lambda each: bool(_host(each).get("Memory"))),
    ("5.11", "may take all processors", lambda each: bool(_host(each).get("CpuShares") or _host(each).get("NanoCpus"))),
    ("5.12", "may write to its image's files", lambda each: bool(_host(each).get("ReadonlyRootfs"))),
    ("5.13", "listens at every address", lambda each: all(place.get("HostIp") not in ("", "0.0.0.0", "::") for place in _published(each))),
    (
        "5.14",
        "is started again without end",
        lambda each: _host(each)["RestartPolicy"]["Name"] == "on-failure" and _host(each)["RestartPolicy"]["MaximumRetryCount"] <= 5,
    ),
    ("5.15", "sees the machine's processes", lambda each: _host(each).get("PidMode") != "host"),
    ("5.16", "shares the machine's memory segments", lambda each: _host(each).get("IpcMode") != "host"),
    ("5.17", "has a device of the machine's", lambda each: not _host(each).get("Devices")),
    ("5.19", "passes mounts on", lambda each: all(mount.get("Propagation") != "shared" for mount in each.get("Mounts") or [])),
    ("5.20", "has the machine's name", lambda each: _host(each).get("UTSMode") != "host"),
    ("5.21", "has no seccomp profile", lambda each: "seccomp=unconfined" not in _options(each)),
    ("5.24", "is in another control group", lambda each: not _host(each).get("CgroupParent")),
    ("5.25", "may gain privileges", lambda each: "no-new-privileges" in _options(each)),
    ("5.28", "may start processes without end", lambda each: (_host(each).get("PidsLimit") or 0) > 0),
    ("5.29", "is on the engine's default bridge", lambda each: _host(each).get("NetworkMode") not in ("default", "bridge")),
    ("5.30", "has the machine's users", lambda each: _host(each).get("UsernsMode") != "host"),
    (
        "5.31",
        "has the engine's socket",
        lambda each: not any("docker.sock" in str(mount.get("Source")) for mount in each.get("Mounts") or []),
    ),
]


def name_of(each: Container) -> str:
    """A container's name; of one of a release its service, since its own name is another one each time."""
    labels = each["Config"].get("Labels") or {}
    name = str(each["Name"]).lstrip("/")
    return name if name.startswith("berth-") or "org.berth.app" not in labels else f"the app's {labels['com.docker.compose.service']}"


def findings(answers: Mapping[str, str]) -> list[Advice]:
    """What is not as the benchmark asks. ``answers``: what the machine said to each of :data:`QUESTIONS`."""
    found = [
        ("", number, words) for number, words in _daemon(json.loads(answers["info"]), json.loads(answers["daemon"]), answers["command"])
    ]
    found += [(what, number, words) for number, words, what in _files(answers["files"])]
    for each in json.loads(answers["containers"] or "[]"):
        found += [(name_of(each), number, words) for number, words, fine in _CONTAINER if not fine(each)]
    return [Advice("finding", f"CIS-{number}", words, what) for what, number, words in sorted(found, key=_order)]


def _order(each: tuple[str, str, str]) -> tuple[list[int], str]:
    what, number, _words = each
    return [int(part) for part in number.split(".")], what


def table(found: Mapping[str, Sequence[Advice]], open_: Mapping[str, Sequence[Advice]]) -> list[str]:
    """How many of which section, as a table in Markdown."""
    lines = ["| | the daemon and its files | containers | neither done nor explained |", "| --- | ---: | ---: | ---: |"]
    for name, advice in found.items():
        of_containers = sum(each.test.startswith(("CIS-4.", "CIS-5.")) for each in advice)
        left = str(len(open_[name])) if name in open_ else ""
        lines.append(f"| {name} | {len(advice) - of_containers} | {of_containers} | {left} |")
    return lines
