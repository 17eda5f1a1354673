"""What `make demo` and `make down` run: ``python -m rehearsal demo``."""

from __future__ import annotations

import argparse
import sys

from . import browser, demo, engine, images


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m rehearsal", description="Berth's homes, rehearsed on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("demo", help="deploy an app, and leave it running")
    run.add_argument("--target", default="local", help="which inventory: local")
    run.add_argument("--app", default="examples/fibonacci", help="directory of the app's Compose project")
    platform = commands.add_parser("platform", help="set up the Docker engine")
    platform.add_argument("--browser", action="store_true", help="set up Chromium too, for the tests")
    platform.add_argument("--or-skip", action="store_true", help="succeed where containers cannot run; the tests say what they skip")
    base = commands.add_parser("images", help="make base images available: pulled, or stand-ins")
    base.add_argument("image", nargs="+", help="such as debian:trixie-slim")
    commands.add_parser("down", help="take away what demos and tests left on this machine")
    options = parser.parse_args(arguments)
    try:
        if options.command == "demo":
            return demo.run(options.target, options.app)
        if options.command == "images":
            images.ensure(options.image)
            return 0
        if options.command == "platform":
            if options.browser:
                browser.set_up()
            return engine.set_up(or_skip=options.or_skip)
        return demo.down()
    except (images.ImageError, demo.DemoError) as problem:
        print(f"make {options.command}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"make {options.command}: interrupted; make down takes away what was started", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
