"""`pointsman triggers` and `pointsman runs` as a person types them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.client import Client
from typer.testing import CliRunner, Result

from routing.database import DatabaseLimits, open_database
from routing.matching import Matcher, Matching
from routing.triggers import apply_triggers
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.conftest import TemporalTarget
from tests.integration.launches import a_trigger
from tests.rows import execute, one_row
from worker.cli.application import everything
from worker.cli.failures import CommandFailed

Run = Callable[..., Result]
FILE: Final = """
tenant = "acme"
[triggers.onboarding]
event = "CLIENT_CREATED"
workflow = "Onboarding"
task_queue = "onboarding"
where = { "client.plan" = "gold" }
"""


@pytest.fixture
def pointsman(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", database_url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(everything(), list(arguments))

    return run


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_triggers_are_tried_applied_listed_and_disabled(pointsman: Run, tmp_path: Path) -> None:
    file = tmp_path / "triggers.toml"
    file.write_text(FILE)

    [tried] = lines(pointsman("triggers", "apply", str(file), "--dry-run", "--json"))
    none = lines(pointsman("triggers", "list", "--json"))
    [applied] = lines(pointsman("triggers", "apply", str(file), "--why", "live", "--json"))
    [again] = lines(pointsman("triggers", "apply", str(file), "--json"))
    disabled = pointsman("triggers", "disable", "onboarding", "--tenant", "acme")
    [listed] = lines(pointsman("triggers", "list", "--json"))

    assert (tried["change"], none) == ("created", [])
    assert (applied["change"], again["change"]) == ("created", "unchanged")
    assert disabled.exit_code == 0
    assert (listed["enabled"], listed["version"]) == (False, 2)


def test_a_wrong_file_is_told_file_trigger_field_and_fix(pointsman: Run, tmp_path: Path) -> None:
    file = tmp_path / "triggers.toml"
    file.write_text(FILE.replace('"onboarding"\nwhere', '""\nwhere'))

    result = pointsman("triggers", "apply", str(file))

    assert result.exit_code == 1
    assert str(file) in result.stderr
    assert "onboarding: task_queue: must be a text that is not blank" in result.stderr


def test_an_event_that_has_not_come_is_told_what_it_would_start(
    pointsman: Run, tmp_path: Path
) -> None:
    file, entry = tmp_path / "triggers.toml", tmp_path / "entry.json"
    file.write_text(FILE)
    pointsman("triggers", "apply", str(file))
    event = {"tenant": "acme", "event_type": "CLIENT_CREATED", "event_id": "e"}

    entry.write_text(json.dumps({**event, "payload": {"client": {"plan": "gold"}}}))
    would = pointsman("explain", "event", "--entry", str(entry))
    entry.write_text(json.dumps({**event, "payload": {"client": {"plan": "basic"}}}))
    would_not = pointsman("explain", "event", "--entry", str(entry))

    assert "It would start Onboarding (trigger onboarding)." in would.output
    assert "Trigger onboarding would start no Onboarding: filter_refused" in would_not.output


def test_a_run_is_listed_shown_cancelled_and_refused_what_it_cannot_do(
    pointsman: Run,
    database_url: str,
    temporal: TemporalTarget,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal.address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", temporal.namespace)
    run_id = asyncio.run(_a_run(database_url, temporal))

    [listed] = lines(pointsman("runs", "list", "--key", "7", "--json"))
    [exported] = lines(pointsman("runs", "export"))
    [shown] = lines(pointsman("runs", "show", run_id, "--json"))
    refused = pointsman("runs", "retry", run_id, "--why", "again")
    cancelled = pointsman("runs", "cancel", run_id, "--why", "ordered twice")

    assert listed["run_id"] == exported["run_id"] == shown["run"]["run_id"] == run_id
    assert isinstance(refused.exception, CommandFailed)
    assert "WORKFLOW_TEMPORAL_ACTION_UNSUPPORTED" in str(refused.exception)
    assert cancelled.exit_code == 0, cancelled.output
    assert "cancel of run" in cancelled.output
    assert "is requested" in cancelled.output
    stands = one_row(database_url, "SELECT status, requested_control FROM workflow_runs")
    assert stands == ("running", "cancel")
    assert "running (cancel requested)" in pointsman("runs", "list").output


def test_rules_are_checked_against_what_is_awaited(pointsman: Run, database_url: str) -> None:
    asyncio.run(_a_wait(database_url))

    result = pointsman("rules", "check", "--against-waits")

    assert result.exit_code == 0, result.output
    assert "EVENT_WAIT_UNCORRELATABLE: acme, wait on INVOICE_PAID" in result.output


async def _a_wait(database_url: str) -> None:
    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        await Waits(database).register([a_wait()])


async def _a_run(database_url: str, temporal: TemporalTarget) -> str:
    client = await Client.connect(temporal.address, namespace=temporal.namespace)
    handle = await client.start_workflow(
        "Waiting", id=f"waiting-{temporal.task_queue}", task_queue=temporal.task_queue
    )
    run_id = handle.first_execution_run_id
    assert run_id is not None
    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        await Waits(database).register([a_wait(key="7", workflow_id=handle.id, run_id=run_id)])
    return run_id


async def _a_dead_launch(database_url: str) -> None:
    async with open_database(database_url, DatabaseLimits()) as database:
        await apply_triggers(database, [a_trigger("onboarding")], actor="test")
        matcher = Matcher(database, Matching(owner="test"))
        await matcher.record([incoming(name="CLIENT_CREATED", event_id="d-1")])


def test_dead_launches_are_listed_counted_and_tried_again(
    pointsman: Run, database_url: str
) -> None:
    asyncio.run(_a_dead_launch(database_url))
    execute(
        database_url,
        "UPDATE workflow_event_launches SET status = 'dead', reason = 'invalid_target'",
    )

    [listed] = lines(pointsman("launches", "list", "--status", "dead", "--json"))
    [counted] = lines(pointsman("launches", "count", "--json"))
    unnamed = pointsman("launches", "retry", "--why", "the queue exists now")
    [retried] = lines(
        pointsman("launches", "retry", "--event", "d-1", "--why", "it exists now", "--json")
    )
    none = pointsman("launches", "retry", "--reason", "invalid_target", "--why", "again")

    assert (listed["event_id"], listed["trigger_id"]) == ("d-1", "onboarding")
    assert (counted["status"], counted["reason"], counted["count"]) == (
        "dead",
        "invalid_target",
        1,
    )
    assert unnamed.exit_code == 2
    assert retried["event_id"] == "d-1"
    assert "0 dead launches are tried again" in none.output
    assert one_row(database_url, "SELECT status FROM workflow_event_launches") == ("pending",)
