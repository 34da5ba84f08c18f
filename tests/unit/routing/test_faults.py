"""What each error of Postgres means for the data: a table over all of its codes."""

from __future__ import annotations

from typing import Final

import psycopg
import pytest
from psycopg import errors

from routing.faults import (
    DatabaseContended,
    DatabaseUnavailable,
    RecordRefused,
    RoutingError,
    StatementFailed,
    translated,
)

CODES: Final = sorted(
    {
        each.sqlstate
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, psycopg.Error) and each.sqlstate
    }
)
MEANINGS: Final[dict[str, type[RoutingError]]] = {
    "08006": DatabaseUnavailable,  # connection failure
    "22003": RecordRefused,  # numeric value out of range
    "23514": RecordRefused,  # check violation
    "25006": DatabaseUnavailable,  # read-only transaction
    "25P03": DatabaseUnavailable,  # idle in transaction
    "25P04": StatementFailed,  # transaction time-out
    "28P01": DatabaseUnavailable,  # invalid password
    "3D000": DatabaseUnavailable,  # no such database
    "40001": DatabaseContended,  # serialization failure
    "40P01": DatabaseContended,  # deadlock
    "42501": StatementFailed,  # insufficient privilege: the probe tells whose fault it is
    "42P01": StatementFailed,  # undefined table: as well
    "44000": StatementFailed,  # a view's check option
    "53100": DatabaseUnavailable,  # disk full
    "53200": DatabaseUnavailable,  # out of memory
    "53300": DatabaseUnavailable,  # too many connections
    "54000": RecordRefused,  # program limit exceeded
    "55P03": DatabaseContended,  # lock not available
    "57014": StatementFailed,  # statement time-out
    "57P01": DatabaseUnavailable,  # shut down by an administrator
    "57P03": DatabaseUnavailable,  # starting up
    "58030": DatabaseUnavailable,  # input or output error
    "P0001": StatementFailed,  # raised by a trigger
    "XX000": StatementFailed,  # internal error, as of an extension
}
OUTAGES: Final = {"08", "28", "3D", "53", "57", "58", "F0"}


def an_error(code: str) -> psycopg.Error:
    try:
        return errors.lookup(code)("said")
    except KeyError:
        error = psycopg.DatabaseError("said")
        error.sqlstate = code
        return error


@pytest.mark.parametrize(("code", "meaning"), MEANINGS.items())
def test_an_error_is_classified_by_its_code(code: str, meaning: type[RoutingError]) -> None:
    assert type(translated(an_error(code))) is meaning


def test_only_connection_and_server_states_are_outages() -> None:
    outages = {code for code in CODES if type(translated(an_error(code))) is DatabaseUnavailable}

    assert len(CODES) > 200
    assert {code[:2] for code in outages} == OUTAGES | {"25"}
    assert {code for code in outages if code.startswith("25")} == {"25006", "25P03"}
    assert "57014" not in outages


@pytest.mark.parametrize("code", ["P0001", "U7777", "ZZ999", "HV000"])
def test_a_code_that_nobody_thought_of_is_no_outage(code: str) -> None:
    assert type(translated(an_error(code))) is StatementFailed


def test_an_error_without_a_code_is_one_of_the_connection() -> None:
    assert type(translated(psycopg.OperationalError("lost"))) is DatabaseUnavailable
    assert type(translated(OSError("lost"))) is DatabaseUnavailable


def test_a_text_that_the_client_itself_cannot_send_is_no_outage() -> None:
    error = psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")

    assert isinstance(translated(error), RecordRefused)
