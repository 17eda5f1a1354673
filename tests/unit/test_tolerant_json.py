from __future__ import annotations

import json

import pytest
from berth.tolerant_json import parse, plain
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4),
    max_leaves=15,
)


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_what_json_writes_is_read_without_a_fault(value, indent, ascii_only):
    node, faults = parse(json.dumps(value, indent=indent, ensure_ascii=ascii_only))
    assert faults == []
    assert plain(node) == value


@given(st.text(alphabet='{}[]",: \n\t01aé<>/*#\\', max_size=60))
def test_no_text_makes_it_stumble_and_only_json_is_without_fault(text):
    node, faults = parse(text)
    try:
        json.loads(text)
    except ValueError:
        assert faults or node is None
    else:
        assert not faults


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('{"a": 1,\n "b": 2,\n}', 2, "comma before }"),
        ('{"a": [1,,2]}', 1, "comma too many"),
        ('{"a": 1\n "b": 2}', 1, "comma is missing"),
        ('{\n// why\n"a": 1}', 2, "no comments"),
        ('{"a": 1 /* b */}', 1, "no comments"),
        ('{\n"a": <IMAGE>}', 2, "placeholder"),
        ("{'a': 1}", 1, "double quotes"),
        ('{"a": "b\n}', 1, "not closed"),
        ('{"a": True}', 1, "Python"),
        ('{"a": [1, 2}', 1, "] is expected"),
        ('{"a": {"b": 1}', 1, "never closed"),
        ('{"a" 1}', 1, "colon is missing"),
        ('{"a":}', 1, "no value"),
        ('{"a": 1} x', 1, "after the end"),
        ('\ufeff{"a": 1}', 1, "byte order mark"),
        ('{"a": "\t"}', 1, "control character"),
        ('{"a": 01}', 1, "double quotes"),
    ],
)
def test_each_slip_is_named_with_its_line(text, line, words):
    _node, faults = parse(text)
    assert any(fault.line == line and words in fault.message for fault in faults), faults


def test_one_slip_hides_nothing_that_follows():
    node, faults = parse('{"a": 1,,\n"b": [1, 2,],\n"c": {"d": "e"}}')
    assert plain(node) == {"a": 1, "b": [1, 2], "c": {"d": "e"}}
    assert [fault.line for fault in faults] == [1, 2]


def test_depth_has_an_end():
    _node, faults = parse("[" * 100_000)
    assert any("nested too deeply" in fault.message for fault in faults)
