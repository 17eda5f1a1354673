"""What is read of a rule of Traefik's, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from berth.label_rules import Match, read_first_rule, read_rule
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("Host(`shop.example.com`)", [Match(("shop.example.com",), ())]),
        ("Host(`Shop.example.com`, `www.shop.example.com`)", [Match(("shop.example.com", "www.shop.example.com"), ())]),
        ("Host(`a`) && PathPrefix(`/api`)", [Match(("a",), ("/api*",))]),
        ("PathPrefix(`/api`, `/docs`)", [Match((), ("/api*", "/docs*"))]),
        ('Path("/hook") || Host(`a`)', [Match((), ("/hook",)), Match(("a",), ())]),
        (
            "(Host(`a`) || Host(`b`)) && (PathPrefix(`/x`) || Path(`/y`))",
            [Match(("a",), ("/x*",)), Match(("a",), ("/y",)), Match(("b",), ("/x*",)), Match(("b",), ("/y",))],
        ),
    ],
)
def test_hosts_and_paths_are_read(rule: str, expected: list[Match]):
    assert read_rule(rule) == expected


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("HostRegexp(`.+`)", "HostRegexp is not carried"),
        ("Host(`a`) && !PathPrefix(`/x`)", "'!' is not carried"),
        ("Host(`a`) && Headers(`X`, `y`)", "Headers is not carried"),
        ("PathPrefix(`/{id:[0-9]+}`)", "PathPrefix is not carried"),
        ("PathPrefix(`/a`) && PathPrefix(`/b`)", "two of the same"),
        ("Host(`a b`)", "a b is none"),
        ("Host(``)", "the host '' is none; is a variable of the Compose file not set"),
        ("Host(`api.`) && PathPrefix(`/x`)", "the host 'api.' is none; is a variable"),
        ("Host(`a.example.com {`)", "is none"),
        ("PathPrefix(`api`)", "api is none"),
        ("Host(`a`", "is missing"),
        ("Host()", "is missing"),
        ("Host(a)", "no text in quotes"),
        ("Host(`a`) Host(`b`)", "one too many"),
        ("", "is missing"),
        ("Host:a", "cannot be read"),
    ],
)
def test_what_asks_for_more_is_refused_with_the_reason(rule: str, said: str):
    with pytest.raises(BerthError, match=said):
        read_rule(rule)


@given(st.text(alphabet="HostPa(`/)&|!, ab\"'{", max_size=60))
def test_no_text_makes_it_stumble(rule: str):
    with contextlib.suppress(BerthError):
        assert read_rule(rule)


def test_rules_of_the_first_version():
    assert read_first_rule("Host:a.example.com,b.example.com") == ([Match(("a.example.com", "b.example.com"), ())], [])
    assert read_first_rule("Host: a;PathPrefixStrip: /api") == ([Match(("a",), ("/api*",))], ["/api"])
    with pytest.raises(BerthError, match="HostRegexp is not carried"):
        read_first_rule("HostRegexp:{sub}.example.com")
