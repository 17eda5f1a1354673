"""Renders the project in the first argument with Berth's functions alone: Compose's run, the rendering, the checks, no Ansible."""

from __future__ import annotations

import sys

from berth import beanstalk, compose, dockerrun
from berth.selection import Options, select

from rehearsal.reading import run

project = compose.read_project(run, sys.argv[1])
options = Options()
text = dockerrun.canonical(dockerrun.version_2(project, select(project, options), options))
sys.exit(1 if beanstalk.inspect(text).errors else 0)
