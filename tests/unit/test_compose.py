from __future__ import annotations

import pytest
from berth.compose import read_project
from berth.compose_source import Source, explain
from berth.problems import BerthError

from tests.unit.rendering import run, write

pytestmark = pytest.mark.compose


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "compose.yaml", "empty"),
        ("services:\n  a:\n    image: x\n   b: [\n", "compose.yaml:4:4", "not valid YAML"),
        ("- a\n", "compose.yaml:1", "a Compose file is a mapping"),
        ("services:\n  a:\n    image: x\n    imgae: y\n", "compose.yaml:4", "unknown key 'imgae'; did you mean 'image'?"),
        ("services:\n  a: {image: x}\nservcies: {}\n", "compose.yaml:3", "did you mean 'services'?"),
        ("servces:\n  a: {image: x}\n", "compose.yaml:1", "did you mean 'services'?"),
        ("services:\n  a:\n    build: .\n    dockerfile: x\n", "compose.yaml:4", "unknown key 'dockerfile'; it stands below build now"),
        ("web:\n  image: x\n", "compose.yaml:1", "'web' stands at the file's top, as in Compose's first format"),
        ("services:\n  a: {image: x}\n  api:\n    command: go\n", "compose.yaml:3", "neither image: nor build:"),
        ("services:\n  a:\n    image: x\n    env_file: nope.env\n", "compose.yaml:4", "does not exist"),
        (
            "services:\n  a:\n    image: x\n    environment:\n      A: ${BERTH_NOPE:?say it}\n",
            "compose.yaml:5",
            "BERTH_NOPE is required and not set (say it)",
        ),
        ("services:\n  a:\n    image: x\n    depends_on: [b]\n", "compose.yaml:2", "undefined service"),
        ("services:\n  a:\n    image: [x]\n", "compose.yaml:3", "must be a string"),
        ("services:\n  a:\n    image: x\n    image: y\n", "compose.yaml:4", "already defined"),
        ("services: {}\n", "compose.yaml", "no services"),
        ("services:\n  a: {image: x, profiles: [p]}\n", "compose.yaml", "name them with profiles"),
    ],
)
def test_what_compose_refuses_is_said_with_file_and_line(text, place, words, tmp_path):
    write(tmp_path, text)
    with pytest.raises(BerthError) as refusal:
        read_project(run, str(tmp_path))
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path}/{place}"), message
    assert words in message


def test_an_undefined_variable_is_warned_of_with_its_place(tmp_path):
    write(tmp_path, "services:\n  a:\n    image: x\n    environment:\n      # $BERTH_NOPE\n      A: ${BERTH_NOPE}\n")
    project = read_project(run, str(tmp_path))
    assert project.warnings == [
        f"{tmp_path}/compose.yaml:6: variable BERTH_NOPE is not set, and is taken as empty; set it in the environment or in an env file"
    ]


def test_no_compose_file_and_no_directory_are_said(tmp_path):
    with pytest.raises(BerthError, match="no Compose file in"):
        read_project(run, str(tmp_path))
    with pytest.raises(BerthError, match="is not a directory"):
        read_project(run, str(tmp_path / "nowhere"))
    with pytest.raises(BerthError, match=r"other\.yaml does not exist"):
        read_project(run, str(tmp_path), ["other.yaml"])


def test_files_are_merged_variables_filled_and_dollars_come_back_single(tmp_path):
    write(tmp_path, "services:\n  a: {image: 'x:${TAG:-1}', command: [echo, 'costs $$5'], environment: {A: one}}\n")
    (tmp_path / "compose.override.yaml").write_text("services:\n  a: {environment: {B: two}}\n")
    (tmp_path / "my.env").write_text("TAG=7\n")
    service = read_project(run, str(tmp_path), env_files=["my.env"]).services["a"]
    assert service["image"] == "x:7"
    assert service["command"] == ["echo", "costs $5"]
    assert service["environment"] == {"A": "one", "B": "two"}


def test_a_missing_plugin_is_said():
    assert "Compose plugin" in explain("docker: 'compose' is not a docker command.", [])


def test_what_is_too_new_for_the_compose_that_is_here_is_told_as_that(tmp_path):
    path = tmp_path / "compose.yaml"
    path.write_text("services:\n  db:\n    provider: {type: cloud}\n")
    said = "validating compose.yaml: services.db Additional property provider is not allowed"
    assert explain(said, [Source(str(path))]).startswith(
        f"{path}:3: services.db has 'provider', which the Docker Compose of this machine is too old"
    )
    said = "validating compose.yaml: services.db.build Additional property ports is not allowed"
    assert explain(said, [Source(str(path))]).endswith("services.db.build has an unknown key 'ports'")
