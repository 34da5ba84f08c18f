from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.api.cursors import cursor_text, read_cursor
from worker.api.exact_writing import write_json
from worker.api.exports import FORMULA_STARTS, csv_rows
from worker.api.problems import Problem
from worker.api.rate_limit import RateLimit
from worker.redaction import HIDDEN, SECRET_NAMES, Redaction

CANARY = "canary-7f3a"
REDACTION = Redaction.of(SECRET_NAMES)
# What Postgres can hold, and so what the audit can bring.
CELLS = st.text(
    st.one_of(
        st.sampled_from("=+-@'\t\r\n\",;| "), st.characters(codec="utf-8", exclude_characters="\0")
    )
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=5))
def test_rows_come_back_from_csv_as_they_went_in(rows: Sequence[Sequence[str]]) -> None:
    text = csv_rows(rows).decode()

    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))

    assert [[cell.removeprefix("'") for cell in row] for row in read] == [list(row) for row in rows]


@given(cell=CELLS)
def test_no_cell_is_taken_for_a_formula(cell: str) -> None:
    [[read, _]] = list(csv.reader(io.StringIO(csv_rows([[cell, ""]]).decode(), newline="")))

    assert not read.startswith(tuple(start for start in FORMULA_STARTS if start != "'"))


@given(value=VALUES)
def test_numbers_are_written_as_exactly_as_they_were_read(value: Any) -> None:
    read = json.loads(write_json(value), parse_float=Decimal)

    assert read == value


@given(value=VALUES, name=st.sampled_from(["apiKey", "X-API-KEY", "stripe_api_key", "Set-Cookie"]))
def test_a_secret_is_hidden_wherever_it_stands(value: Any, name: str) -> None:
    payload = {"a": [value, {name: {"deep": [CANARY, value]}}], "password": CANARY}

    shown = write_json(REDACTION.value(payload))

    assert CANARY not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        '{"password": "%s',
        '{"password": "%s", "b": }',
        '{"a": {"token": ["%s", {"x": "%s"',
        '{"a\\"b": 1, "Api-Key" : %s}',
        '"secret":"\\"%s"',
    ],
)
def test_a_secret_is_hidden_in_broken_json_too(text: str) -> None:
    shown = REDACTION.text(text.replace("%s", CANARY))

    assert CANARY not in shown


def test_what_is_no_secret_stays_in_broken_json() -> None:
    assert REDACTION.text('{"amount": 12, "to": ["a"') == '{"amount": 12, "to": ["a"'


@given(parts=st.lists(st.text() | st.integers(0, 2**63 - 1), min_size=1, max_size=5))
def test_a_cursor_comes_back_as_it_went_out(parts: list[str | int]) -> None:
    assert read_cursor(cursor_text(tuple(parts))) == tuple(parts)


@given(text=st.text(min_size=1))
def test_a_made_up_cursor_is_a_problem_and_no_failure(text: str) -> None:
    status = 0
    try:
        read_cursor(text)
    except Problem as problem:
        status = problem.status

    assert status in {0, 422}


def test_a_caller_may_go_on_after_the_pause_that_it_was_told() -> None:
    now = 0.0
    limit = RateLimit(rate=2, burst=3, clock=lambda: now)
    first = [limit.admit("a") for _ in range(4)]

    other = limit.admit("b")
    now = 1.0
    later = [limit.admit("a") for _ in range(3)]

    assert first == [None, None, None, 1]
    assert other is None
    assert later == [None, None, 1]
