"""The rehearsal's commands: ``python -m rehearsal up``, and what `make demo` and `make down` run."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from . import browser, demo, engine, faults, images, server, status


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description="Berth's homes, rehearsed on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("demo", help="deploy an app, and leave it running")
    run.add_argument("--target", default="aws", help="which inventory: aws, digitalocean or local")
    run.add_argument("--app", default="examples/fibonacci", help="directory of the app's Compose project")
    run.add_argument(
        "arguments", nargs="*", metavar="-- ARGUMENT", help="for ansible-playbook, such as -- -e digitalocean_ip_range=10.130.0.0/20"
    )
    platform = commands.add_parser("platform", help="set up the Docker engine")
    platform.add_argument("--browser", action="store_true", help="set up Chromium too, for the tests")
    platform.add_argument("--or-skip", action="store_true", help="succeed where containers cannot run; the tests say what they skip")
    base = commands.add_parser("images", help="make base images available: pulled, or stand-ins")
    base.add_argument("image", nargs="*", help="such as debian:trixie-slim; by default what both clouds' rehearsals begin with")
    start = commands.add_parser("up", help="start the rehearsal of both clouds on this machine")
    start.add_argument(
        "--droplets",
        nargs="*",
        metavar="IMAGE",
        help="and have all that droplets need: their image, an SSH key, registries that offer what stores need and these images",
    )
    away = commands.add_parser("down", help="stop the rehearsal, and take away all that is in it")
    away.add_argument("--all", action="store_true", help="and what demos and tests left: projects, stand-ins, an engine that Berth started")
    commands.add_parser("status", help="say whether the rehearsal runs, and what is in it")
    bad = commands.add_parser("faults", help="let requests fail: KIND name=value …; none ends it; without words, lists them")
    bad.add_argument("words", nargs="*", metavar="WORD", help="such as: throttle share=0.05 operation='rds:*'")
    within = commands.add_parser("run", help="run a command with the clouds' clients led to the rehearsal, started where it does not run")
    within.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="such as -- aws elasticbeanstalk describe-environments"
    )
    options = parser.parse_args(arguments)
    try:
        if options.command == "demo":
            return demo.run(options.target, options.app, options.arguments)
        if options.command == "images":
            if not engine.answers():
                raise images.ImageError("no Docker engine answers; python -m rehearsal platform sets one up, or says why it cannot")
            if options.image:
                images.ensure(options.image)
            else:
                server.prepare()
            return 0
        if options.command == "platform":
            if options.browser:
                browser.set_up()
            return engine.set_up(or_skip=options.or_skip)
        if options.command == "up":
            if options.droplets is not None:
                server.digitalocean(options.droplets)
            server.up()
            found = server.environment()
            print(f"AWS is rehearsed at {found['AWS_ENDPOINT_URL']}, DigitalOcean at {found['DIGITALOCEAN_API_URL']}.")
            print("python -m rehearsal run -- COMMAND leads a command there.")
            return 0
        if options.command == "status":
            return status.show()
        if options.command == "faults":
            return faults.command(options.words)
        if options.command == "run":
            return run_within(options.words[1:] if options.words[:1] == ["--"] else options.words)
        if options.all:
            return demo.down()
        print("The rehearsal is taken away." if engine.answers() and server.down() else "There is no rehearsal to take away.")
        return 0
    except (images.ImageError, demo.DemoError, server.ServerError, faults.FaultError) as problem:
        print(f"{options.command}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {options.command}: interrupted; make down takes away what was started", file=sys.stderr)
        return 130


def run_within(words: list[str]) -> int:
    """Run a command led to the rehearsal. Returns its exit code."""
    if not words:
        raise server.ServerError("name a command after --, such as: python -m rehearsal run -- aws elasticbeanstalk describe-environments")
    server.up()
    return subprocess.run(words, env={**os.environ, **server.environment()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
