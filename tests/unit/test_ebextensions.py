"""What a source bundle has an instance do before its containers begin."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import yaml
from berth import ebextensions


def test_the_folders_of_volumes_are_open_to_containers_of_any_user_and_what_one_has_taken_for_itself_stays_so(tmp_path: Path):
    above = tmp_path / "volumes of the app"
    paths = [str(above / "uploads"), str(above / "it's")]
    command = yaml.safe_load(ebextensions.folders([*paths, paths[0]])[ebextensions.PATH])["commands"]["berth_volumes"]["command"]
    command = command.replace("= 0:755", f"= {os.getuid()}:755")
    # As Docker made one of them before.
    (above / "uploads").mkdir(parents=True)
    subprocess.run(["sh", "-c", command], check=True)
    assert [oct(Path(each).stat().st_mode & 0o7777) for each in (str(above), *paths)] == ["0o711", "0o1777", "0o1777"]
    Path(paths[0]).chmod(0o700)
    subprocess.run(["sh", "-c", command], check=True)
    assert oct(Path(paths[0]).stat().st_mode & 0o7777) == "0o700"


def test_where_nothing_is_kept_nothing_is_done():
    assert ebextensions.folders([]) == {}
