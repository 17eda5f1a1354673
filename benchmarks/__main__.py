"""`make bench`, or some parts of it: `python -m benchmarks droplets backups`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
os.environ.setdefault("BERTH_REHEARSAL_STATE", str(ROOT / ".cache" / "rehearsal-of-benchmarks"))
os.environ.setdefault("BERTH_REHEARSAL_SECONDS", "1")

import yaml  # noqa: E402

from benchmarks import aws, backups, droplets, homes, moves  # noqa: E402
from benchmarks.running import seconds  # noqa: E402
from rehearsal import demo, engine, projects  # noqa: E402

APP = ROOT / "examples" / "fibonacci"
SIZES = (10, 100, 1000)


def run(*command: str) -> None:
    """Run a command from the repository; stop with its words when it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def project(size: int) -> dict[str, object]:
    """A Compose project of ``size`` app services beside a Postgres and a Redis, each a little different."""
    services: dict[str, object] = {"postgres": {"image": "postgres:17"}, "redis": {"image": "redis:8"}}
    for number in range(size):
        services[f"service-{number}"] = {
            "image": f"registry.example.com/service-{number}:1",
            "environment": {"PGHOST": "postgres", "PGUSER": "postgres", "REDIS_URL": "redis://redis:6379/0", "NUMBER": str(number)},
            "ports": [f"{10000 + number}:80"],
            "mem_limit": "64m",
            **({"depends_on": [f"service-{number - 1}"]} if number else {}),
        }
    return {"services": services}


def rendering() -> None:
    """Print what the renderer costs, of itself and as a task, against Compose alone."""
    print("rendering: services, docker compose config, functions / config, whole Ansible task / config")
    renderer = [sys.executable, "-m", "benchmarks.render"]
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
            (Path(folder) / "compose.yaml").write_text(yaml.safe_dump(project(size)), encoding="utf-8")
            arguments = json.dumps({"project_src": folder, "dest": f"{folder}/Dockerrun.aws.json"})
            config = ["docker", "compose", "--project-directory", folder, "-f", f"{folder}/compose.yaml", "config", "--format", "json"]
            task = ["ansible", "machine", "-i", "inventories/local", "-m", "dockerrun", "-a", arguments]
            times = 3 if size > 100 else 5
            floor = seconds(lambda command=config: run(*command), times)  # type: ignore[misc]
            functions = seconds(lambda command=[*renderer, folder]: run(*command), times)  # type: ignore[misc]
            whole = seconds(lambda command=task: run(*command), times)  # type: ignore[misc]
            print(f"  {size:5}  {floor:7.3f} s  {functions / floor:6.2f}  {whole / floor:6.2f}", flush=True)


def no_change() -> None:
    """Print what a site.yml that changes nothing costs, against bare `docker compose up --detach --wait`."""
    name = "berth-bench"
    os.environ.update({"COMPOSE_PROJECT_NAME": name, "WEB_PORT": "18080"})
    if demo.run("local", str(APP)):
        sys.exit("the demo does not run")
    compose = ["docker", "compose", "--project-directory", str(APP), "--project-name", name]
    site = ["ansible-playbook", "-i", "inventories/local", "playbooks/site.yml", "-e", f"app_name={name}"]
    try:
        floor = seconds(lambda: run(*compose, "up", "--detach", "--wait"), 3)
        ours = seconds(lambda: run(*site), 3)
        print("no change: docker compose up --detach --wait, site.yml / that")
        print(f"  {floor:.2f} s  {ours / floor:.2f}")
    finally:
        run(*compose, "down", "--volumes", "--timeout", "5", "--rmi", "local")


def shown(*measures: Callable[[], Iterable[str]]) -> Callable[[], None]:
    """What prints the lines of some measures, each when it is there."""

    def show() -> None:
        for measure in measures:
            for line in measure():
                print(line, flush=True)

    return show


# In this order; all but the first need an engine.
PARTS: dict[str, Callable[[], None]] = {
    "rendering": rendering,
    "no-change": no_change,
    "aws": shown(aws.no_change, aws.deployment, aws.provisioning),
    "droplets": shown(droplets.no_change, droplets.deployments),
    "backups": shown(backups.measure),
    "moves": shown(moves.measure),
    "homes": shown(homes.measure),
}


def main(names: Sequence[str]) -> None:
    """Measure the parts that are named, or all."""
    if unknown := [name for name in names if name not in PARTS]:
        sys.exit(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    for name, part in PARTS.items():
        if names and name not in names:
            continue
        if name != "rendering" and not engine.answers():
            print(f"{name}: skipped, no Docker engine answers")
            continue
        part()
    print(f"projects still remembered for make down: {', '.join(projects.remembered()) or 'none'}")


if __name__ == "__main__":
    main(sys.argv[1:])
