"""What a release is called, and what is said when it cannot be built."""

from __future__ import annotations

import subprocess

import pytest
from berth import release
from berth.problems import BerthError


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def git(folder, *words):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text("services: {}\n")
    return folder


def test_outside_git_it_is_what_the_content_says(project):
    first = release.name_of(str(project), run, None)
    assert first == release.name_of(str(project), run, None)
    (project / "more").write_text("x")
    assert release.name_of(str(project), run, None) != first


def test_in_git_it_is_the_commit_and_more_where_something_is_not_committed(project):
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    _code, commit, _err = run(["git", "-C", str(project), "log", "-1", "--format=%h"])
    assert release.name_of(str(project), run, None) == commit.strip()
    (project / "compose.yaml").write_text("services: {a: {image: b}}\n")
    dirty = release.name_of(str(project), run, None)
    assert dirty.startswith(f"{commit.strip()}-")
    (project / "compose.yaml").write_text("services: {}\n")
    assert release.name_of(str(project), run, None) == commit.strip()


def test_what_is_built_from_elsewhere_in_the_repository_makes_another_release(tmp_path, project):
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "main.py").write_text("one")
    services = {"api": {"build": {"context": str(tmp_path / "api")}}, "web": {"build": {"context": str(project)}}}
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    first = release.name_of(str(project), run, None, services)
    (tmp_path / "api" / "main.py").write_text("two")
    dirty = release.name_of(str(project), run, None, services)
    assert dirty.startswith(f"{first}-")
    git(tmp_path, "commit", "-am", "second")
    second = release.name_of(str(project), run, None, services)
    assert second not in (first, dirty)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "third")
    assert release.name_of(str(project), run, None, services) == second
    everything = {"api": {"build": {"context": str(tmp_path)}}}
    assert release.name_of(str(project), run, None, everything) not in (first, second)


def test_a_dockerfile_that_lies_elsewhere_counts(tmp_path, project):
    for name in ("api", "docker"):
        (tmp_path / name).mkdir()
    services = {"api": {"build": {"context": str(tmp_path / "api"), "dockerfile": "../docker/api.Dockerfile"}}}
    first = release.name_of(str(project), run, None, services)
    (tmp_path / "docker" / "api.Dockerfile").write_text("FROM scratch\n")
    assert release.name_of(str(project), run, None, services) != first


def test_outside_git_what_is_built_from_elsewhere_counts_too(tmp_path, project):
    (tmp_path / "api").mkdir()
    services = {"api": {"build": {"context": str(tmp_path / "api")}}}
    first = release.name_of(str(project), run, None, services)
    (tmp_path / "api" / "main.py").write_text("two")
    assert release.name_of(str(project), run, None, services) != first


def test_another_argument_of_a_build_makes_another_release(project):
    git(project, "init")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    names = [
        release.name_of(str(project), run, None, {"web": {"build": {"context": str(project), "args": {"API": each}}}})
        for each in ("a", "b", "a")
    ]
    assert names[0] == names[2] != names[1]
    assert all(each.startswith(f"{release.name_of(str(project), run, None)}-") for each in names)


def test_a_commit_elsewhere_in_the_repository_is_no_new_release(tmp_path, project):
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    first = release.name_of(str(project), run, None)
    (tmp_path / "README").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "second")
    assert release.name_of(str(project), run, None) == first


def test_a_given_name_has_to_be_a_tag(project):
    assert release.name_of(str(project), run, "v1.2") == "v1.2"
    with pytest.raises(BerthError, match=r"app_release: 'v 1' is no image tag"):
        release.name_of(str(project), run, "v 1")


def test_only_what_is_built_is_pushed():
    services = {"api": {"build": {"context": "."}}, "web": {"build": {"context": "."}}, "db": {"image": "postgres"}}
    assert release.built(services, None) == ["api", "web"]
    assert release.built(services, ["web", "db"]) == ["web"]


def test_the_cause_of_a_failed_build_is_found_among_its_progress():
    out = "#1 [api 1/3] FROM node\n#2 CACHED\n"
    err = "#7 ERROR: process npm ci did not complete\nfailed to solve: exit code 1\n"
    assert release.failure(out, err) == "#7 ERROR: process npm ci did not complete\nfailed to solve: exit code 1"


def test_a_build_that_fails_shows_the_step_and_what_it_said():
    out = "#8 [api 4/4] RUN npm ci\n#8 0.2 resolving\n#8 ERROR: process did not complete\n"
    err = "------\n > [api 4/4] RUN npm ci:\n0.230 resolving\n0.231 npm ERR! 404 no such package\n------\nDockerfile:4\n-----\n   4 | RUN npm ci\n-----\n"
    said = release.failure(out, err + "failed to solve: exit code: 1\n")
    assert said == "[api 4/4] RUN npm ci:\n  resolving\n  npm ERR! 404 no such package\nfailed to solve: exit code: 1"
