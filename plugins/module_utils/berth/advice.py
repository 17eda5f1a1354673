# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What deserves a look in the services that stay containers, by how they speak of the stores that leave, of the developer's machine and of development."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .bindings import Bindings
from .dockerfiles import package_json, packages, scripts, sets, starts
from .notes import Notes
from .problems import listed
from .references import read_host_port, read_name, read_url
from .referring import VENDORS, Backing

_ON = frozenset({"1", "true", "yes", "on"})
_LOCAL = re.compile(r"(?:https?|wss?)://(?:localhost|127\.0\.0\.1)(?![\w.-])")

# Under which there is a server, and no file, bucket or name of something else.
_SERVED = re.compile(
    r"(?i)(?:^|:|\+)(?:https?|wss?|tcp|postgres\w*|mysql2?|mariadb|mongodb|amqps?|rediss?|nats|ldaps?|smtps?|clickhouse|memcached)(?:\+\w+)?$"
)

_STAGE = re.compile(r"(?:(?:^|_)ENV(?:IRONMENT)?|SPRING_PROFILES_ACTIVE)$", re.IGNORECASE)
_DEBUG = re.compile(r"(?:^|_)DEBUG$", re.IGNORECASE)
# What begins again when its source changes, or says so of itself.
_FOR_DEVELOPMENT = re.compile(
    r"\bnodemon\b|\b(?:npm|yarn|pnpm|bun) (?:(?!install\b|ci\b)[^\s&;|]+ ){0,3}(?:dev|watch|start:dev)\b(?![\w-]*=)|\bmanage\.py runserver\b|\bflask (?:\S+ \S+ )?run\b|--reload\b"
    r"|\bng serve\b|\bvite(?: --\S+)*$|\bwebpack(?:-dev-server| serve)\b|\bdotnet watch\b|\b(?:next|nuxt|nuxi|astro|remix) dev\b|\btsx watch\b|\bts-node-dev\b"
    r"|\bartisan serve\b|\breact-scripts start\b|\bvue-cli-service serve\b|\bnode --watch\b|\bnest start (?:\S+ )*--watch\b|\bphp -S\b|\bspring-boot:run\b|\bbootRun\b"
)
_SCRIPT = re.compile(r"\b(?:npm|yarn|pnpm|bun) (?:run )?(?P<name>[\w:.-]+)")


