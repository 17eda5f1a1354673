# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images that somebody else builds, under a tag that says nothing of what is in them: which one it is now.

A release is told from another by what it runs. Under ``latest`` that would be the same for ever, and a newer image would never be deployed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .images import parse
from .keepers import keeper

_SECONDS = "20"


def floating(services: Mapping[str, Mapping[str, Any]], without: Collection[str]) -> dict[str, str]:
    """Service to image, of those with no tag or ``latest`` that nobody builds here. ``without``: services that are of no concern.

    What keeps data stays with the image that it has: another one may not read it.
    """
    built = {str(service.get("image")) for service in services.values() if service.get("build") and service.get("image")}
    found = {}
    for name, service in services.items():
        image = str(service.get("image") or "")
        reference = parse(image)
        if name in without or service.get("build") or image in built or not reference or reference.digest:
            continue
        if reference.tag in (None, "latest") and not keeper(service, image):
            found[name] = image
    return found


def pinned(
    wanted: Mapping[str, str], run: Callable[..., tuple[int, str, str]], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Service to image by digest, as its registry has it now, and what is told of those that nobody could look at.

    ``wanted``: service to image; ``run``: ``AnsibleModule.run_command``; ``environment``: with which Docker's client is signed in.
    """
    known: dict[str, str] = {}
    told = []
    for image in sorted(set(wanted.values())):
        words = ["timeout", _SECONDS, "docker", "buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", image]
        code, out, err = run(words, environ_update=dict(environment))
        reference = parse(image)
        if code == 0 and reference:
            known[image] = f"{reference.name}@{json.loads(out)['digest']}"
        else:
            said = err.strip().splitlines()[-1] if err.strip() else "no answer"
            told.append(
                f"{image} says nothing of what is in it, and which one that is now cannot be looked up from here ({said}): a machine that has one "
                "under this name goes on with it. Give it a tag of its own, or a digest"
            )
    return {service: known[image] for service, image in wanted.items() if image in known}, told
