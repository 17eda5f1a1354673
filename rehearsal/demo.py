"""`make demo`: an app deployed by site.yml on one of the inventories, with all that a bare machine lacks set up before."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from . import engine, images, projects, server, stack, state
from .reading import overview, production_files

ROOT = Path(__file__).parent.parent
TARGETS = ("aws", "digitalocean", "local")


class DemoError(Exception):
    """What keeps a demo from running. The message is shown to the user as it is."""


def run(target: str, app: str, more: Sequence[str] = ()) -> int:
    """Deploy the app in ``app`` to ``target`` by ansible-playbook with ``more`` arguments, and leave it running. Returns the exit code."""
    if target not in TARGETS:
        raise DemoError(f"TARGET={target}: there is no such home yet; TARGET is one of {', '.join(TARGETS)}")
    directory = (ROOT / app).resolve()
    if not directory.is_dir():
        raise DemoError(f"APP={app}: {directory} is no directory; name the folder of a Compose project")
    started = time.monotonic()
    code = engine.set_up()
    if code:
        return code
    try:
        model = projects.resolve(directory, () if target == "local" else production_files(str(directory)))
    except subprocess.CalledProcessError as error:
        words = error.stderr.strip().splitlines()
        raise DemoError(f"APP={app}: {words[-1] if words else 'docker compose config failed'}") from None
    wanted = projects.base_images(model, backing=target == "local")
    stand_ins = images.ensure(wanted, lambda text: print(f"  {text}", flush=True))
    arguments = ("-e", f"app_project={directory}", "-e", f"app_name={model['name']}", *more)
    if target == "aws":
        print("Rehearsing AWS on this machine (python -m rehearsal status shows what stands)", flush=True)
        stand_ins += server.up()
        code = engine.playbook(target, "site.yml", *arguments, environment=server.environment())
        return code or aws_summary(model["name"], stand_ins, time.monotonic() - started)
    if target == "digitalocean":
        print("Rehearsing DigitalOcean on this machine (python -m rehearsal status shows what stands)", flush=True)
        stand_ins += server.digitalocean(projects.base_images(model, backing=False, built=False))
        code = engine.playbook(target, "site.yml", *arguments, environment=server.environment())
        return code or droplets_summary(model["name"], stand_ins, time.monotonic() - started)
    projects.remember(model["name"])
    code = engine.playbook(target, "site.yml", *arguments)
    return code or summary(target, directory, model["name"], stand_ins, time.monotonic() - started)


def bases(directory: Path) -> list[str]:
    """Have the base images that an app's production build asks for. Returns those that are stand-ins."""
    model = projects.resolve(directory, production_files(str(directory)))
    return images.ensure(projects.base_images(model, backing=False), lambda text: print(f"  {text}", flush=True))


def aws_summary(name: str, stand_ins: list[str], seconds: float) -> int:
    """Print what stands in the rehearsal, and where the app answers. Returns the exit code."""
    lines, url = stack.describe(name)
    print(f"\nBerth · {name} → aws (rehearsed) · {seconds:.0f} s")
    for line in lines:
        print(f"  {line}")
    _closing(stand_ins, "python -m rehearsal run -- COMMAND leads AWS's tools to it; ")
    print(f"URL: {url}")
    return 0


def droplets_summary(name: str, stand_ins: list[str], seconds: float) -> int:
    """Print what stands in the rehearsed DigitalOcean, and where the app answers. Returns the exit code."""
    lines, url = stack.droplets(name)
    print(f"\nBerth · {name} → digitalocean (rehearsed) · {seconds:.0f} s")
    for line in lines:
        print(f"  {line}")
    _closing(stand_ins, "python -m rehearsal run -- COMMAND leads DigitalOcean's tools to it; ")
    print(f"URL: {url}")
    return 0


def _closing(stand_ins: list[str], more: str = "") -> None:
    if stand_ins:
        print(f"  stand-ins, since no registry answers: {', '.join(dict.fromkeys(stand_ins))}")
    print(f"  next: {more}make demo again changes nothing; make down takes it all away")


def summary(target: str, directory: Path, name: str, stand_ins: list[str], seconds: float) -> int:
    """Print how the app is and where it answers, read from the running containers. Returns the exit code."""
    found = overview(directory, name)
    print(f"\nBerth · {name} → {target} · {seconds:.0f} s")
    for line in found["table"]:
        print(f"  {line}")
    _closing(stand_ins)
    if found["url"]:
        print(f"URL: {found['url']}")
    else:
        print("No single service publishes a port, so there is no one URL.")
    return 0


def down() -> int:
    """Take away what demos and tests left. Returns the exit code."""
    if not engine.answers():
        print("No Docker engine answers, so there is nothing to take away.")
        return 0
    for folder in state.every():
        server.down(folder)
    projects.take_away()
    images.remove_stand_ins()
    engine.stop()
    print("Nothing of Berth's is left running.")
    return 0
