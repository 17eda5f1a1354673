from __future__ import annotations

import json
from copy import deepcopy

import pytest
from berth.beanstalk import inspect
from hypothesis import given, settings
from hypothesis import strategies as st

SOUND = {
    "AWSEBDockerrunVersion": 2,
    "volumes": [{"name": "conf", "host": {"sourcePath": "/var/app/current/conf"}}],
    "containerDefinitions": [
        {
            "name": "web",
            "image": "nginx:1.28",
            "essential": True,
            "memory": 128,
            "portMappings": [{"hostPort": 80, "containerPort": 80}],
            "links": ["api"],
            "mountPoints": [
                {"sourceVolume": "conf", "containerPath": "/etc/nginx/conf.d", "readOnly": True},
                {"sourceVolume": "awseb-logs-web", "containerPath": "/var/log/nginx"},
            ],
        },
        {
            "name": "api",
            "image": "registry.example.com:5000/team/api:3",
            "essential": False,
            "memoryReservation": 128,
            "environment": [{"name": "PORT", "value": "5000"}],
            "command": ["node", "api.js"],
        },
    ],
}


def lint(document):
    return inspect(document if isinstance(document, str) else json.dumps(document, indent=2))


def changed(change):
    document = deepcopy(SOUND)
    change(document, document["containerDefinitions"][0], document["containerDefinitions"][1])
    return lint(document)


def test_a_sound_file_has_no_fault_and_its_containers_are_listed():
    found = lint(SOUND)
    assert (found.version, found.errors, found.warnings) == (2, [], [])
    assert found.containers[0] == {
        "name": "web",
        "image": "nginx:1.28",
        "essential": True,
        "memory": 128,
        "ports": [{"host": 80, "container": 80, "protocol": "tcp"}],
    }


def rename(where, old, new):
    where[new] = where.pop(old)


