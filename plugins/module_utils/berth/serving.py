# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service's command runs: a store's image its server, or a client of it, such as a backup by cron; and what ends by itself. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import images
from .dockerfiles import starts

# What an image is told to do, or runs, where it is the server.
_SERVERS = re.compile(
    r"mysqld(_safe)?|mariadbd(-safe)?|mongo[ds]|rabbitmq-server|postgres|patroni|(redis|valkey)-(server|sentinel)|influxd|eswrapper|"
    r"kafka-server-start\S*|nats-server|clickhouse-server|mosquitto|server|agent|(start|run|launch|boot|init)\S*|\S*entrypoint\S*|\S+\.conf"
)
_CLIENTS = re.compile(
    r"psql|pg_\w+|createdb|dropdb|vacuumdb|pgbench|mysql|mysqldump|mysqladmin|mariadb(-\w+)?|mongo|mongosh|mongo(dump|restore|export|import)|"
    r"(redis|valkey)-(cli|benchmark)|rabbitmqadmin|rabbitmqctl|mc|crond?|sleep|tail|true|echo|cp|cat|ls|watch|python3?|node"
)
# What a script is called that is a client.
_AS_CLIENT = re.compile(r"backup|dump|cron|restore|wait|migrat|seed|export|import|check|rotat|vacuum", re.IGNORECASE)
# They do what they are told to, and end.
_ENDING = re.compile(r"cp|mv|rm|ln|mkdir|chmod|chown|touch|tar|unzip|install|echo|true|set|cd|test")
# They have a shell and no more, which ends where nobody types; who has volumes of such a container shares its data.
_BARE = frozenset("busybox alpine debian ubuntu hello-world".split())
# The client of object stores makes buckets, unless it is told to go on.
_ON_AND_ON = re.compile(r"\bwhile\b|sleep (inf|\d{3,})|tail -f|--watch|\bmc (watch|mirror)|crond")
_TEMPLATE = re.compile(r"(?:\w+[-_])?(?:base|common|defaults?|template|shared)", re.IGNORECASE)
_BEGIN = frozenset({";", "&", "&&", "|", "||", "(", "then", "do", "else"})
_AS_USER = frozenset({"gosu", "su-exec"})
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_RUN_ANOTHER = frozenset({"exec", "tini", "dumb-init", "time", "nice"}) | _AS_USER | _SHELLS


def serves(service: Mapping[str, Any], basename: str) -> bool:
    """Whether a service lets an image run its server. ``basename``: the last component of the image's name.

    A program or a script that nobody knows is taken for the server, unless it is called as a client is.
    """
    given = [str(word) for key in ("entrypoint", "command") for word in service.get(key) or []]
    if not given or given[0].startswith("-"):
        return True
    inline = any(word.rsplit("/", 1)[-1] in _SHELLS for word in given) and any(re.fullmatch(r"-\w*c", word) for word in given)
    unknown = False
    for program in programs(given):
        if _SERVERS.fullmatch(program) or (program == basename and not _CLIENTS.fullmatch(program)):
            return True
        # In a shell's text there is much that is nothing of a store's: only a script may be it.
        unknown |= not (_CLIENTS.fullmatch(program) or _AS_CLIENT.search(program)) and (not inline or program.endswith(".sh"))
    return unknown


def ends(service: Mapping[str, Any]) -> bool:
    """Whether a service does nothing but copy files and the like, or nothing at all, which ends by itself."""
    given = [str(word) for key in ("entrypoint", "command") for word in service.get(key) or []]
    image = images.basename(str(service.get("image") or ""))
    given = given or starts(service.get("build") or {}).split()
    if not given and not service.get("build"):
        return image in _BARE and not service.get("tty") and not service.get("stdin_open")
    if image == "mc":
        return bool(given) and not _ON_AND_ON.search(" ".join(given))
    found = list(programs(given))
    return bool(found) and all(_ENDING.fullmatch(program) for program in found)


def is_template(name: str, services: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a service is there to lend what it says to others, by an anchor of YAML's: it is called so, nothing says what it runs, and others say what
    its image runs.
    """
    service = services[name]
    told = any(service.get(key) for key in ("command", "entrypoint", "ports", "healthcheck", "restart", "deploy", "labels"))
    if told or not _TEMPLATE.fullmatch(name):
        return False
    same = [each for other, each in services.items() if other != name and _program(each) & _program(service)]
    return any(each.get("command") or each.get("entrypoint") for each in same)


def _program(service: Mapping[str, Any]) -> set[str]:
    build = service.get("build") or {}
    built = {str((build.get("context"), build.get("dockerfile"), build.get("target")))} if build else set()
    return built | ({str(service["image"])} if service.get("image") else set())


def programs(given: Sequence[str]) -> Iterator[str]:
    """The programs that a command runs, without their folders."""
    begins, before = True, ""
    for word in [part for each in given for part in (_split(each) if re.search(r"\s", each) else [each])]:
        program = word.rsplit("/", 1)[-1]
        another = program in _RUN_ANOTHER or word.startswith("-") or re.match(r"\w+=", word)
        if begins and not another and word not in _BEGIN:
            yield program
        begins, before = word in _BEGIN or bool(begins and (another or before in _AS_USER)), program


def _split(text: str) -> list[str]:
    """The words of a shell's text, also where they end in the middle of a quotation."""
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return text.split()
