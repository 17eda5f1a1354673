# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compose's sizes and durations in ECS's units."""

from __future__ import annotations

import math
import re

MIB = 1024 * 1024
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_BYTES = {"": 1, "b": 1, "k": 1024, "m": MIB, "g": 1024 * MIB, "t": 1024 * 1024 * MIB}


def seconds(duration: str) -> int:
    """A Go duration (``1m30s``) in whole seconds, rounded up."""
    return math.ceil(sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(h|ms|us|µs|ns|m|s)", duration)))


def in_bytes(size: str | int | float) -> int:
    """A size (``64m``, ``1.5g``, ``1048576``) in bytes. Raises ValueError for anything else."""
    found = re.fullmatch(r"\s*([\d.]+)\s*([bkmgt]?)i?b?\s*", str(size).lower())
    if not found:
        raise ValueError(size)
    return int(float(found[1]) * _BYTES[found[2]])


def mebibytes(size: str | int | float) -> int:
    """A size in MiB, rounded up: never less than was asked for."""
    return math.ceil(in_bytes(size) / MIB)
