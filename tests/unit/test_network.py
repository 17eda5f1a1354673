"""The network as it should be, who we are to AWS, and errors that say what to do."""

from __future__ import annotations

import ipaddress

import pytest
from berth import aws, aws_account, network
from berth.problems import BerthError
from botocore.exceptions import ConnectionClosedError
from hypothesis import given
from hypothesis import strategies as st

ZONES = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]


@given(st.integers(16, 22), st.integers(0, 255), st.integers(2, 3))
def test_subnets_lie_in_the_network_and_apart(prefix, second, zones):
    whole = ipaddress.IPv4Network(f"10.{second}.0.0/{prefix}")
    found = network.subnets(str(whole), ZONES[:zones])
    cut = [ipaddress.IPv4Network(each.cidr) for each in found]
    assert len(found) == 2 * zones
    assert all(each.subnet_of(whole) for each in cut)
    assert not any(a.overlaps(b) for index, a in enumerate(cut) for b in cut[index + 1 :])
    assert {(each.zone, each.public) for each in found} == {(zone, public) for zone in ZONES[:zones] for public in (True, False)}


def test_a_third_zone_moves_no_subnet():
    two, three = network.subnets("10.0.0.0/16", ZONES[:2]), network.subnets("10.0.0.0/16", ZONES)
    assert set(two) < set(three)


@pytest.mark.parametrize(
    ("cidr", "zones", "words"),
    [
        ("10.0.0.0", ZONES, "/16 to /22"),
        ("10.0.0.1/16", ZONES, "'10.0.0.1/16' is no network"),
        ("everywhere", ZONES, "is no network"),
        ("8.8.0.0/16", ZONES, "is public"),
        ("10.0.0.0/8", ZONES, "/16 to /22"),
        ("10.0.0.0/16", ZONES[:1], "need 2"),
    ],
)
def test_a_network_that_aws_would_refuse_is_refused_first(cidr, zones, words):
    with pytest.raises(BerthError, match=words):
        network.subnets(cidr, zones)


def test_only_the_app_reaches_the_data_and_only_the_load_balancer_reaches_the_app():
    found = {each.part: each for each in network.groups(["0.0.0.0/0", "::/0"], {"redis": 6379, "postgres": 5432})}
    assert [(rule.port, rule.source) for rule in found["postgres"].rules] == [(5432, "app")]
    assert [(rule.port, rule.source) for rule in found["redis"].rules] == [(6379, "app")]
    assert [(rule.port, rule.source) for rule in found["app"].rules] == [(80, "load-balancer")]
    assert {rule.source for rule in found["load-balancer"].rules} == {"0.0.0.0/0", "::/0"}


def test_a_visitor_has_to_be_a_network():
    with pytest.raises(BerthError, match=r"visitors: 'office' is no CIDR"):
        network.groups(["office"], {})


@given(st.sampled_from([80, 443, 5432]), st.sampled_from(["0.0.0.0/0", "::/0", "app"]), st.text(max_size=20))
def test_a_rule_is_read_back_as_it_was_written(port, source, why):
    ids = {"app": "sg-1"}
    written = network.permission(port, source, ids, why)
    assert network.rules_of({"IpPermissions": [written]}, {"sg-1": "app"}) == {(port, source): why}


def test_a_rule_by_somebody_elses_hand_is_seen():
    opened = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    assert network.rules_of({"IpPermissions": [opened]}, {}) == {(-1, "0.0.0.0/0"): ""}


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "ap-southeast-7", "cn-north-1"])
def test_regions_that_there_are_or_may_come(region):
    aws_account.check_region(region, ["eu-central-1"])


@pytest.mark.parametrize(
    ("region", "words"),
    [("eu-centrl-1", "did you mean 'eu-central-1'"), ("Frankfurt", "is no region"), ("eu-central-1a", "is no region")],
)
def test_a_region_that_cannot_be_says_what_was_meant(region, words):
    with pytest.raises(BerthError, match=words):
        aws_account.check_region(region, ["eu-central-1", "us-east-1"])


def test_tags_of_others_stay():
    assert aws.tag_difference({"theirs": "1", "a": "1"}, {"a": "1", "b": "2"}) == {"b": "2"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "sign in again"),
        ("AccessDenied", "lack the permission"),
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("InvalidClientTokenId", "AWS_ACCESS_KEY_ID"),
        ("Throttling", ""),
    ],
)
def test_an_error_of_awss_comes_with_its_remedy(code, words):
    error = Exception("said AWS")
    error.response = {"Error": {"Code": code}}
    assert words in aws.remedy(error)


def test_a_connection_that_breaks_is_an_error_that_says_what_to_do():
    # Which has a response, that is None.
    broken = ConnectionClosedError(endpoint_url="https://elasticache.eu-central-1.amazonaws.com")

    def call():
        raise broken

    with pytest.raises(ConnectionClosedError):
        aws.made(call)
    with pytest.raises(ConnectionClosedError):
        aws.looking_again(call)
    assert "run it once more" in aws.remedy(broken)
