"""Errors that a healthy database raises for single rows are those rows' fault, not an outage."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from correlation.reason import Outcome, Reason
from ingress.entry import Entry, EntryId, StreamName, entry_of
from routing.database import Database, DatabaseLimits, open_database
from routing.faults import DatabaseUnavailable
from routing.gate import Backoff
from routing.incoming import Origin, RejectedEntry
from routing.matching import Matcher, Matching
from tests.builders import incoming
from tests.rows import execute, one_row
from worker.recording import Recorder, Recording

TRIGGER: Final = """
CREATE FUNCTION customers_own() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.event_name = 'POISON' THEN {statement}; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER customers_own BEFORE INSERT ON workflow_runtime_events
    FOR EACH ROW EXECUTE FUNCTION customers_own();
"""
LIMITS: Final = DatabaseLimits(
    statement_timeout=timedelta(milliseconds=500), lock_timeout=timedelta(milliseconds=400)
)


class Letters:
    """Where poison goes."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    async def set_aside(self, entry: Entry, reason: Reason, detail: str) -> None:
        assert reason is Reason.POISON
        assert detail
        self.entries.append(entry.entry_id)


def a_recording(number: int, name: str) -> Recording:
    entry = entry_of(StreamName("test"), EntryId(f"{number}-0"), {b"a": b"b"})
    return Recording(entry, incoming(name=name, key=f"key-{number}"))


@pytest.mark.parametrize(
    "statement",
    [
        "RAISE EXCEPTION 'no'",
        "RAISE EXCEPTION 'no' USING ERRCODE = 'ZZ999'",
        "INSERT INTO no_such_table VALUES (1)",
        "PERFORM pg_sleep(5)",
        "PERFORM 1 / 0",
    ],
    ids=["P0001", "a code of one's own", "42P01", "57014", "22012"],
)
async def test_one_event_name_that_always_fails_is_set_aside_and_holds_up_no_other(
    database_url: str, statement: str
) -> None:
    execute(database_url, TRIGGER.format(statement=statement))
    letters = Letters()
    backoff = Backoff(timedelta(milliseconds=1), timedelta(milliseconds=1))
    async with open_database(database_url, LIMITS) as database:
        matcher = Matcher(database, Matching(owner="me"))
        recorder = Recorder(matcher, letters, max_deliveries=2, backoff=backoff)

        names = ["POISON" if number == 3 else "FINE" for number in range(6)]
        await recorder.record([a_recording(number, name) for number, name in enumerate(names)])

    assert letters.entries == ["3-0"]
    assert one_row(database_url, "SELECT count(*) FROM workflow_runtime_events") == (5,)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE workflow_event_deliveries RENAME TO elsewhere",
        "ALTER TABLE workflow_rejected_entries RENAME COLUMN raw TO cooked",
    ],
)
async def test_a_schema_that_is_broken_for_all_is_an_outage(
    database: Database, database_url: str, statement: str
) -> None:
    execute(database_url, statement)
    origin = Origin("test", "1-0")
    a_rejection = RejectedEntry(origin, Outcome.MALFORMED, Reason.MISSING_TENANT, "", b"")

    with pytest.raises(DatabaseUnavailable):
        await Matcher(database, Matching(owner="me")).record([incoming(key="7")], [a_rejection])
