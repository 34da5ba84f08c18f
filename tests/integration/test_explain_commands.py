"""The commands that explain and act, on a database where the example files were played."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from routing.database import DatabaseLimits, open_database
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, an_event, incoming
from tests.examples import FOLDER
from tests.rows import one_row
from worker.cli.application import everything

Run = Callable[..., Result]


@pytest.fixture
def pointsman(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", database_url)
    monkeypatch.setenv("POINTSMAN_RULES_FILE", str(FOLDER / "rules.toml"))
    asyncio.run(fill(database_url))

    def run(*arguments: str, stdin: str = "") -> Result:
        return CliRunner().invoke(everything(), list(arguments), input=stdin)

    return run


async def fill(database_url: str) -> None:
    """A near miss, an event that no rule covered when it came, and one that was matched."""
    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        waits = [
            a_wait(key="INV-70", workflow_id="order-70", wait_id="w-70"),
            a_wait(key="INV-71", workflow_id="order-71", wait_id="w-71"),
            a_wait(key="INV-72", workflow_id="order-72", wait_id="w-72"),
        ]
        await Waits(database).register(waits)
        secret = {"invoice": {"id": "INV-71"}, "api_key": "canary"}
        events = [
            incoming(event_id="lower", key="inv-70"),
            incoming(an_event(event_id="keyless", payload=secret)),
            incoming(event_id="matched", key="INV-72"),
        ]
        await Matcher(database, Matching("test")).record(events)


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_event_is_explained_with_its_near_miss(pointsman: Run) -> None:
    [explanation] = lines(pointsman("explain", "event", "lower", "--json"))

    [miss] = explanation["near_misses"]
    assert (miss["kind"], miss["resemblance"], miss["wait"]["workflow_id"]) == (
        "other_key",
        "case",
        "order-70",
    )


def test_an_event_that_today_has_a_key_is_to_be_replayed(pointsman: Run) -> None:
    result = pointsman("explain", "event", "keyless")

    assert result.exit_code == 0
    assert "A wait with its key is open now: replay the event to wake it." in result.stdout
    assert "canary" not in result.stdout


def test_an_event_that_has_not_come_is_explained_and_not_recorded(
    pointsman: Run, database_url: str
) -> None:
    payload = {"invoice": {"id": "INV-70"}}
    event = {"event_type": "INVOICE_PAID", "tenant": "acme", "payload": payload}

    [explanation] = lines(
        pointsman("explain", "event", "--entry", "-", "--json", stdin=json.dumps(event))
    )

    assert (explanation["hypothetical"], explanation["outcome"]) == (True, "matched")
    assert "It would wake order-70 (wait w-70)" in explanation["sentences"][0]
    assert one_row(database_url, "SELECT count(*) FROM workflow_runtime_events") == (3,)


def test_an_entry_that_is_no_event_is_said_to_be_none(pointsman: Run) -> None:
    result = pointsman("explain", "event", "--entry", "-", stdin='{"tenant": "acme"}')

    assert result.exit_code != 0
    assert "missing_event_name" in str(result.exception)


def test_a_waiting_workflow_is_explained(pointsman: Run) -> None:
    result = pointsman("explain", "run", "order-70")

    assert "order-70 waits for INVOICE_PAID with the key 'INV-70'." in result.stdout
    assert "Event lower has the key 'inv-70'" in result.stdout


@pytest.mark.parametrize("what", ["event", "run"])
def test_what_is_unknown_is_said_to_be(pointsman: Run, what: str) -> None:
    result = pointsman("explain", what, "nobody")

    assert result.exit_code != 0
    assert "nobody" in str(result.exception)


def test_replaying_counts_first_and_then_needs_a_reason(pointsman: Run, database_url: str) -> None:
    before = pointsman("events", "replay", "--outcome", "unresolved")
    refused = pointsman("events", "replay", "keyless", "--execute")
    [done] = lines(
        pointsman("events", "replay", "keyless", "--execute", "--why", "new rule", "--json")
    )

    assert "1 events; replaying makes a difference to 1 and would wake 1" in before.stdout
    assert refused.exit_code == 2
    assert (done["outcome"], done["waits"]) == ("matched", ["w-71"])
    row = one_row(database_url, "SELECT reason FROM workflow_operator_actions")
    assert row == ("new rule",)


def test_an_event_is_bound_by_hand(pointsman: Run) -> None:
    arguments = ("waits", "bind", "lower", "w-70", "--tenant", "acme", "--why", "same invoice")

    bound, again = pointsman(*arguments), pointsman(*arguments)

    assert "event lower is on its way to order-70" in bound.stdout
    assert again.exit_code != 0
    assert "was handed to wait w-70 before" in str(again.exception)


def test_rules_are_tried_in_the_shadow(pointsman: Run, tmp_path: Path) -> None:
    rules = tmp_path / "proposed.json"
    rules.write_text('{"INVOICE_PAID": "invoice.id"}')

    result = pointsman("rules", "shadow", str(rules), "--last", "10")

    assert "Of the last 3 events 1 would now wake 1 runs; 0 would stop matching" in result.stdout
    assert "order-71" in result.stdout


def test_the_tail_shows_outcomes_the_oldest_first(pointsman: Run) -> None:
    shown = lines(pointsman("tail", "--once", "--since", "1h", "--json"))

    assert [line["event_id"] for line in shown] == ["lower", "keyless", "matched"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_export_holds_every_event_and_no_secret(pointsman: Run, form: str) -> None:
    result = pointsman("events", "export", "--format", form, "--payload")

    rows = (
        list(csv.DictReader(io.StringIO(result.stdout, newline="")))
        if form == "csv"
        else lines(result)
    )
    assert {row["event_id"] for row in rows} == {"lower", "keyless", "matched"}
    assert "canary" not in result.stdout


def test_the_status_says_which_server_is_away(
    pointsman: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    result = pointsman("status", "--json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    ready = {name: server["ready"] for name, server in found["servers"].items()}
    assert ready == {"redis": False, "postgres": True, "temporal": False}
    assert found["backlog"]["open_waits"] == 3
