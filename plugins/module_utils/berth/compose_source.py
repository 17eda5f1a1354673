# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of Compose files: where a key stands, and what Compose refuses and warns of as messages that name the file and the line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence

import yaml

from .problems import BerthError, suggestion

# What Compose's schema allows in a service, for "did you mean": https://github.com/compose-spec/compose-spec/blob/main/05-services.md
SERVICE_KEYS = """annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs container_name
cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset credential_spec depends_on deploy
develop device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file environment expose extends external_links
extra_hosts gpus group_add healthcheck hostname image init ipc isolation label_file labels links logging mac_address mem_limit
mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports
post_start pre_stop privileged profiles provider pull_policy read_only restart runtime scale secrets security_opt shm_size
stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes
volumes_from working_dir""".split()
# Keys of a service in Compose's first format: https://docs.docker.com/reference/compose-file/legacy-versions/
_FIRST_FORMAT = {
    "dockerfile": "; it stands below build now (build: {context: ., dockerfile: …})",
    "net": "; it is called network_mode now",
    "log_driver": "; it is logging now ({driver: …})",
    "log_opt": "; it is logging now ({options: …})",
    "volume_driver": "; it stands with a volume below volumes at the file's top now ({driver: …})",
}
TOP_KEYS = "configs include models name networks secrets services version volumes".split()


class Source:
    """A Compose file's text, with the line of each key, to say where a fault is."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.root: yaml.Node | None = None
        try:
            with open(path, encoding="utf-8") as file:
                self.text = file.read()
        except UnicodeDecodeError:
            raise BerthError(f"{path}: not a text file in UTF-8") from None
        except OSError as error:
            raise BerthError(f"{path}: cannot be read: {error.strerror}") from None
        if not self.text.strip():
            raise BerthError(f"{path}: the file is empty; a Compose file needs services:")
        try:
            self.root = yaml.compose(self.text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise BerthError(f"{path}{place}: not valid YAML: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise BerthError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
        if not isinstance(self.root, yaml.MappingNode):
            raise BerthError(f"{path}:1: a Compose file is a mapping with services:, this is {_kind(self.root)}")

    def line_of(self, dotted: str) -> int | None:
        """The line of ``services.api.image``, counted from 1; None when this file has no such key."""
        node, line = self.root, None
        rest = dotted.split(".")
        while rest:
            if isinstance(node, yaml.SequenceNode) and rest[0].isdigit() and int(rest[0]) < len(node.value):
                node, rest = node.value[int(rest[0])], rest[1:]
                line = node.start_mark.line + 1
                continue
            if not isinstance(node, yaml.MappingNode):
                return None
            # A key may hold dots itself (a service called api.v1): the longest that fits is meant.
            for width in range(len(rest), 0, -1):
                match = [pair for pair in node.value if pair[0].value == ".".join(rest[:width])]
                if match:
                    node, line, rest = match[0][1], match[0][0].start_mark.line + 1, rest[width:]
                    break
            else:
                return None
        return line

    def line_with(self, pattern: str) -> int | None:
        """The first line that a regular expression finds, counted from 1, comments aside."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if re.search(pattern, line.split(" #")[0]) and not line.lstrip().startswith("#"):
                return number
        return None


def _kind(node: yaml.Node | None) -> str:
    return {yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}.get(type(node), "empty")


def _complaints(stderr: str) -> list[str]:
    """Compose's remarks, freed of the logger's clothes."""
    lines = []
    for line in stderr.splitlines():
        message = re.match(r'time="[^"]*" level=(\w+) msg=(".*")\s*$', line)
        lines.append(json.loads(message[2]) if message else line)
    return [line for line in lines if line.strip() and "`version` is obsolete" not in line]


def warnings(stderr: str, documents: Sequence[Source]) -> list[str]:
    """What Compose warned of, variables that nothing sets, with file and line."""
    return [_warning(line, documents) for line in _complaints(stderr) if "variable is not set" in line]


