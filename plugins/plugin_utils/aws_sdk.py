# Copyright: Berth contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS's SDK, imported before Ansible forks, and what it reads of its own files read once.

Each client that a module opens has a session of its own, and each session reads the SDK's list of services, its endpoints and its models
anew: a tenth of a second of computing for a client, several clients to a module, dozens of modules to a run. Here one loader serves all
sessions of a process, and what a module's clients need is in it when the workers are forked.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import re
from pathlib import Path
from typing import Any

_MODULES = Path(__file__).resolve().parents[1] / "modules"

try:
    import boto3
    import botocore.exceptions
    import botocore.session
    from ansible_collections.amazon.aws.plugins.module_utils import modules, policy, rds, retries, s3, waiters  # noqa: F401

    # Not of botocore's public interface: where it goes by another name, clients are as slow as they are elsewhere.
    if hasattr(botocore.session, "create_loader"):
        botocore.session.create_loader = functools.cache(botocore.session.create_loader)
except ImportError:  # each module says itself that one is missing
    boto3 = None


@functools.cache
def _session() -> Any:
    return boto3.session.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")


@functools.cache
def _read(service: str) -> None:
    # What the user has configured is for the modules to read, and to say what is wrong with it.
    with contextlib.suppress(botocore.exceptions.BotoCoreError):
        _session().client(service)


def prepare(module: str) -> None:
    """Have read what the clients of a module of ours, by its name, will need."""
    if boto3 is None:
        return
    for service in sorted(set(re.findall(r'client\("([a-z0-9]+)"', (_MODULES / f"{module}.py").read_text(encoding="utf-8")))):
        _read(service)
    # It all stays. No worker looks through it for what could be given back, which would have it copied.
    gc.freeze()