def for_development(stays: Mapping[str, Mapping[str, Any]], bindings: Mapping[str, Bindings], notes: Notes) -> None:
    """Warn of what is for development by what it says: variables (``NODE_ENV=development``, ``DEBUG=1``) and commands (``npm run dev``)."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, service in stays.items():
        for variable, value in bindings[name].environment.items():
            text = value.strip().lower()
            if (_STAGE.search(variable) and text in ("dev", "development", "local")) or (_DEBUG.search(variable) and text in _ON):
                found.setdefault((f"{variable}={value.strip()}", "app_env, or in "), []).append(name)
        if how := _started_for_development(service):
            found.setdefault(how, []).append(name)
    for (what, place), names in found.items():
        notes.advise(f"{listed(names)}: {what} is for development; say what is for production in {place}a production Compose file")


def _started_for_development(service: Mapping[str, Any]) -> tuple[str, str] | None:
    """The words by which a container starts that are for development, and where else than in a Compose file it is said what is not; None where there are none."""
    build, keys = service.get("build") or {}, ("entrypoint", "command")
    said = {"": " ".join(str(word) for key in keys for word in service.get(key) or [])}
    if build:
        # An entrypoint of the Compose file stands for the image's command as well.
        said[" of its Dockerfile"] = starts(build, [] if service.get("entrypoint") else [key for key in keys if not service.get(key)])
    for where, text in said.items():
        place = "its Dockerfile, or in " if where else ""
        if how := _FOR_DEVELOPMENT.search(text):
            return f"the command {how[0]!r}{where}", place
        for script in _SCRIPT.finditer(text):
            if how := _FOR_DEVELOPMENT.search(scripts(build).get(script["name"], "")):
                return f"the command {script[0]!r}{where}, which runs {how[0]!r},", place
    return None


def express(stays: Mapping[str, Mapping[str, Any]], bindings: Mapping[str, Bindings], notes: Notes) -> None:
    """Warn where Express runs as in development since nobody says what else: it shows visitors its errors then, and reads its templates for each request.

    Source: https://expressjs.com/en/advanced/best-practice-performance.html#set-node_env-to-production
    """
    names = []
    for name, service in stays.items():
        build = service.get("build") or {}
        if build and "express" in packages(build) and not sets(build, "NODE_ENV"):
            said = [package_json(build), *bindings[name].environment, *(str(service.get(key)) for key in ("entrypoint", "command"))]
            if not any("NODE_ENV" in each for each in said):
                names.append(name)
    if names:
        notes.advise(
            f"{listed(names)}: nothing says NODE_ENV, so Express shows visitors its errors, and what asks whether it is in production is told no; "
            "NODE_ENV: production in a production Compose file or in app_env says so"
        )


def mentions(name: str, service: Mapping[str, Any], files: Mapping[str, str], backing: Backing, notes: Notes) -> None:
    """Warn where a command or a file of many lines names a backing service that leaves in a way that is not led elsewhere."""
    texts = {f"its {key}": " ".join(str(word) for word in service.get(key) or []) for key in ("command", "entrypoint")}
    for what, text in {**texts, **files}.items():
        if target := _named(text, backing):
            notes.advise(f"{name}: {what} names the backing service {target}, and is carried as it is there; let it read the environment")


def unread(name: str, bindings: Bindings, backing: Backing, notes: Notes) -> None:
    """Warn where a variable names a backing service that leaves, and nobody can tell what for: its name does not say, or its value has a form of its own."""
    bound = {entry["variable"] for entry in bindings.bound}
    for variable, value in bindings.environment.items():
        known = read_name(variable)
        if value in backing.names and value not in VENDORS and (known.field is None or known.loose):
            notes.advise(
                f"{name}: {variable} is {value}, and is carried as it is; if that is the host of {backing.names[value]}, give it in app_env"
            )
        elif variable not in bound and (target := _named(value, backing)):
            notes.advise(f"{name}: {variable} names {target} in a form that is not read, and is carried as it is; give it in app_env")


def own_machine(name: str, service: Mapping[str, Any], bindings: Bindings, notes: Notes) -> None:
    """Warn where a variable, or an argument of the build, leads to localhost: on a laptop that is where all services are."""
    given = ((service.get("build") or {}).get("args") or {}).items()
    told = {
        "": sorted(
            variable for variable, value in bindings.environment.items() if _LOCAL.search(value) and "HEALTH" not in variable.upper()
        ),
        "the build's ": sorted(variable for variable, value in given if _LOCAL.search(str(value or ""))),
    }
    for whose, variables in told.items():
        if variables:
            leads, it = ("leads", "it") if len(variables) == 1 else ("lead", "them")
            notes.advise(
                f"{name}: {whose}{listed(variables)} {leads} to localhost, which to a browser is the visitor's own machine and to a container itself; "
                f"give {it} in {'a production Compose file' if whose else 'app_env'}"
            )


def nobody(
    stays: Mapping[str, Mapping[str, Any]],
    bindings: Mapping[str, Bindings],
    names: Mapping[str, Iterable[str]],
    given: Iterable[str],
    notes: Notes,
) -> None:
    """Warn of variables that lead to a host of one word, as Compose's names are, that nobody has: a service that is left out, or was never there.

    ``names``: whom each service finds. ``given``: variables that are set from outside, which may lead to what others know.
    """
    lost: dict[tuple[str, str], list[str]] = {}
    for name, service in stays.items():
        apart = [*(service.get("extra_hosts") or []), *(str(each).rpartition(":")[2] for each in service.get("links") or [])]
        known = {*names[name], "localhost", *(re.split("[=:]", str(each))[0] for each in apart)}
        for variable in sorted(bindings[name].environment.keys() - set(given)):
            for host in _hosts(variable, bindings[name].environment[variable]):
                if host not in known and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", host):
                    lost.setdefault((variable, host), []).append(name)
    for (variable, host), who in lost.items():
        notes.advise(f"{listed(who)}: {variable} leads to {host}, and no service is called so; give it in app_env, or take it out")


def _hosts(variable: str, value: str) -> list[str]:
    """The hosts that a variable leads to, where that is sure."""
    url, pair, name = read_url(value), read_host_port(value), read_name(variable)
    if url:
        return list(url.hosts) if _SERVED.search(url.scheme) else []
    if pair:
        return [pair[0]]
    return [value.strip()] if name.field == "host" and (name.engine or name.generic) else []


def as_file(name: str, service: Mapping[str, Any], backing: Backing, notes: Notes) -> None:
    """Warn where a service is given an environment file as a file: nothing in it is led to a store."""
    for volume in service.get("volumes") or [] if backing.engines else []:
        if re.fullmatch(r"\.env(\.\w+)*", os.path.basename(str(volume.get("source") or ""))):
            what = os.path.basename(volume["source"])
            notes.advise(f"{name}: {what} is mounted as it is, and what it says of stores leads nowhere else; give it with env_file")


def nowhere(bindings: Mapping[str, Bindings], engines: Iterable[str], others: bool, notes: Notes) -> None:
    """Warn of variables that ask for a store and have no value, where the Compose file has none: one for production alone leaves it to who deploys it.

    ``engines``: of the stores that there are. ``others``: there are databases of other kinds, of which ``DATABASE_URL`` may be one.
    """
    missing = {"postgres", "redis"} - {"redis" if engine == "valkey" else engine for engine in engines}
    empty: dict[str, dict[str, str]] = {}
    for name, each in bindings.items():
        for variable in [variable for variable, value in each.environment.items() if not value]:
            said = read_name(variable)
            engine = said.engine or ("postgres" if said.generic and not others else "")
            if said.field in ("host", "url") and engine in missing:
                empty.setdefault(name, {})[variable] = engine
    if empty:
        stores = sorted({engine for variables in empty.values() for engine in variables.values()})
        notes.advise(
            f"{', '.join(f'{name}: {listed(variables)}' for name, variables in empty.items())}: without a value, and the Compose file has no such store; "
            f"app_stores: [{', '.join(stores)}] has Berth keep one, or say in app_env where it is"
        )


def _named(text: str, backing: Backing) -> str | None:
    """The backing service whose place a text tells, such as ``db:5432``, ``postgres://db`` or ``"host": "db"``."""
    for host, target in backing.names.items():
        here = rf"{re.escape(host)}(?![\w.-])"
        forms = (
            rf"(?<![\w.@/-]){re.escape(host)}:\d+",
            rf"(?:postgres\w*|redis\w*|valkeys?|pgsql|jdbc:\w+|tcp)://(?:[^\s/@]*@)?{here}",
            rf"@{re.escape(host)}[:/]",
            rf"(?:-h|--host)[ =]{here}",
            rf"host(?:name)?[\"']?\s*[=:]\s*[\"']?{here}",
        )
        if any(re.search(form, text, re.IGNORECASE) for form in forms):
            return target
    return None
