"""What holds across the repository: pins that agree, roles of one shape, documentation for every module."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
SLOTS = ("platform", "postgres", "redis", "app")
ENTRY_POINTS = {"main", "connection", "status", "backup", "restore", "destroy"}
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
SLOT_ROLES = [name for name in ROLES if name.split("_")[0] in SLOTS]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))


def load(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def bundled():
    result = subprocess.run(["ansible-galaxy", "collection", "list", "--format", "json"], capture_output=True, text=True, check=True)
    return {name: entry["version"] for found in json.loads(result.stdout).values() for name, entry in found.items()}


def test_the_bundle_carries_every_collection_in_the_range_that_requirements_yml_gives(bundled):
    for entry in load(ROOT / "requirements.yml")["collections"]:
        assert bundled[entry["name"]] in SpecifierSet(entry["version"]), entry


def test_the_installed_packages_are_the_pinned_ones():
    from packaging.requirements import Requirement

    for line in (ROOT / "requirements.txt").read_text().splitlines() + (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                assert importlib.metadata.version(requirement.name) in requirement.specifier, line


@pytest.mark.parametrize("role", SLOT_ROLES)
def test_a_slots_role_has_every_entry_point_and_describes_it(role):
    folder = ROOT / "roles" / role
    assert {path.stem for path in (folder / "tasks").glob("*.yml")} >= ENTRY_POINTS
    assert set(load(folder / "meta" / "argument_specs.yml")["argument_specs"]) >= ENTRY_POINTS


@pytest.mark.parametrize("role", ROLES)
def test_every_role_variable_is_prefixed_commented_and_specified(role):
    folder = ROOT / "roles" / role
    defaults = load(folder / "defaults" / "main.yml")
    text = (folder / "defaults" / "main.yml").read_text()
    specified = {
        name for entry in load(folder / "meta" / "argument_specs.yml")["argument_specs"].values() for name in entry.get("options") or {}
    }
    for name in defaults:
        assert name.startswith(f"{role}_")
        assert name in specified
        # Variables of one kind share the comment above the first of them.
        block = next(block for block in text.split("\n\n") if re.search(rf"(?m)^{name}:", block))
        assert any(line.startswith("#") for line in block.splitlines())
    assert len((folder / "README.md").read_text().splitlines()) <= 40


def test_no_playbook_names_a_provider():
    words = re.compile(r"aws|amazon|digitalocean|_local|_rds|droplet", re.IGNORECASE)
    for path in (ROOT / "playbooks").glob("*.yml"):
        assert not words.search(path.read_text()), path


def test_every_module_has_its_manual_page():
    result = subprocess.run(["ansible-doc", "-t", "module", "--json", *MODULES], cwd=ROOT, capture_output=True, text=True, check=True)
    pages = json.loads(result.stdout)
    for module in MODULES:
        assert pages[module]["doc"]["short_description"], module
        assert pages[module]["examples"], module
        assert pages[module]["return"], module


def test_no_python_file_is_over_300_lines():
    for folder in ("plugins/module_utils", "rehearsal", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 300, path


PAGES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", "node_modules", ".cache"} & set(path.relative_to(ROOT).parts))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.split("#")[0]).exists(), target
