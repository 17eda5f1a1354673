"""A Beanstalk environment: what differs, how a change went, which platform is the newest, and what a bundle is made of."""

from __future__ import annotations

import os
import zipfile
from io import BytesIO

import pytest
from berth import beanstalk_environment as environments
from berth import source_bundle
from berth.beanstalk_environment import ENVIRONMENT, SECRETS
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

THERE = {"EnvironmentName": "berth-shop", "VersionLabel": "v1", "Health": "Green", "Description": "a shop"}
CURRENT = {
    ("aws:autoscaling:asg", "MinSize"): "1",
    ("aws:ec2:vpc", "VPCId"): "vpc-1",
    ("aws:ec2:vpc", "Subnets"): "subnet-b,subnet-a",
    (ENVIRONMENT, "PGHOST"): "db",
    (ENVIRONMENT, "OLD"): "1",
    (SECRETS, "PGPASSWORD"): "arn:aws:secretsmanager:x",
}
WANTED = {key: value for key, value in CURRENT.items() if key[1] != "OLD"}


def difference(wanted, **other):
    given_ = {"version": "v1", "description": "a shop", "tags": {}, **other}
    return environments.difference(THERE, CURRENT, wanted, **given_)


def test_nothing_differs_but_for_a_property_that_nobody_asks_for():
    found = difference(WANTED)
    assert (found.settings, found.remove, found.version) == ({}, [(ENVIRONMENT, "OLD")], None)
    assert not difference(CURRENT)


def test_the_order_of_subnets_says_nothing():
    assert not difference(CURRENT | {("aws:ec2:vpc", "Subnets"): "subnet-a,subnet-b"})
    assert difference(CURRENT | {("aws:ec2:vpc", "Subnets"): "subnet-a,subnet-c"})
    assert difference(CURRENT | {("aws:ec2:vpc", "Subnets"): "subnet-a"})


def test_a_version_and_settings_go_in_one_update():
    found = difference(CURRENT | {("aws:autoscaling:asg", "MinSize"): "2"}, version="v2")
    assert (found.version, found.settings) == ("v2", {("aws:autoscaling:asg", "MinSize"): "2"})
    assert found.before == {"aws:autoscaling:asg MinSize": "1", "version": "v1"}
    assert found.after == {"aws:autoscaling:asg MinSize": "2", "version": "v2"}


def test_replacing_the_instances_is_said_beforehand():
    found = difference(CURRENT | {("aws:ec2:instances", "InstanceTypes"): "t4g.large"})
    assert found.after["(effect)"].startswith("instances are replaced")


def test_another_network_is_refused_with_the_way_to_do_it():
    found = difference(CURRENT | {("aws:ec2:vpc", "VPCId"): "vpc-2"})
    assert "the network" in found.refused
    assert "swap the CNAMEs" in found.refused


def test_values_are_text_as_beanstalk_has_it():
    table = environments.desired_settings(
        {"a:b": {"Yes": True, "List": ["x", "y"], "Number": 2, "Left": None}}, {"PORT": 80}, {"WORD": "arn:aws:secretsmanager:x"}
    )
    assert table == {
        ("a:b", "Yes"): "true",
        ("a:b", "List"): "x,y",
        ("a:b", "Number"): "2",
        (ENVIRONMENT, "PORT"): "80",
        (SECRETS, "WORD"): "arn:aws:secretsmanager:x",
    }


@pytest.mark.parametrize(
    ("there", "version", "events", "words"),
    [
        (THERE, "v1", [], ""),
        (THERE, "v2", [("ERROR", "no container is healthy")], "did not take version v2; it still serves version v1"),
        (THERE, "v2", [], "Beanstalk gives no reason"),
        ({**THERE, "Health": "Red"}, "v1", [], "is red"),
        ({**THERE, "Health": "Yellow"}, "v1", [("ERROR", "one instance is lost")], "one instance is lost"),
        (THERE, "v1", [("ERROR", "a hiccup that went by")], ""),
        ({**THERE, "VersionLabel": None}, "v1", [], "serves nothing yet"),
    ],
)
def test_how_a_change_went(there, version, events, words):
    found = environments.verdict(there, version, [{"Severity": severity, "Message": text} for severity, text in events])
    assert words in found
    assert bool(found) == bool(words)


