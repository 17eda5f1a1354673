# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an app's images are built from in production, where its Compose file builds them for development."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from .dockerfiles import base_image, copied_to, exposed_ports, read_text, stages, working_folder
from .images import basename
from .problems import BerthError, listed
from .topology import asked_ports, check_names

_DEVELOPMENT = re.compile(r"(?:(?<=^)|(?<=[._/-]))(?:dev|devel|develop|development|local)(?=$|[._/-])", re.IGNORECASE)
_PRODUCTION = ("production", "prod")
# Where a server's image listens of itself, and the folder of what says otherwise.
_SERVERS = {"nginx": ({80}, "/etc/nginx"), "httpd": ({80}, "/usr/local/apache2/conf"), "caddy": ({80, 443}, "/etc/caddy")}
# https://nginx.org/en/docs/http/ngx_http_core_module.html#listen
_LISTENS = re.compile(r"(?m)(?:^|[{;])\s*listen\s+(?:[\w.*]+:|\[[\w:]*\]:)?(\d{1,5})\b")


class Builds(NamedTuple):
    """The services as they are built in production; ``changed``, service to what of its build is another then; and what is to be told of it."""

    services: dict[str, dict[str, Any]]
    changed: dict[str, dict[str, str]]
    advice: list[str]


def for_production(services: Mapping[str, Mapping[str, Any]], directory: str, given: Mapping[str, Any]) -> Builds:
    """The services of a Compose model, built for production.

    Where the Dockerfile, or the stage, of a build is for development by its name (``Dockerfile.dev``), and one for production lies beside it,
    that one counts; but not where the Compose file says what the container runs, or where others ask for a port that it does not show.
    ``given``: service to Dockerfile, relative to its build's context, whatever is beside it. ``directory``: the project's.
    Raises :class:`BerthError` for a service that is not built, and a Dockerfile that is not there.
    """
    result: dict[str, dict[str, Any]] = {name: dict(service) for name, service in services.items()}
    changed: dict[str, dict[str, str]] = {}
    taken: dict[str, list[str]] = {}
    advice = []
    check_names("app_dockerfiles", given, services)
    for name, dockerfile in given.items():
        changed[name] = _given(name, dockerfile, services[name].get("build") or {})
    for name, service in sorted(services.items()):
        build = service.get("build") or {}
        meant = _development(build)
        if name in given or not meant:
            continue
        other = _counterpart(build)
        if not other:
            advice.append(f"{name} is built from {meant}, which is for development by its name, and none for production is beside it")
            continue
        new = next(iter(other.values()))
        if why := _against(name, service, {**build, **other}, services, directory):
            advice.append(
                f"{name} is built from {meant}, which is for development by its name, and not from {new}: {why}; name the one that is meant "
                "in a production Compose file, or in app_dockerfiles"
            )
            continue
        changed[name] = other
        taken.setdefault(f"from {new}, and not from {meant}", []).append(name)
    for how, names in taken.items():
        are = "are" if len(names) > 1 else "is"
        advice.append(f"{listed(names)} {are} built {how}, which is for development by its name; app_dockerfiles says otherwise")
    for name, other in changed.items():
        result[name] = _built(result[name], {**result[name]["build"], **other})
    return Builds(result, {name: other for name, other in changed.items() if result[name]["build"] != services[name]["build"]}, advice)


def _given(name: str, dockerfile: Any, build: Mapping[str, Any]) -> dict[str, str]:
    if not build:
        raise BerthError(f"app_dockerfiles: {name} is not built, so no Dockerfile counts; give it build: in the Compose file")
    context = str(build.get("context") or "")
    if not isinstance(dockerfile, str) or not os.path.isfile(os.path.join(context, dockerfile)):
        raise BerthError(f"app_dockerfiles: {name}: there is no {dockerfile} in {context}; give a path relative to the build's context")
    target = str(build.get("target") or "")
    if target and target.lower() not in stages({**build, "dockerfile": dockerfile}):
        raise BerthError(f"app_dockerfiles: {name}: its build has the target {target}, which is no stage of {dockerfile}")
    return {"dockerfile": dockerfile}


def _development(build: Mapping[str, Any]) -> str:
    """What of a build says that it is for development, or the empty string."""
    if build.get("dockerfile_inline") is None and _DEVELOPMENT.search(str(build.get("dockerfile") or "")):
        return str(build["dockerfile"])
    return f"its stage {build['target']}" if _DEVELOPMENT.fullmatch(str(build.get("target") or "")) else ""


def _counterpart(build: Mapping[str, Any]) -> dict[str, str]:
    """What of a build is another for production, as far as that is there; nothing where it is not."""
    named, target = str(build.get("dockerfile") or "Dockerfile"), str(build.get("target") or "")
    if build.get("dockerfile_inline") is not None or not _DEVELOPMENT.search(named):
        found = [each for each in _PRODUCTION if each in stages(build)]
        return {"target": found[0]} if found else {}
    word = list(_DEVELOPMENT.finditer(named))[-1]
    before, after = named[: word.start()], named[word.end() :]
    bare = before[:-1] + after if before.endswith((".", "_", "-")) else before + after[1:]
    for each in [*(before + other + after for other in _PRODUCTION), bare]:
        path = os.path.join(str(build.get("context") or ""), each)
        if os.path.basename(each) and os.path.isfile(path) and (not target or target.lower() in stages({**build, "dockerfile": each})):
            return {"dockerfile": each}
    return {}


def _against(
    name: str, service: Mapping[str, Any], build: Mapping[str, Any], services: Mapping[str, Mapping[str, Any]], directory: str
) -> str:
    """Why another build might not do what the Compose file's does, or the empty string."""
    said = [key for key in ("command", "entrypoint") if service.get(key)]
    if said:
        return f"the {said[0]} in the Compose file may be for the former alone"
    shown = exposed_ports(build) or _listens(build)
    asked = asked_ports(name, services, directory)
    if shown and asked and not shown & asked:
        return f"that one shows port {listed(map(str, sorted(shown)))}, and others ask for {listed(map(str, sorted(asked)))}"
    return ""


def _listens(build: Mapping[str, Any]) -> set[int]:
    """Where a known server listens that is built: by the configuration that is copied into it, where there is one; empty where that is not known."""
    ports, folder = _SERVERS.get(basename(base_image(build) or ""), (set(), ""))
    told = copied_to(build, folder) if folder else []
    return {int(port) for path in told for port in _LISTENS.findall(read_text(path) or "")} if told else ports


def _built(service: dict[str, Any], build: dict[str, Any]) -> dict[str, Any]:
    """A service with another build, without what lay over the program of the former one where the new one has none."""
    before, context = working_folder(service["build"]), str(build.get("context") or "")
    result = {**service, "build": build}
    if before and before != working_folder(build):
        result["volumes"] = [each for each in service.get("volumes") or [] if not _is_code(each, before, context)]
    return result


def _is_code(volume: Mapping[str, Any], folder: str, context: str) -> bool:
    inside = (str(volume.get("target")) + "/").startswith(folder.rstrip("/") + "/")
    of_context = volume.get("type") == "bind" and (str(volume.get("source")) + "/").startswith(context.rstrip("/") + "/")
    return inside and (of_context or not volume.get("source"))
