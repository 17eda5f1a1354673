"""The DigitalOcean home in the rehearsal, against what an administrator would type."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import ROOT, Seconds, run, void
from rehearsal import demo, server, stack

PLAYBOOK = ("ansible-playbook", "-i", "inventories/digitalocean")
# One service whose image is in the registry already, so that what is measured is the deploying.
IMAGE = "nginx:1.28"
FEW, MANY = 1, 6


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


def no_change(seconds: Seconds) -> list[str]:
    """A run of the whole architecture, two app droplets and one for the data, in which nothing changes."""
    site = (*PLAYBOOK, "playbooks/site.yml")
    with rehearsed(), tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        run(*site)
        taken = seconds(lambda: void(run(*site)), 3)
        run(*site, environment=counting(Path(home)))
        trips = len((Path(home) / "count").read_text().splitlines())
    return ["no change on three droplets | site.yml | SSH round trips", f"  {taken:.1f} s | {trips}"]


def deployments(seconds: Seconds) -> list[str]:
    """New releases of an app of one service, to one droplet and to several; and what an administrator would type for the first."""
    number = iter(range(1000))
    lines = ["a new release on droplets | deploy.yml to one | bare docker compose pull and up | ratio | to six | ratio to one"]
    with rehearsed(), tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        project = Path(home) / "one-service"
        project.mkdir()
        (project / "compose.yaml").write_text(f"services:\n  web:\n    image: {IMAGE}\n    ports: ['80:80']\n")
        taken = {}
        for count in (FEW, MANY):
            droplets = [{"name": f"app-{each}", "groups": ["app"], "size": "s-1vcpu-1gb"} for each in range(1, count + 1)]
            given = ("-e", f"app_project={project}", "-e", json.dumps({"digitalocean_droplets": droplets}))
            run(*PLAYBOOK, "playbooks/site.yml", *given)

            def deploy(given: tuple[str, ...] = given) -> None:
                run(*PLAYBOOK, "playbooks/deploy.yml", *given, "-e", json.dumps({"app_env": {"RELEASE": str(next(number))}}))

            taken[count] = seconds(deploy, 3)
            if count == FEW:
                bare = seconds(by_hand(next(iter(stack.account().droplets.list()["droplets"])), home, number), 3)
    few, many = taken[FEW], taken[MANY]
    return [*lines, f"  {few:.1f} s | {bare:.1f} s | {few / bare:.2f} | {many:.1f} s | {many / few:.2f}"]


def by_hand(droplet: dict[str, object], home: str, number: Iterator[int]) -> Callable[[], None]:
    """What deploys the same service over a connection that is kept: it stops the old container first, so visitors notice."""
    networks: dict[str, list[dict[str, str]]] = droplet["networks"]  # type: ignore[assignment]
    address = next(each["ip_address"] for each in networks["v4"] if each["type"] == "public")
    found = server.environment()
    kept = ("-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", f"ControlPath={home}/control")
    ssh = ("ssh", "-i", found["BERTH_SSH_KEY"], "-o", f"UserKnownHostsFile={found['BERTH_KNOWN_HOSTS']}", *kept, f"root@{address}")

    def deploy() -> None:
        service = {"image": IMAGE, "ports": ["8080:80"], "environment": {"RELEASE": str(next(number))}}
        text = json.dumps({"name": "bare", "services": {"web": service}})
        run(*ssh, f"mkdir -p bare && cd bare && echo '{text}' > compose.yaml && docker compose pull --quiet && docker compose up -d --wait")

    return deploy
