"""Base images: pulled where a registry answers, else built from Debian packages as stand-ins that keep the official images' contract."""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import docker
import docker.errors

STAND_IN = "org.berth.stand-in"
_FOLDER = Path(__file__).parent / "images"
_CONTENT = f"{STAND_IN}.content"
_RELEASE = "trixie"
# Another release of Debian has another major release of what is stood in for: build arguments of the stand-in's Dockerfile.
_OLDER = {("postgres", "15"): {"RELEASE": "bookworm", "MAJOR": "15"}}
# What makes the base as small as Debian's own.
_BASE = _FOLDER / "debian"
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PULL_SECONDS = 600
Say = Callable[[str], None]


class ImageError(Exception):
    """An image that can neither be pulled nor stood in for. The message is shown to the user as it is."""


def stand_in_for(image: str) -> str | None:
    """The folder of the stand-in for an official image (``node`` for ``node:22-slim``), or None where there is none."""
    name = re.sub(r"^(?:docker\.io/|public\.ecr\.aws/docker/)?(?:library/)?", "", image).split("@")[0].split(":")[0]
    if name in ("debian",):
        return "debian"
    # Valkey's project publishes its image under its own name; Debian has no MySQL, and MariaDB speaks as it does.
    name = {"valkey/valkey": "valkey", "mysql": "mariadb"}.get(name, name)
    return name if (_FOLDER / name / "Dockerfile").is_file() else None


def variant(image: str) -> dict[str, str]:
    """With which build arguments an image is stood in for; none for what Debian has now."""
    tag = re.sub(r"^.*/", "", image).split("@")[0].partition(":")[2]
    return _OLDER.get((stand_in_for(image) or "", re.split(r"[.-]", tag)[0]), {})


def ensure(images: Iterable[str], say: Say = print) -> list[str]:
    """Make every image available on this engine. Returns those that are stand-ins.

    Raises :class:`ImageError` for one that can be had in no way.
    """
    client = docker.from_env()
    wanted = list(dict.fromkeys(images))
    missing = [image for image in wanted if _stale(_labels(client, image), variant(image))]
    for image in missing:
        if not _pull(image, say):
            _build(client, image, say)
    return [image for image in wanted if STAND_IN in (_labels(client, image) or {})]


def build(tag: str, folder: Path, say: Say = lambda text: print(f"  {text}", flush=True)) -> None:
    """Have an image of the rehearsal's own, built from a folder where it is missing or made of other files. Raises :class:`ImageError`."""
    if (_labels(docker.from_env(), tag) or {}).get(_CONTENT) == _content(folder):
        return
    ensure([_base(_RELEASE)], say)
    _make(tag, folder, lambda: say(f"building {tag} from Debian packages (a minute, once)"))


def _base(release: str) -> str:
    return f"debian:{release}-slim"


def _content(folder: Path, arguments: dict[str, str] | None = None) -> str:
    """A digest of what an image is made of, its base included."""
    files = [path for each in (folder, _BASE) for path in sorted(each.rglob("*")) if path.is_file()]
    found = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    found.update(repr(sorted(arguments.items())).encode() if arguments else b"")
    return found.hexdigest()


def _stale(labels: dict[str, str] | None, arguments: dict[str, str]) -> bool:
    """Whether an image is missing, or stands in as an earlier version of this project built it."""
    if labels is None:
        return True
    folder = _FOLDER / labels.get(STAND_IN, "-")
    return folder.is_dir() and labels.get(_CONTENT) != _content(folder, arguments)


