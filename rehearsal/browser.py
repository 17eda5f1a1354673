"""Chromium, for the tests of the sample app's page."""

from __future__ import annotations

import os
import shutil
import subprocess


def set_up() -> None:
    """Install Chromium and its driver where Debian has them and we are root; the tests say what they skip elsewhere."""
    if shutil.which("chromium") and shutil.which("chromedriver"):
        return
    if os.geteuid() != 0 or not os.path.isfile("/etc/debian_version"):
        return
    print("Setting up Chromium, for the tests of the page: a minute, once", flush=True)
    options = ["--yes", "--quiet=2", "--no-install-recommends"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "--quiet=2"], ["apt-get", "install", *options, "chromium", "chromium-driver"]):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            return
