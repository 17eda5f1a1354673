"""The DigitalOcean home in the rehearsal, against what an administrator would type."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.running import ROOT, run, seconds, void
from rehearsal import demo, images, server, stack
from rehearsal.digitalocean import registry

PLAYBOOK = ("ansible-playbook", "-i", "inventories/digitalocean")
# One service whose releases are in the registry already, so that what is measured is the deploying.
IMAGE = "nginx:1.28"
FEW, MANY = 1, 6
TIMES = 3
RELEASES, CODE_BYTES = "berth/one-service", 5_000_000


@contextmanager
def rehearsed() -> Iterator[None]:
    """A rehearsal with nothing in it."""
    server.down()
    try:
        server.digitalocean([IMAGE])
        demo.bases(ROOT / "examples" / "fibonacci")
        yield
    finally:
        server.down()


def counting(folder: Path) -> dict[str, str]:
    """What lets Ansible count how often it runs ssh, a line each in ``folder``/count."""
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\necho >> {folder}/count\nexec ssh "$@"\n')
    program.chmod(0o700)
    return {"ANSIBLE_SSH_EXECUTABLE": str(program)}


def no_change() -> list[str]:
    """A run of the whole architecture, two app droplets and one for the data, in which nothing changes."""
    site = (*PLAYBOOK, "playbooks/site.yml")
    with rehearsed(), tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        run(*site)
        taken = seconds(lambda: void(run(*site)), 3)
        run(*site, environment=counting(Path(home)))
        trips = len((Path(home) / "count").read_text().splitlines())
    return ["no change on three droplets | site.yml | SSH round trips", f"  {taken:.1f} s | {trips}"]


@dataclass
class Releases:
    """An app of one service, whose releases are images in the registry. ``folder``: its Compose project."""

    folder: Path
    count: int = 0

    def offer(self, number: int) -> None:
        """Have so many releases in the registry, of which each has a layer of its own, as a build of an app's code makes it."""
        for each in range(number):
            build = self.folder.parent / f"release-{each}"
            build.mkdir()
            (build / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY code /srv/code\n")
            (build / "code").write_bytes(os.urandom(CODE_BYTES))
            images.build(f"{RELEASES}:{each}", build, say=void)
        registry.offer([f"{RELEASES}:{each}" for each in range(number)])

    def next(self) -> str:
        """The image of the next one, which is the project's from now on."""
        image = f"{RELEASES}:{self.count}"
        self.count += 1
        self.folder.mkdir(exist_ok=True)
        (self.folder / "compose.yaml").write_text(f"services:\n  web:\n    image: {image}\n    ports: ['80:80']\n")
        return image


def deployments() -> list[str]:
    """New releases of an app of one service, to one droplet and to several, and back; and what an administrator would type for the first."""
    with rehearsed(), tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        releases, taken = Releases(Path(home) / "one-service"), {}
        releases.offer(len((FEW, MANY)) * (1 + TIMES) + 3 * TIMES)
        for count in (FEW, MANY):
            droplets = [{"name": f"app-{each}", "groups": ["app"], "size": "s-1vcpu-1gb"} for each in range(1, count + 1)]
            given = ("-e", f"app_project={releases.folder}", "-e", json.dumps({"digitalocean_droplets": droplets}))
            releases.next()
            run(*PLAYBOOK, "playbooks/site.yml", *given)

            def deploy(given: tuple[str, ...] = given) -> None:
                run(*PLAYBOOK, "playbooks/deploy.yml", *given)

            def offered() -> None:
                settled()
                releases.next()

            taken[count] = seconds(deploy, TIMES, offered)
            if count == FEW:
                kept = json.loads(run(*on(droplets_there()[0]), "cat /srv/berth/*/current.json"))
                turns = itertools.cycle([kept["before"], kept["release"]])

                def go_back(given: tuple[str, ...] = given, turns: Iterator[str] = turns) -> None:
                    run(*PLAYBOOK, "playbooks/rollback.yml", *given, "-e", f"app_release={next(turns)}")

                back = seconds(go_back, TIMES, settled)
                kept_open = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", f"ControlPath={home}/control")
                # Ansible's connection is kept from the run before; what an administrator types anew has one of its own.
                bare, open_bare = (seconds(by_hand(releases, more), TIMES) for more in ((), kept_open))
        bare_many = seconds(by_hand(releases), TIMES)
    few, many = taken[FEW], taken[MANY]
    return [
        "a new release on a droplet | deploy.yml | rollback.yml | bare: ssh, docker compose pull and up | ratios | the same, connection kept | ratios",
        f"  {few:.1f} s | {back:.1f} s | {bare:.1f} s | {few / bare:.2f}, {back / bare:.2f} | {open_bare:.1f} s | "
        f"{few / open_bare:.2f}, {back / open_bare:.2f}",
        "a new release on droplets | to one | to six | ratio | bare, to all six at once | ratio to bare to one",
        f"  {few:.1f} s | {many:.1f} s | {many / few:.2f} | {bare_many:.1f} s | {bare_many / bare:.2f}",
    ]


def settled() -> None:
    """Return when no droplet has a release that is ending: nobody deploys again in that very moment."""
    for each in droplets_there():
        run(*on(each), "for i in $(seq 600); do ls /srv/berth/*/ending | grep -q . || exit 0; sleep 0.1; done; exit 1")


def droplets_there() -> list[dict[str, Any]]:
    """All droplets, as the API tells them."""
    found: list[dict[str, Any]] = stack.account().droplets.list()["droplets"]
    return found


def on(droplet: dict[str, Any], *more: str) -> tuple[str, ...]:
    """What runs a command on a droplet. ``more``: options of SSH's."""
    address = next(each["ip_address"] for each in droplet["networks"]["v4"] if each["type"] == "public")
    found = server.environment()
    return ("ssh", "-i", found["BERTH_SSH_KEY"], "-o", f"UserKnownHostsFile={found['BERTH_KNOWN_HOSTS']}", *more, f"root@{address}")


def by_hand(releases: Releases, options: Sequence[str] = ()) -> Callable[[], None]:
    """What deploys the same service by a command to all droplets at once: it stops the old container first, so visitors notice. ``options``: of
    SSH's.
    """
    all_of_them = [on(each, *options) for each in droplets_there()]

    def deploy() -> None:
        text = json.dumps({"name": "bare", "services": {"web": {"image": releases.next(), "ports": ["8080:80"]}}})
        command = f"mkdir -p bare && cd bare && echo '{text}' > compose.yaml && docker compose pull --quiet && docker compose up -d --wait"
        with ThreadPoolExecutor(len(all_of_them)) as pool:
            list(pool.map(lambda ssh: run(*ssh, command), all_of_them))

    return deploy