def _warning(line: str, documents: Sequence[Source]) -> str:
    name = re.search(r'The "?([^"\s]+)"? variable is not set', line)
    if not name:
        return line
    place = _first(documents, lambda source: source.line_with(r"\$\{?" + re.escape(name[1]) + r"\b"))
    return f"{place}: variable {name[1]} is not set, and is taken as empty; set it in the environment or in an env file"


def _first(documents: Sequence[Source], find: Callable[[Source], int | None]) -> str:
    for source in documents:
        line = find(source)
        if line is not None:
            return f"{source.path}:{line}"
    return documents[0].path


def explain(stderr: str, documents: Sequence[Source]) -> str:
    """What Compose refused, as one message with file, line and, where it is likely, the remedy."""
    lines = [line for line in _complaints(stderr) if "variable is not set" not in line] or ["docker compose config failed"]
    message = " ".join(line.strip() for line in lines)
    message = re.sub(r"^(validating|parsing) \S+?: ", "", message)
    message = re.sub(r": invalid compose project$", "", message)
    if re.search(r"unknown (?:shorthand )?flag|is not a docker command|unknown command: docker compose", message):
        return "docker compose: the Compose plugin (version 2 or later) is missing; playbooks/platform.yml installs it"
    unknown = re.search(
        r"(?:(?P<where>services\.\S+|\(root\)|\S+) )?[Aa]dditional propert(?:y|ies) '?(?P<key>[^\s']+)'? (?:is|are) not allowed", message
    )
    if unknown:
        where = unknown["where"] or "(root)"
        top = where == "(root)"
        path = unknown["key"] if top else f"{where}.{unknown['key']}"
        known = TOP_KEYS if top else SERVICE_KEYS if re.fullmatch(r"services\.[^.]+", where) else ()
        place = _first(documents, lambda source: source.line_of(path))
        meant = suggestion(unknown["key"], known)
        if top and not meant and not any(source.line_of("services") for source in documents):
            return f"{place}: {unknown['key']!r} stands at the file's top, as in Compose's first format, which it reads no more; write services: above them all, and indent what is there"
        inside = "the file" if top else where
        if unknown["key"] in known:
            return f"{place}: {inside} has {unknown['key']!r}, which the Docker Compose of this machine is too old to know; update it, or leave that out"
        return f"{place}: {inside} has an unknown key {unknown['key']!r}{meant if top else _FIRST_FORMAT.get(unknown['key'], meant)}"
    bare = re.match(r'service "(?P<service>[^"]+)" has neither an image nor a build context', message)
    if bare:
        place = _first(documents, lambda source: source.line_of(f"services.{bare['service']}"))
        return f"{place}: service {bare['service']!r} has neither image: nor build:; give it one"
    missing = re.match(r"env file (?P<path>.+?) not found", message)
    if missing:
        name = os.path.basename(missing["path"])
        place = _first(documents, lambda source: source.line_with(rf"(^|[\s\[\"'/]){re.escape(name)}\b"))
        return f"{place}: env_file {missing['path']} does not exist; create it, or mark it with required: false"
    needed = re.search(r"services\.(\S+?): required variable (\w+) is missing a value(?:: (.*))?$", message)
    if needed:
        place = _first(documents, lambda source: source.line_of("services." + needed[1]) or source.line_with(r"\$\{" + needed[2] + r"\b"))
        says = f" ({needed[3]})" if needed[3] else ""
        return f"{place}: variable {needed[2]} is required and not set{says}; set it in the environment or in an env file"
    numbered = re.search(r"yaml: (?:unmarshal errors: )?line (\d+): (.+)$", message)
    if numbered:
        return f"{documents[0].path}:{numbered[1]}: {numbered[2]}"
    spot = re.search(r"(services\.[\w.-]+|volumes\.[\w.-]+|networks\.[\w.-]+)", message)
    service = re.search(r'service "([^"]+)"', message)
    path = spot[1].rstrip(".") if spot else f"services.{service[1]}" if service else ""
    place = _first(documents, lambda source: source.line_of(path) if path else None)
    return f"{place}: {message}"
