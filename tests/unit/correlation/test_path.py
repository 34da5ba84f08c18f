from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.parser import parse

from correlation.path import (
    ABSENT,
    DerivationPath,
    Every,
    PathError,
    compile_path,
    read_all,
    read_one,
)
from tests.unit.correlation.builders import every_case, json_objects


def compiled(text: str) -> DerivationPath:
    return compile_path(text, rule="INVOICE_PAID")


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("ticketId", ("ticketId",)),
        ("ticket.id", ("ticket", "id")),
        (" ticket.id\n", ("ticket", "id")),
        ("größe.@id", ("größe", "@id")),
        ("a b.c-d", ("a b", "c-d")),
    ],
)
def test_a_dotted_path_names_object_members(text: str, steps: tuple[object, ...]) -> None:
    assert compiled(text).steps == steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$.invoice.id", ("invoice", "id")),
        ("$['a.b']", ("a.b",)),
        ("$[\"a\"]['b'].c", ("a", "b", "c")),
        ("$['it\\'s']", ("it's",)),
        ("$['a\\\\b']", ("a\\b",)),
        ("$['größe']", ("größe",)),
        ("$['']", ("",)),
        ("$['*']", ("*",)),
        ("$.lines[*].invoiceId", ("lines", Every.CHILD, "invoiceId")),
        ("$.lines.*.invoiceId", ("lines", Every.CHILD, "invoiceId")),
        ("$[*]", (Every.CHILD,)),
        ("$.lines[0][12]", ("lines", 0, 12)),
        ("$.(a.b).c", ("a", "b", "c")),
    ],
)
def test_a_jsonpath_compiles_to_plain_steps(text: str, steps: tuple[object, ...]) -> None:
    assert compiled(text).steps == steps


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "blank"),
        (" \u00a0\ufeff", "blank"),
        ("...", "names no member"),
        ("a..b", "write a.b"),
        (".a", "write a"),
        ("a.", "write a"),
        ("/invoice/id", "write invoice.id, or $['/invoice/id']"),
        ("#/invoice/id", "write invoice.id"),
        ("/lines/0/id", "write $.lines[0].id"),
        ("items.0.id", "write $.items[0].id for an element of an array, or $['items']['0']['id']"),
        ("items.0", "write $.items[0]"),
        ("$.where", "in quotes: ['where']"),
        ("$.a.where[0]", "'where' in column 5"),
        ("$", "the whole payload"),
        ("$..id", "search in all depths"),
        ("$.a..id", "search in all depths"),
        ("$.lines[-1]", "counted from 0"),
        ("$.lines[0,1]", "a single number"),
        ("$.lines[0:2]", "slice"),
        ("$.lines[:]", "slice"),
        ("$['a','b']", "several members"),
        ("$.a,b", "several members"),
        ("$.a[?(@.b > 1)]", "column 5"),
        ("$.a[?(@.b =~ '(x+x+)+y')]", "column 5"),
        ("$[(@.length-1)]", "column 3"),
        ("$.a + 1", "column 5"),
        ("$.a * 2", "column 5"),
        ("$.a|$.b", "operator 'union'"),
        ("$.a & $.b", "operator 'intersect'"),
        ("$.a where b", "operator 'where'"),
        ("$.a wherenot b", "operator 'wherenot'"),
        ("$.`parent`", "operator 'parent'"),
        ("$.`this`", "operator 'this'"),
        ("$.a.`len`", "not understood"),
        ("$.a.`sub(/x/, y)`", "not understood"),
        ("$.a.$.b", "second root"),
        ("$.a.", "at its end"),
        ("$['a'", "at its end"),
        ("$['a\\", "escape"),
        ("$['\\u0061']", "escape"),
        ("$a", "column 2"),
        ("$.größe", "stands in quotes"),
        ("lines[0].id", "begins with '$'"),
        ("lines[*].id", "begins with '$'"),
        ("lines.*", "begins with '$'"),
        ("($.a)", "begins with '$'"),
        ("a\x00b", "U+0000 in column 2"),
        ("$.a\n.b", "U+000A in column 4"),
        ("$['\ud800']", "U+D800"),
        ("a" * 1001, "longer than"),
        ("$" + ".a" * 100_000, "longer than"),
    ],
)
def test_any_other_path_is_refused_with_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(PathError) as refused:
        compiled(text)

    assert complaint in str(refused.value)


