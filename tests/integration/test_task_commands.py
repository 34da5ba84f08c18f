"""`pointsman tasks` as a person types it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from routing.database import DatabaseLimits, open_database
from routing.waits import Wait, Waits
from tests.builders import a_task
from tests.rows import one_row
from worker.cli.application import everything
from worker.cli.failures import CommandFailed

Run = Callable[..., Result]


@pytest.fixture
def pointsman(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("POINTSMAN_DATABASE_URL", database_url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(everything(), ["tasks", *arguments])

    return run


@pytest.fixture
def task(database_url: str) -> Wait:
    task = a_task(wait_id="t-1", assignees=["ada"])

    async def register() -> None:
        async with open_database(database_url, DatabaseLimits()) as database:
            await Waits(database).register([task])

    asyncio.run(register())
    return task


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_task_is_listed_claimed_commented_and_completed(
    pointsman: Run, task: Wait, database_url: str
) -> None:
    [listed] = lines(pointsman("list", "--mine", "ada", "--json"))
    acts = [
        pointsman("claim", "t-1", "--as", "ada"),
        pointsman("comment", "t-1", "looks good", "--as", "ada"),
        pointsman("complete", "t-1", "--as", "ada", "--answer", '{"amount": 7}'),
    ]
    [shown] = lines(pointsman("show", "t-1", "--json"))
    told = pointsman("show", "t-1").stdout

    assert listed["task_id"] == "t-1"
    assert [act.exit_code for act in acts] == [0, 0, 0]
    assert (shown["task"]["status"], shown["task"]["completed_by"]) == ("completed", "ada")
    assert [act["action"] for act in shown["history"]] == [
        "claim_task",
        "comment_task",
        "complete_task",
    ]
    assert all(act["actor"].startswith("cli") for act in shown["history"])
    assert "completed by ada" in " ".join(told.split())
    assert not re.search(r"\(\'|True|False|\+00:00", told), "Python's own forms"
    assert lines(pointsman("list", "--json")) == []
    assert one_row(database_url, "SELECT signal_name FROM workflow_event_deliveries") == (
        "pointsman.human_task",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["complete", "t-1", "--as", "bob", "--answer", '{"amount": 7}'],
            "is for ada, not for bob",
        ),
        (["complete", "t-1", "--as", "ada"], "answer $"),
        (["complete", "t-1", "--as", "ada", "--answer", '{"approved": true}'], "answer $"),
        (["complete", "none"], "no task 'none' is known"),
    ],
)
def test_what_cannot_be_done_says_why(
    pointsman: Run, task: Wait, arguments: list[str], said: str
) -> None:
    result = pointsman(*arguments)

    assert isinstance(result.exception, CommandFailed)
    assert said in str(result.exception)


def test_a_reassigned_task_is_anothers(pointsman: Run, task: Wait) -> None:
    given = pointsman("reassign", "t-1", "--to", "bob", "--why", "Ada is away")
    done = pointsman("complete", "t-1", "--as", "bob", "--answer", '{"amount": 7}')

    assert (given.exit_code, done.exit_code) == (0, 0)