# Each kind of mistake that people make, as they made it.
MISTAKES = {
    "no memory": (lambda d, web, api: web.pop("memory"), "neither memory nor memoryReservation"),
    "memory too small": (lambda d, web, api: web.update(memory=4), "no less than 6"),
    "reservation above the limit": (lambda d, web, api: web.update(memoryReservation=256), "above its memory"),
    "misspelt top key": (
        lambda d, web, api: rename(d, "containerDefinitions", "containerDefintions"),
        "did you mean 'containerDefinitions'",
    ),
    "misspelt version key": (
        lambda d, web, api: rename(d, "AWSEBDockerrunVersion", "AWSEBDockerRunVersion"),
        "did you mean 'AWSEBDockerrunVersion'",
    ),
    "misspelt portMappings": (lambda d, web, api: rename(web, "portMappings", "portMapping"), "did you mean 'portMappings'"),
    "misspelt memory": (lambda d, web, api: rename(web, "memory", "memmory"), "did you mean 'memory'"),
    "wrong case": (lambda d, web, api: web.update(hostName="web"), "did you mean 'hostname'"),
    "misspelt containerPath": (
        lambda d, web, api: rename(web["mountPoints"][0], "containerPath", "comtianerPath"),
        "did you mean 'containerPath'",
    ),
    "authentication in the wrong case": (
        lambda d, web, api: d.update(Authentication={"bucket": "b", "key": "k"}),
        "did you mean 'authentication'",
    ),
    "a key of nobody's": (lambda d, web, api: d.update(family="shop"), "no key of Beanstalk's"),
    "a key of another version": (lambda d, web, api: d.update(Logging="/var/log"), "a key of version 1"),
    "an optional key that is null": (lambda d, web, api: api.update(links=None), "is null; leave it out"),
    "undeclared volume": (lambda d, web, api: d.pop("volumes"), "not declared"),
    "relative sourcePath": (lambda d, web, api: d["volumes"][0]["host"].update(sourcePath="./conf"), "not absolute"),
    "no image": (lambda d, web, api: web.pop("image"), "has no image"),
    "empty image": (lambda d, web, api: web.update(image=""), "image is empty"),
    "link to nothing": (lambda d, web, api: web.update(links=["apis"]), "did you mean 'api'"),
    "link to itself": (lambda d, web, api: web.update(links=["web"]), "linked to itself"),
    "links in a circle": (lambda d, web, api: api.update(links=["web"]), "form a cycle"),
    "nothing essential": (lambda d, web, api: web.update(essential=False), "no container is essential"),
    "one host port twice": (lambda d, web, api: api.update(portMappings=[{"hostPort": 80, "containerPort": 5000}]), "host port 80/tcp"),
    "one name twice": (lambda d, web, api: api.update(name="web"), "names have to be unique"),
    "a name ECS refuses": (lambda d, web, api: api.update(name="my api"), "refused by ECS"),
    "no version": (lambda d, web, api: d.pop("AWSEBDockerrunVersion"), "is missing"),
    "an unknown version": (lambda d, web, api: d.update(AWSEBDockerrunVersion=4), "knows 1, 2 and 3"),
    "version 1 with containers": (lambda d, web, api: d.update(AWSEBDockerrunVersion=1), "belongs to version 2"),
    "version 3 with containers": (lambda d, web, api: d.update(AWSEBDockerrunVersion="3"), "belongs to version 2"),
    "a number as text": (lambda d, web, api: web.update(memory="128"), "write it without quotes"),
    "a port as text": (lambda d, web, api: web["portMappings"][0].update(hostPort="80"), "write it without quotes"),
    "a boolean as text": (lambda d, web, api: web.update(essential="true"), "write it without quotes"),
    "an environment value that is a number": (lambda d, web, api: api["environment"][0].update(value=5000), "put it in double quotes"),
    "a Compose key": (lambda d, web, api: api.update(build="./api"), "unknown key 'build'"),
    "another Compose key": (lambda d, web, api: api.update(depends_on=["web"]), "that is Compose"),
    "a command as text": (lambda d, web, api: api.update(command="node api.js"), "put it in square brackets"),
    "logs of nobody": (lambda d, web, api: web["mountPoints"][1].update(sourceVolume="awseb-logs-nginx"), "no container is called 'nginx'"),
    "no containers": (lambda d, web, api: d.update(containerDefinitions=[]), "is empty"),
    "a port out of range": (lambda d, web, api: web["portMappings"][0].update(hostPort=80000), "has to be a port number"),
    "volumes from nobody": (lambda d, web, api: web.update(volumesFrom=[{"sourceContainer": "data"}]), "no container here"),
    "an unknown log driver": (lambda d, web, api: web.update(logConfiguration={"logDriver": "awslog"}), "did you mean 'awslogs'"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_every_kind_of_mistake_is_an_error(kind):
    change, words = MISTAKES[kind]
    found = changed(change)
    assert any(words in error.message for error in found.errors), found.errors
    # The mistake itself, and no echo of it; these are seen from two sides.
    assert len(found.errors) == (2 if kind in ("version 1 with containers", "a name ECS refuses", "one name twice") else 1), found.errors


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, web, api: d["volumes"].append({"name": "old", "host": {"sourcePath": "/x"}}), "no container mounts it"),
        (lambda d, web, api: web.update(image="nginx"), "without a tag"),
        (lambda d, web, api: api.update(image="<IMAGE>"), "placeholder"),
    ],
)
def test_what_works_and_deserves_a_look_is_a_warning(change, words):
    found = changed(change)
    assert found.errors == []
    assert any(words in warning.message for warning in found.warnings)


