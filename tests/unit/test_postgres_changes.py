"""What test_decoding writes is read as it was meant, and becomes SQL that does the same."""

from __future__ import annotations

import re

import pytest
from berth.migration_seen import questions
from berth.postgres_changes import Change, Table, parsed, script, statement
from berth.problems import BerthError
from hypothesis import given
from hypothesis import strategies as st

PEOPLE = {"public.people": Table(frozenset({"id"}), frozenset({"upper_name"}), frozenset({"id"}))}


def said(line: str, tables: dict[str, Table] | None = None) -> str:
    change = parsed(line)
    assert change
    return statement(change, tables or PEOPLE)


@pytest.mark.parametrize(
    ("line", "sql"),
    [
        (
            "table public.people: INSERT: id[integer]:1 name[text]:'O''Hara' upper_name[text]:'O''HARA' born[date]:null",
            "insert into public.people (id, name, born) overriding system value values ('1', 'O''Hara', null);",
        ),
        (
            "table public.people: UPDATE: id[integer]:1 name[text]:'a: b[c]:d' photo[bytea]:unchanged-toast-datum",
            "update public.people set name = 'a: b[c]:d' where id = '1';",
        ),
        (
            "table public.people: UPDATE: old-key: id[integer]:1 new-tuple: id[integer]:2 n[numeric]:NaN",
            "update public.people set n = 'NaN' where id = '1';",
        ),
        ("table public.people: DELETE: id[integer]:7", "delete from public.people where id = '7';"),
        ("table public.people: UPDATE: id[integer]:1 photo[bytea]:unchanged-toast-datum", ""),
        (
            'table public.people, public."Or ders": TRUNCATE: restart_seqs cascade',
            'truncate public.people, public."Or ders" restart identity cascade;',
        ),
        ("table public.people: TRUNCATE: (no-flags)", "truncate public.people ;"),
    ],
)
def test_a_change_becomes_sql_that_does_the_same(line: str, sql: str):
    assert said(line) == sql


def test_names_and_types_with_marks_in_them_are_read_whole():
    line = 'table "My.Shop"."a: b": INSERT: "x[y]:z"[integer[]]:\'{1,2}\' "q""q"["odd]type"]:\'v\' f[bit varying]:B\'101\' at[timestamp without time zone]:\'2026-01-01 00:00:00\''
    assert said(line, {'"My.Shop"."a: b"': Table()}) == (
        'insert into "My.Shop"."a: b" ("x[y]:z", "q""q", f, at) overriding system value values (\'{1,2}\', \'v\', B\'101\', \'2026-01-01 00:00:00\');'
    )


def test_a_table_without_a_key_has_one_row_of_those_that_are_alike_changed():
    line = "table public.loose: DELETE: a[integer]:1 b[text]:null c[json]:'{}'"
    assert said(line, {"public.loose": Table()}) == (
        "delete from public.loose where ctid = (select ctid from public.loose where a::text is not distinct from '1' and b::text is not "
        "distinct from null and c::text is not distinct from '{}' limit 1);"
    )


def test_what_cannot_be_followed_is_said():
    with pytest.raises(BerthError, match="nothing identifies"):
        said("table public.people: DELETE: (no-tuple-data)")
    with pytest.raises(BerthError, match=r"public\.fresh was made while its database was followed"):
        said("table public.fresh: INSERT: a[integer]:1")
    with pytest.raises(BerthError, match="not understood"):
        parsed("table public.people: INSERT: id(integer):1")
    assert [parsed(each) for each in ("BEGIN", "COMMIT", "message: transactional: 1 prefix: p, sz: 1 content:x")] == [None] * 3


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.none() | st.text(max_size=20)), min_size=1, max_size=5, unique_by=lambda each: each[0]
    )
)
def test_whatever_a_text_holds_it_is_read_as_it_was(fields: list[tuple[str, str | None]]):
    def quoted(text: str, mark: str) -> str:
        return mark + text.replace(mark, mark * 2) + mark

    wanted = {quoted(name, '"'): None if value is None else quoted(value, "'") for name, value in fields}
    line = "table public.t: INSERT: " + " ".join(f"{name}[text]:{value or 'null'}" for name, value in wanted.items())
    assert parsed(line) == Change("INSERT", ("public.t",), {}, wanted)


def test_a_script_is_one_transaction_that_keeps_how_far_it_got():
    change = parsed("table public.people: DELETE: id[integer]:7")
    assert change
    lines = script([change], PEOPLE, "0/16B3748", '"shop_incoming"').splitlines()
    assert lines[:2] == ["set session_replication_role = replica;", "begin;"]
    assert lines[-2:] == ["comment on database \"shop_incoming\" is '0/16B3748';", "commit;"]


def test_of_what_changed_each_row_is_asked_for_once_before_and_after_by_its_key():
    tables = {
        "public.sold": Table(frozenset({"number"})),
        '"My shop".pairs': Table(frozenset({"a", '"B"'})),
        "public.loose": Table(),
        "public.emptied": Table(frozenset({"i"})),
    }
    changes = [
        Change("INSERT", ("public.sold",), {}, {"number": "'1'", "note": "'a'"}),
        Change("UPDATE", ("public.sold",), {"number": "'1'"}, {"number": "'2'", "note": "'a'"}),
        Change("DELETE", ("public.sold",), {}, {"number": "'2'"}),
        Change("UPDATE", ('"My shop".pairs',), {}, {"a": "'it''s'", '"B"': "'7'", "c": None}),
        Change("UPDATE", ("public.loose",), {"x": "'1'"}, {"x": "'2'"}),
        Change("INSERT", ("public.emptied",), {}, {"i": "'1'"}),
        Change("TRUNCATE", ("public.emptied",), {}, {}),
    ]
    found = [re.sub(r"count.*? from ", "", each) for each in questions(changes, tables)]
    assert found == [
        "select 'public.emptied', public.emptied t ;",
        "select 'public.loose', public.loose t ;",
        """select '"My shop".pairs', "My shop".pairs t where ("B", a) in (('7', 'it''s'));""",
        "select 'public.sold', public.sold t where (number) in (('1'), ('2'));",
    ]


def test_many_rows_are_asked_for_in_parts():
    changes = [Change("DELETE", ("public.sold",), {}, {"number": f"'{number}'"}) for number in range(4500)]
    found = list(questions(changes, {"public.sold": Table(frozenset({"number"}))}))
    assert [len(re.findall(r"\('\d+'\)", each)) for each in found] == [2000, 2000, 500]
