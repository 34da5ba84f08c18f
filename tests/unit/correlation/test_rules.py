from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.rules import EMPTY_VERSION, NO_RULES, RulesError, compile_rules
from tests.unit.correlation.builders import every_case, json_values


def labels(rules: dict[str, object], name: str) -> list[str]:
    return [path.label for path in compile_rules(rules).paths_for(name)]


def errors_of(rules: object) -> tuple[str, ...]:
    with pytest.raises(RulesError) as refused:
        compile_rules(rules)
    return refused.value.errors


def test_paths_keep_their_order() -> None:
    rules: dict[str, object] = {"INVOICE_PAID": ["invoice.id", "clientId"]}

    assert labels(rules, "INVOICE_PAID") == ["INVOICE_PAID: invoice.id", "INVOICE_PAID: clientId"]


def test_a_bare_text_is_one_path() -> None:
    assert labels({"TICKET": "ticket.id"}, "TICKET") == ["TICKET: ticket.id"]


def test_wildcard_paths_come_after_the_events_own() -> None:
    rules: dict[str, object] = {"*": ["ticketId", "orderId"], "INVOICE_PAID": ["invoice.id"]}

    assert labels(rules, "INVOICE_PAID") == [
        "INVOICE_PAID: invoice.id",
        "*: ticketId",
        "*: orderId",
    ]
    assert labels(rules, "OTHER") == ["*: ticketId", "*: orderId"]


def test_an_event_named_like_the_wildcard_reads_its_paths_once() -> None:
    assert labels({"*": "ticketId"}, "*") == ["*: ticketId"]


def test_a_name_matches_as_a_whole_and_in_its_case() -> None:
    rules: dict[str, object] = {"foo": "id"}

    assert [labels(rules, name) for name in ("foobar", "fo", "FOO", " foo")] == [[], [], [], []]


def test_white_space_around_a_name_does_not_count() -> None:
    assert labels({" TICKET\t": "id"}, "TICKET") == ["TICKET: id"]


@pytest.mark.parametrize("mapping", [{}, {"A": []}, {"*": ()}])
def test_rules_without_a_path_are_no_rules(mapping: dict[str, object]) -> None:
    assert compile_rules(mapping) == NO_RULES
    assert NO_RULES.version == EMPTY_VERSION
    assert NO_RULES.paths_for("A") == ()


def test_equal_rules_have_equal_versions_however_they_are_written() -> None:
    one = compile_rules({"A": "x", "*": ["y", "z"]})
    other = compile_rules({"*": ["y ", "z"], " A": ["x"], "B": []})

    assert one.version == other.version


@pytest.mark.parametrize(
    "changed", [{"A": ["y", "x"]}, {"A": ["x"]}, {"B": ["x", "y"]}, {"A": ["x", "y"], "*": "z"}]
)
def test_any_change_of_meaning_changes_the_version(changed: dict[str, object]) -> None:
    assert compile_rules(changed).version != compile_rules({"A": ["x", "y"]}).version


def test_a_version_is_the_same_in_every_process() -> None:
    assert (
        compile_rules({"INVOICE_PAID": ["invoice.id"], "*": "ticketId"}).version == "135c3f7c2ffd"
    )


def test_every_wrong_entry_is_named_at_once() -> None:
    errors = errors_of(
        {
            "INVOICE_PAID": ["invoice.id", "$..id", ""],
            "TICKET": "lines[0]",
            "ORDER": {"path": "id"},
            "CLIENT": ["id", 7, None],
            "FINE": "id",
            " ": "id",
            7: "id",
        }
    )

    assert [error.split(": ")[0] for error in errors] == [
        "INVOICE_PAID[1]",
        "INVOICE_PAID[2]",
        "TICKET",
        "ORDER",
        "CLIENT[1]",
        "CLIENT[2]",
        "' '",
        "7",
    ]


def test_the_message_holds_every_error_and_the_source() -> None:
    error = RulesError(["A: wrong", "B: wrong too"], source="rules.toml")

    assert str(error) == "rules.toml: A: wrong; B: wrong too"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "blank"),
        ("a\nb", "control characters"),
        ("a" * 256, "longer than 255 bytes"),
        ("ü" * 128, "longer than 255 bytes"),
        ("a\ud800", "surrogate"),
    ],
)
def test_a_name_that_no_event_can_have_is_refused(name: str, complaint: str) -> None:
    (error,) = errors_of({name: "id"})

    assert complaint in error


def test_a_name_given_twice_is_refused() -> None:
    (error,) = errors_of({"A": "x", " A": "y"})

    assert "twice" in error


def test_a_name_has_at_most_64_paths() -> None:
    compile_rules({"A": [f"p{number}" for number in range(64)]})

    (error,) = errors_of({"A": [f"p{number}" for number in range(65)]})

    assert "at most 64" in error


@pytest.mark.parametrize("mapping", [None, [], "id", 7, [["A", "id"]]])
def test_rules_that_are_no_object_are_refused(mapping: object) -> None:
    (error,) = errors_of(mapping)

    assert "must be an object" in error


@given(json_values | st.dictionaries(st.text(), json_values | st.text(), max_size=5))
@every_case
def test_any_json_either_compiles_or_is_refused(value: object) -> None:
    assert _complaints(value) or compile_rules(value).version


def _complaints(rules: object) -> tuple[str, ...]:
    try:
        compile_rules(rules)
    except RulesError as error:
        return error.errors
    return ()