def test_the_newest_platform_is_so_by_number():
    branch = "ECS running on 64bit Amazon Linux 2023"
    found = [
        {"PlatformBranchName": branch, "PlatformVersion": version, "PlatformArn": f"arn:{version}"}
        for version in ("4.9.0", "4.10.1", "4.2.9")
    ]
    assert environments.newest_platform(found, branch) == "arn:4.10.1"
    assert environments.newest_platform(found, "Docker") is None


NAMES = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(NAMES, st.binary()))
def test_a_bundle_is_the_same_whenever_and_in_whatever_order_it_is_written(tmp_path_factory, content):
    packed = []
    for items in (list(content.items()), list(reversed(content.items()))):
        folder = tmp_path_factory.mktemp("bundle")
        (folder / "Dockerrun.aws.json").write_text("{}")
        for name, data in items:
            path = folder / "files" / f"{name}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for path in folder.rglob("*"):
            os.utime(path, (len(packed) * 1000 + 1, 2))
        files = source_bundle.entries(str(folder))
        packed.append((source_bundle.pack(files), source_bundle.digest(files)))
    assert packed[0] == packed[1]
    with zipfile.ZipFile(BytesIO(packed[0][0])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "Dockerrun.aws.json": b"{}",
            **{f"files/{name}.bin": data for name, data in content.items()},
        }


@given(st.floats(1, 3600))
def test_a_change_is_seen_within_a_twentieth_of_its_time_and_costs_few_requests(lasts):
    waited, looks = 0.0, 1
    while waited < lasts:
        waited, looks = waited + environments.pause(waited), looks + 1
    assert waited - lasts <= max(0.25, lasts / 20)
    assert looks <= 110 + lasts / 5


def test_another_mode_is_another_bundle(tmp_path):
    script = tmp_path / "run"
    script.write_text("#!/bin/sh\n")
    before = source_bundle.digest(source_bundle.entries(str(tmp_path)))
    script.chmod(0o755)
    assert source_bundle.digest(source_bundle.entries(str(tmp_path))) != before


def test_a_bundle_of_some_paths_is_what_a_folder_with_them_alone_would_be(tmp_path):
    project, folder = tmp_path / "project", tmp_path / "folder"
    for name in ("web/conf.d/site.conf", "web/index.html", "api/server.js", "linked/deep/file"):
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (project / "web" / "conf.d" / "more").symlink_to(project / "linked")
    some = source_bundle.entries(str(project), ["web/conf.d/", "./web/index.html"], {"Dockerrun.aws.json": "{}"})
    assert sorted(some) == ["Dockerrun.aws.json", "web/conf.d/more/deep/file", "web/conf.d/site.conf", "web/index.html"]
    for name, entry in some.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(entry.content)
    assert source_bundle.pack(some) == source_bundle.pack(source_bundle.entries(str(folder)))
    with pytest.raises(BerthError, match="gone is not there, and containers mount it; put it there, or leave it out"):
        source_bundle.entries(str(project), ["gone"])


@pytest.mark.parametrize(("make", "words"), [(lambda path: path.mkdir(), "is empty"), (lambda path: None, "is not a directory")])
def test_what_is_no_bundle_is_said(tmp_path, make, words):
    path = tmp_path / "bundle"
    make(path)
    with pytest.raises(BerthError, match=words):
        source_bundle.entries(str(path))


@pytest.mark.parametrize(
    ("name", "fits"), [("shop", True), ("a" * 40, True), ("abc", False), ("a" * 41, False), ("-shop", False), ("sh_op", False)]
)
def test_names_that_beanstalk_takes(name, fits):
    assert (environments.name_problem(name) == "") == fits


def test_a_label_fits_what_beanstalk_takes():
    found = source_bundle.label("feature/a" + "b" * 200, "0123456789abcdef")
    assert len(found) <= 100
    assert "/" not in found
    assert found.endswith("-0123456789ab")
