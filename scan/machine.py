"""Lynis, and the CIS Docker Benchmark, look at droplets that Berth keeps in the rehearsal, and at one with Docker as Debian's package leaves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from rehearsal import containers, demo, server, stack
from rehearsal.digitalocean import machines
from scan import cis, lynis
from scan.running import ROOT, run

NAME = "scanned"
DROPLETS = [
    {"name": "data-1", "groups": ["postgres", "redis"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 2}]},
    {"name": "app-1", "groups": ["app"], "size": "s-1vcpu-2gb"},
]
# With what agrees on whose store takes writes, and leads the app there.
MORE = [{**DROPLETS[0], "name": name} for name in ("data-2", "data-3")]
STOCK = "a droplet with Docker, kept by nobody"
_INSTALL = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends lynis"


def report_of(number: int) -> lynis.Report:
    """What Lynis, Debian's package of it, says of a droplet."""
    container = machines.of(number)
    containers.run_in(container, ["sh", "-c", _INSTALL])
    containers.run_in(container, ["sh", "-c", "lynis audit system --quick --quiet --no-colors > /dev/null 2>&1 || true"])
    return lynis.read(containers.run_in(container, ["cat", "/var/log/lynis-report.dat"]))


def answers_of(number: int) -> dict[str, str]:
    """What a droplet says of its engine and of what runs on it."""
    container = machines.of(number)
    return {what: containers.run_in(container, ["sh", "-c", question]) for what, question in cis.QUESTIONS.items()}


def stock() -> int:
    """A droplet that has Docker and that nobody keeps. Returns its number."""
    wanted = {"name": "stock", "region": "fra1", "size": "s-1vcpu-2gb", "image": "debian-13-x64", "ssh_keys": []}
    number = int(stack.account().droplets.create(body=wanted)["droplet"]["id"])

    def docker_runs() -> bool:
        containers.run_in(machines.of(number), ["systemctl", "enable", "--now", "docker"])
        return True

    containers.wait_until(docker_runs, 120, "Docker does not start on a droplet that nobody keeps")
    return number


def keep(droplets: list[dict[str, Any]]) -> dict[str, int]:
    """Have Berth keep these. Returns their names and numbers."""
    given = {"app_name": NAME, "digitalocean_droplets": droplets, "digitalocean_ip_range": "10.121.0.0/20", "backup_bucket": ""}
    # A release that is about to end would be looked at, too.
    given["app_wait_ended"] = True
    run("ansible-playbook", "-i", "inventories/digitalocean", "playbooks/site.yml", "-e", json.dumps(given))
    there = stack.account().droplets.list(tag_name=f"berth:{NAME}", per_page=100)["droplets"]
    return {str(each["name"]).removeprefix(f"{NAME}-"): int(each["id"]) for each in there}


def scan() -> int:
    """Make, look, and say. Returns 1 where something is neither done nor explained, or explained without need."""
    reasons = yaml.safe_load((Path(__file__).parent / "explained.yaml").read_text())
    server.down()
    try:
        server.digitalocean(demo.bases(ROOT / "examples" / "fibonacci"))
        reports, found = {}, {}
        for name, number in {STOCK: stock(), **keep(DROPLETS)}.items():
            print(f"  Lynis and the CIS Docker Benchmark look at {name}", flush=True)
            found[name] = cis.findings(answers_of(number))
            reports[name] = report_of(number)
        for name, number in keep([*DROPLETS, *MORE]).items():
            if name in reports:
                print(f"  The CIS Docker Benchmark looks at {name}, where three keep the data", flush=True)
                found[f"{name}, where three keep the data"] = cis.findings(answers_of(number))
    finally:
        server.down()
    kept = [name for name in found if name != STOCK]

    def left(advice: list[lynis.Advice]) -> list[lynis.Advice]:
        return [each for each in advice if not lynis.explained(each, reasons)]

    open_ = {name: left(reports[name].advice) for name in kept if name in reports}
    unmended = {name: left(found[name]) for name in kept}
    print("\n".join([*lynis.table(reports, open_), "", *cis.table(found, unmended)]))
    for name in kept:
        print(f"\n{name}:")
        for each in [*open_.get(name, []), *unmended[name]]:
            print(f"  {each.kind:10} {each.test}: {each.says}{f' ({each.details})' if each.details else ''}")
    advice = [each for name in kept for each in [*(reports[name].advice if name in reports else []), *found[name]]]
    said = {each.test for each in advice if lynis.explained(each, reasons)}
    print(f"\nexplained in scan/explained.yaml: {', '.join(sorted(said))}")
    idle = sorted(set(reasons) - said)
    if idle:
        print(f"explained without need: {', '.join(idle)}")
    return int(any(open_.values()) or any(unmended.values()) or bool(idle))
