# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is found in a Dockerrun.aws.json: mistakes with their lines, collected, and what every version's images are checked for."""

from __future__ import annotations

import re
from typing import NamedTuple

from . import images
from .tolerant_json import Node

PLACEHOLDER = re.compile(r"<[^<>]+>|\$\{[^}]*\}|\$[A-Z_]+|\{\{.*?\}\}|%[A-Za-z_]+%|__[A-Z_]+__|@[A-Z_]+@")


class Finding(NamedTuple):
    """One mistake: the line it stands on, counted from 1, and what is wrong."""

    line: int
    message: str


class Report:
    """Collects findings, each once."""

    def __init__(self) -> None:
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def error(self, line: int, message: str) -> None:
        """Beanstalk or ECS refuses it, or it cannot work."""
        if Finding(line, message) not in self.errors:
            self.errors.append(Finding(line, message))

    def warn(self, line: int, message: str) -> None:
        """It works, and deserves a look."""
        if Finding(line, message) not in self.warnings:
            self.warnings.append(Finding(line, message))


def check_image(node: Node, path: str, report: Report) -> None:
    """Check an image's reference: a placeholder, what Docker would not take, or no tag is a warning."""
    image = node.value.strip()
    if PLACEHOLDER.search(image):
        report.warn(node.line, f"{path} is a placeholder left to fill: {image!r}")
        return
    reference = images.parse(image)
    if reference is None:
        report.warn(node.line, f"{path} is {image!r}, which Docker does not take as an image (lower case, registry/name:tag)")
    elif reference.tag is None and reference.digest is None:
        report.warn(node.line, f"{path} is {image!r}, without a tag: each deployment runs whatever is latest")
