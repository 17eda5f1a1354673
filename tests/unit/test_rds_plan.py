"""What a change of an RDS instance interrupts, and what RDS cannot do."""

from __future__ import annotations

import pytest
from berth import rds_plan
from hypothesis import given
from hypothesis import strategies as st

CURRENT = {
    "EngineVersion": "16.9",
    "AllocatedStorage": 50,
    "StorageEncrypted": True,
    "DBSubnetGroup": {"DBSubnetGroupName": "shop"},
    "DBInstanceClass": "db.t4g.small",
    "MultiAZ": True,
    "BackupRetentionPeriod": 14,
}
WANTED = {
    "engine_version": "16",
    "instance_class": "db.t4g.small",
    "storage": 50,
    "most_storage": 200,
    "multi_az": True,
    "backup_days": 14,
    "encrypted": True,
    "subnet_group": "shop",
    "major_upgrade": True,
}


def test_what_is_as_it_should_be_is_neither_refused_nor_changed():
    assert rds_plan.refused("shop", CURRENT, WANTED) == ""
    assert rds_plan.effects(CURRENT, WANTED) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine_version": "15"}, "AWS cannot go back to 15"),
        ({"engine_version": "16.8"}, "AWS cannot go back to 16.8"),
        ({"storage": 20, "most_storage": 0}, "cannot shrink"),
        ({"encrypted": False}, "copy a snapshot"),
        ({"engine_version": "17", "major_upgrade": False}, "allow it with major_upgrade"),
        ({"subnet_group": "other"}, "restore a snapshot of it there"),
        ({"storage": 10}, "less than the 20"),
        ({"storage": 100, "most_storage": 60}, "most_storage: 60 GiB is less"),
    ],
)
def test_what_aws_cannot_do_in_place_is_refused_with_the_way(change, words):
    assert words in rds_plan.refused("shop", CURRENT, {**WANTED, **change})


def test_storage_that_grew_by_itself_is_no_mistake():
    assert rds_plan.refused("shop", {**CURRENT, "AllocatedStorage": 150}, WANTED) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"engine_version": "17"}, "major upgrade"),
        ({"engine_version": "16.10"}, "16.9 → 16.10: restarts"),
        ({"instance_class": "db.t4g.medium"}, "a failover to the standby"),
        ({"multi_az": False}, "no interruption; the standby goes"),
        ({"storage": 80}, "50 → 80 GiB: no interruption"),
        ({"backup_days": 0}, "restarts the database"),
        ({"backup_days": 30}, "no interruption"),
    ],
)
def test_each_change_says_what_it_interrupts(change, words):
    said = rds_plan.effects(CURRENT, {**WANTED, **change})
    assert len(said) == 1
    assert words in said[0]


def test_versions_and_classes_that_rds_does_not_offer_are_named_beside_those_that_it_does():
    offered = ["16.9", "16.10", "17.5", "17.6"]
    assert rds_plan.version_problem("17", offered) == rds_plan.version_problem("17.6", offered) == ""
    assert rds_plan.version_problem("17.9", offered).endswith("it has 17.5, 17.6")
    assert rds_plan.version_problem("12", offered).endswith("it has 16, 17")
    classes = {"db.t4g.small": True, "db.x": False}
    assert "did you mean 'db.t4g.small'" in rds_plan.class_problem("db.t4g.smal", classes, True)
    assert "one zone alone" in rds_plan.class_problem("db.x", classes, True)
    assert rds_plan.class_problem("db.x", classes, False) == ""


@given(st.integers(10, 20), st.integers(0, 20), st.integers(10, 20), st.integers(0, 20))
def test_going_back_is_refused_and_nothing_else_for_versions(major, minor, wanted_major, wanted_minor):
    running, wanted = f"{major}.{minor}", f"{wanted_major}.{wanted_minor}"
    back = bool(rds_plan.refused("shop", {**CURRENT, "EngineVersion": running}, {**WANTED, "engine_version": wanted}))
    assert back == ((wanted_major, wanted_minor) < (major, minor))