@given(st.text(st.characters(codec=None), max_size=40).map("$".__add__))
@every_case
def test_no_text_compiles_to_anything_but_plain_steps(text: str) -> None:
    _assert_refused_or_plain(text)


@given(st.lists(st.sampled_from([*"$.[]*()'\"`@?:,|&-019ab\\ ", "..", "where"]), max_size=15))
@every_case
def test_no_shuffling_of_the_syntax_compiles_to_anything_but_plain_steps(parts: list[str]) -> None:
    _assert_refused_or_plain("$" + "".join(parts))


def _assert_refused_or_plain(text: str) -> None:
    try:
        path = compiled(text)
    except PathError:
        return
    assert path.steps
    for step in path.steps:
        assert step is Every.CHILD or isinstance(step, str) or (type(step) is int and step >= 0)
    assert compiled(path.normalized).steps == path.steps


def test_a_path_reads_what_stands_there() -> None:
    payload = {"invoice": {"id": 7, "lines": [{"id": 1}, {"id": 2}], "note": None}}

    assert read_one(compiled("invoice.id"), payload) == 7
    assert read_one(compiled("$.invoice.lines[1].id"), payload) == 2
    assert read_one(compiled("invoice.note"), payload) is None


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "invoice.missing",
        "lines.id",
        "$['lines']['0']",
        "$['text']['0']",
        "$.text[0]",
        "$.lines[9]",
    ],
)
def test_a_path_that_leads_nowhere_reads_nothing(text: str) -> None:
    payload = {"invoice": {}, "lines": [{"id": 1}], "text": "abc"}

    assert read_one(compiled(text), payload) is ABSENT


def test_a_wildcard_reads_every_child_in_document_order() -> None:
    payload = {"lines": [{"id": 3}, {"other": 0}, {"id": 1}, {"id": 3}], "by": {"b": 1, "a": 2}}

    assert read_all(compiled("$.lines[*].id"), payload, 100) == ([3, 1, 3], 100 - 1 - 4 - 3)
    assert read_all(compiled("$.by.*"), payload, 100) == ([1, 2], 100 - 1 - 2)


def test_a_path_never_visits_more_places_than_allowed() -> None:
    payload = {"lines": [{"id": number} for number in range(50)]}

    assert read_all(compiled("$.lines[*].id"), payload, 101) is not None
    assert read_all(compiled("$.lines[*].id"), payload, 100) is None


def test_a_path_knows_whether_it_branches() -> None:
    assert compiled("$.lines[*].id").branches
    assert not compiled("$.lines[0].id").branches
    assert not compiled("$['*']").branches


steps = st.sampled_from([".a", ".b", ".id", "['0']", "[0]", "[1]", "[*]", ".*", "['*']"])


@given(st.lists(steps, min_size=1, max_size=4).map("".join), json_objects)
@every_case
def test_a_compiled_path_reads_what_jsonpath_reads(text: str, payload: dict[str, Any]) -> None:
    path = compiled(f"${text}")

    reached = read_all(path, payload, 10_000)

    assert reached is not None
    assert reached[0] == [found.value for found in parse(f"${text}").find(payload)]
    if not path.branches:
        assert reached[0] == [value for value in [read_one(path, payload)] if value is not ABSENT]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (".ticket..id.", ("ticket", "id")),
        ("lines.0.id", ("lines", "0", "id")),
        ("/a/b", ("/a/b",)),
    ],
)
def test_a_path_that_was_stored_goes_on_meaning_the_same(
    text: str, steps: tuple[object, ...]
) -> None:
    assert compile_path(text, rule="trigger", stored=True).steps == steps


@pytest.mark.parametrize("text", ["$['where']", "$['items']['0']['id']", "$['/a/b']"])
def test_what_a_refusal_says_to_write_can_be_written(text: str) -> None:
    assert compiled(text).text == text
