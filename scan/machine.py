"""Lynis looks at droplets that Berth keeps in the rehearsal, and at one with Docker as Debian's package leaves it."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from rehearsal import containers, demo, server, stack
from rehearsal.digitalocean import machines
from scan import lynis
from scan.running import ROOT, run

NAME = "scanned"
DROPLETS = [
    {"name": "data-1", "groups": ["postgres", "redis"], "size": "s-2vcpu-4gb", "volumes": [{"name": "data", "size": 2}]},
    {"name": "app-1", "groups": ["app"], "size": "s-1vcpu-2gb"},
]
STOCK = "a droplet with Docker, kept by nobody"
_INSTALL = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends lynis"


def report_of(number: int) -> lynis.Report:
    """What Lynis, Debian's package of it, says of a droplet."""
    container = machines.of(number)
    containers.run_in(container, ["sh", "-c", _INSTALL])
    containers.run_in(container, ["sh", "-c", "lynis audit system --quick --quiet --no-colors > /dev/null 2>&1 || true"])
    return lynis.read(containers.run_in(container, ["cat", "/var/log/lynis-report.dat"]))


def stock() -> int:
    """A droplet that has Docker and that nobody keeps. Returns its number."""
    wanted = {"name": "stock", "region": "fra1", "size": "s-1vcpu-2gb", "image": "debian-13-x64", "ssh_keys": []}
    number = int(stack.account().droplets.create(body=wanted)["droplet"]["id"])

    def docker_runs() -> bool:
        containers.run_in(machines.of(number), ["systemctl", "enable", "--now", "docker"])
        return True

    containers.wait_until(docker_runs, 120, "Docker does not start on a droplet that nobody keeps")
    return number


def scan() -> int:
    """Make, look, and say. Returns 1 where something is neither done nor explained, or explained without need."""
    reasons = yaml.safe_load((Path(__file__).parent / "explained.yaml").read_text())
    server.down()
    try:
        server.digitalocean(demo.bases(ROOT / "examples" / "fibonacci"))
        given = {"app_name": NAME, "digitalocean_droplets": DROPLETS, "digitalocean_ip_range": "10.121.0.0/20", "backup_bucket": ""}
        run("ansible-playbook", "-i", "inventories/digitalocean", "playbooks/site.yml", "-e", json.dumps(given))
        numbers = {STOCK: stock()}
        for each in stack.account().droplets.list(tag_name=f"berth:{NAME}", per_page=100)["droplets"]:
            numbers[str(each["name"]).removeprefix(f"{NAME}-")] = int(each["id"])
        reports = {}
        for name, number in numbers.items():
            print(f"  Lynis looks at {name}", flush=True)
            reports[name] = report_of(number)
    finally:
        server.down()
    open_ = {
        name: [each for each in report.advice if not lynis.explained(each, reasons)] for name, report in reports.items() if name != STOCK
    }
    print("\n".join(lynis.table(reports, open_)))
    for name, advice in open_.items():
        print(f"\n{name}:")
        for each in advice:
            print(f"  {each.kind:10} {each.test}: {each.says}{f' ({each.details})' if each.details else ''}")
    said = {each.test for name in open_ for each in reports[name].advice if lynis.explained(each, reasons)}
    print(f"\nexplained in scan/explained.yaml: {', '.join(sorted(said))}")
    idle = sorted(set(reasons) - said)
    if idle:
        print(f"explained without need: {', '.join(idle)}")
    return int(any(open_.values()) or bool(idle))
