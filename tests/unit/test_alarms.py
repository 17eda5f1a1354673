"""Alarms: what PutMetricAlarm is asked, and what differs from what DescribeAlarms says."""

from __future__ import annotations

import pytest
from berth import alarms
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

STORAGE = {"metric": "FreeStorageSpace", "dimensions": {"DBInstanceIdentifier": "shop"}, "below": "4294967296"}


def request(**more):
    return alarms.requests({"shop-storage": {**STORAGE, **more}}, "AWS/RDS", ["arn:topic"])["shop-storage"]


def test_a_threshold_below_is_a_less_than():
    made = request()
    assert (made["ComparisonOperator"], made["Threshold"]) == ("LessThanThreshold", 4294967296.0)
    assert made["Dimensions"] == [{"Name": "DBInstanceIdentifier", "Value": "shop"}]
    assert made["AlarmActions"] == made["OKActions"] == ["arn:topic"]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 100), st.sampled_from(["missing", "breaching", "notBreaching"]))
def test_what_was_put_is_no_difference(threshold, periods, missing):
    made = request(below=threshold, periods=periods, missing=missing)
    described = {**made, "StateValue": "OK", "AlarmArn": "arn:x"}
    if not described["AlarmDescription"]:
        del described["AlarmDescription"]
    assert alarms.difference(described, made) == {}
    assert alarms.difference(None, made) == made
    assert alarms.difference({**described, "Period": 1}, made) == {"Period": 300}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"above": 3}, "one threshold"),
        ({"below": None}, "one threshold"),
        ({"below": "much"}, "'much', and has to be a number"),
        ({"metrik": "x"}, "did you mean 'metric'"),
        ({"metric": ""}, "names no metric"),
    ],
)
def test_what_is_no_alarm_is_refused_by_name(change, words):
    with pytest.raises(BerthError, match="shop-storage") as caught:
        request(**change)
    assert words in str(caught.value)
