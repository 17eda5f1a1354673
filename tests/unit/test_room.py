"""A disk of the machine that runs Ansible that is full: said before anything is made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that never has room, such as /proc")
@pytest.mark.parametrize("playbook", ["site.yml", "platform.yml", "deploy.yml"])
def test_a_full_disk_is_refused_before_anything_is_asked_of_a_cloud(playbook):
    # No cloud answers there, so whatever went on would fail otherwise.
    environment = {**os.environ, "TMPDIR": "/proc", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    command = ["ansible-playbook", "-i", "inventories/aws", f"playbooks/{playbook}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode
    said = " ".join(done.stdout.split())
    assert "/proc has 0 MB left on the machine that runs Ansible" in said
    assert "name another folder with TMPDIR. Nothing was changed." in said
    assert "aws_account : ok=0 changed=0 unreachable=0 failed=1" in said