def _make(tag: str, folder: Path, begin: Callable[[], None], arguments: dict[str, str] | None = None) -> None:
    """Build an image from a folder, unless it is there and made of the same files."""
    content = _content(folder, arguments)
    if (_labels(docker.from_env(), tag) or {}).get(_CONTENT) == content:
        return
    begin()
    options = ["--label", f"{STAND_IN}={folder.name}", "--label", f"{_CONTENT}={content}"]
    for key, value in (arguments or {}).items():
        options += ["--build-arg", f"{key}={value}"]
    command = ["docker", "build", "--quiet", *options, "--tag", tag, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ImageError(f"{tag}: could not be built:\n" + "\n".join(result.stderr.strip().splitlines()[-15:]))


def _labels(client: Any, image: str) -> dict[str, str] | None:
    """The labels of a local image, or None where there is none."""
    try:
        return dict(client.images.get(image).labels or {})
    except docker.errors.ImageNotFound:
        return None


def _pull(image: str, say: Say) -> bool:
    say(f"pulling {image}")
    try:
        result = subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, text=True, timeout=_PULL_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return result.returncode == 0


def _build(client: Any, image: str, say: Say) -> None:
    name = stand_in_for(image)
    if name is None:
        raise ImageError(f"{image}: no registry that has it can be reached, and Berth has no stand-in for it; load it with docker load")
    arguments = variant(image)
    release = arguments.get("RELEASE", _RELEASE)
    base = _base(release)
    if _stale(_labels(client, base), {}) and (name == "debian" or not _pull(base, say)):
        _debootstrap(client, say, release)
    if name == "debian":
        if image != base:
            client.images.get(base).tag(image)
        return
    built = "-".join(["berth/stand-in", name, *([arguments["MAJOR"]] if arguments else [])])
    begin = partial(say, f"building a stand-in for {image} from Debian packages (a minute, once)")
    _make(built, _FOLDER / name, begin, arguments)
    client.images.get(built).tag(image)


def _debootstrap(client: Any, say: Say, release: str) -> None:
    """Make the base image from Debian's archive. It carries this machine's CA bundle, for networks with a proxy that has its own."""
    base = _base(release)
    say(f"building {base} from Debian's archive (half a minute, once)")
    if shutil.which("debootstrap") is None:
        _check(["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", "debootstrap"], "debootstrap cannot be installed")
    with tempfile.TemporaryDirectory(prefix="berth-base-") as folder:
        root = Path(folder) / "root"
        include = "--include=ca-certificates"
        _check(["debootstrap", "--variant=minbase", include, release, str(root), *_mirror()], f"{base} cannot be built")
        shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
        _check(["sh", str(_BASE / "slim.sh"), str(root)], f"{base} cannot be made smaller")
        if _BUNDLE.is_file():
            shutil.copyfile(_BUNDLE, root / str(_BUNDLE).lstrip("/"))
        archive = Path(folder) / "root.tar"
        _check(
            ["tar", "--create", "--numeric-owner", "--directory", str(root), "--file", str(archive), "."], "the base image cannot be packed"
        )
        changes = [f"LABEL {STAND_IN}=debian {_CONTENT}={_content(_BASE)}", 'CMD ["bash"]']
        changes += [f"ENV {name}={_BUNDLE}" for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT")]
        repository, tag = base.split(":")
        client.api.import_image(src=str(archive), repository=repository, tag=tag, changes=changes)


def _mirror() -> list[str]:
    """The machine's own archive, where it is a Debian; debootstrap's default otherwise."""
    command = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Origin: Debian"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.split()[:1]


def _check(command: list[str], problem: str) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ImageError(f"{problem}: there is no {command[0]} on this machine") from None
    if result.returncode != 0:
        lines = (result.stdout + result.stderr).strip().splitlines()[-5:]
        raise ImageError(f"{problem} ({command[0]} needs root):\n" + "\n".join(lines))


def remove_stand_ins(say: Say = print) -> None:
    """Remove every stand-in from this engine, under all its names."""
    client = docker.from_env()
    for image in client.images.list(all=True, filters={"label": STAND_IN}):
        for tag in image.tags:
            say(f"removing {tag}")
            # Another command may take it away meanwhile.
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.images.remove(tag, force=True)