@pytest.mark.parametrize(
    "change",
    [
        lambda d, web, api: d.update(AWSEBDockerrunVersion="2"),
        lambda d, web, api: web["portMappings"][0].pop("hostPort"),
        lambda d, web, api: web.update(image="public.ecr.aws/nginx/nginx@sha256:" + "a" * 64),
        lambda d, web, api: d.update(authentication={"bucket": "b", "key": "k"}, executionRoleArn="arn:aws:iam::1:role/x"),
        lambda d, web, api: api.update(secrets=[{"name": "PASSWORD", "valueFrom": "arn:x"}]),
        lambda d, web, api: web.update(links=["api:backend"]),
        lambda d, web, api: d["volumes"].append({"name": "awseb-logs-web", "host": {"sourcePath": "/var/log/x"}}),
    ],
)
def test_what_is_no_mistake_is_none(change):
    found = changed(change)
    assert (found.errors, found.warnings) == ([], [])


def test_the_line_is_that_of_the_mistake():
    text = '{\n  "AWSEBDockerrunVersion": 2,\n  "containerDefintions": [\n    {"name": "a",\n     "image": "b:1",\n     "memmory": 128}\n  ]\n}\n'
    assert [(error.line, "did you mean" in error.message) for error in lint(text).errors] == [(3, True), (6, True)]


@pytest.mark.parametrize("text", ["", "   \n", "\n\n"])
def test_an_empty_file_says_so(text):
    assert "empty" in lint(text).errors[0].message


@pytest.mark.parametrize("text", ["[]", "3", '"a"', "null", "hello"])
def test_what_is_no_object_says_so(text):
    assert lint(text).errors


V1 = {"AWSEBDockerrunVersion": "1", "Image": {"Name": "team/app:1", "Update": "true"}, "Ports": [{"ContainerPort": "8080"}]}


@pytest.mark.parametrize(
    "document",
    [
        V1,
        {**V1, "Ports": [{"ContainerPort": 8080, "HostPort": 80}]},
        {**V1, "AWSEBDockerrunVersion": 1},
        {"AWSEBDockerrunVersion": "1", "Ports": [{"ContainerPort": "5000"}]},
        {
            **V1,
            "Authentication": {"Bucket": "b", "Key": "k"},
            "Logging": "/var/log",
            "Volumes": [{"HostDirectory": "/a", "ContainerDirectory": "/b"}],
        },
        {"AWSEBDockerrunVersion": 3, "Authentication": {"bucket": "b", "key": "k"}},
        {"AWSEBDockerrunVersion": "3"},
    ],
)
def test_sound_files_of_versions_1_and_3(document):
    found = lint(document)
    assert (found.errors, found.warnings) == ([], [])


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({**V1, "image": V1["Image"]}, "'image'"),
        ({"AWSEBDockerrunVersion": "1", "image": {"Name": "a:1"}}, "did you mean 'Image'"),
        ({**V1, "Image": {"Name": ""}}, "no Name"),
        ({**V1, "Image": "app:1"}, "has to be an object"),
        ({**V1, "Ports": [{"ContainerPorts": "80"}]}, "did you mean 'ContainerPort'"),
        ({**V1, "Ports": {"ContainerPort": "80"}}, "has to be a list"),
        ({**V1, "Ports": [{"ContainerPort": "http"}]}, "port number"),
        ({**V1, "Authentication": {"Bucket": "b"}}, "no key"),
    ],
)
def test_mistakes_in_version_1(document, words):
    found = lint(document)
    assert any(words in each.message for each in [*found.errors, *found.warnings])


def test_credentials_that_name_nothing_have_no_effect():
    # As templates leave them where images are public: Beanstalk deploys that.
    found = lint({**V1, "Authentication": {}})
    assert found.errors == [] and ["has no effect" in each.message for each in found.warnings] == [True]


@settings(max_examples=200)
@given(st.data())
def test_no_value_anywhere_makes_it_stumble(data):
    """One place of a sound file holds anything at all."""
    document = deepcopy(SOUND)
    place = document
    while True:
        keys = list(place.keys()) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(
                st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([[None]])
            )
            break
        place = inner
    lint(document)
