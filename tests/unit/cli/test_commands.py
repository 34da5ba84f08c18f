"""The command line where no server is needed: what is refused, and how it is said."""

from __future__ import annotations

import importlib
import json
import os
import sys
from datetime import datetime
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from correlation.reason import Outcome
from routing.audit_records import EventStory, RejectedRecord
from routing.faults import DatabaseUnavailable, SchemaMismatch
from worker.cli import main
from worker.cli.application import everything
from worker.cli.failures import (
    MISCONFIGURED,
    OF_POSTGRES,
    OF_REDIS,
    SAID_BY_ITSELF,
    UNPUBLISHABLE,
    CommandFailed,
    said_of,
)
from worker.cli.printing import make_table, print_json, printable
from worker.cli.story import print_story
from worker.embedded.ladder import Part, ServerUnavailable
from worker.settings_error import SettingsError

COMMANDS = (
    "run",
    "migrate",
    "dev",
    "demo",
    "resolve",
    "rules",
    "events",
    "waits",
    "dlq",
    "publish",
    "settings",
)
MOMENT = datetime.fromisoformat("2026-11-02T07:00:00+00:00")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(everything(), list(arguments))


def test_the_version_is_printed() -> None:
    result = run("--version")

    assert result.exit_code == 0
    assert result.stdout.startswith("pointsman 0.")


def test_every_command_is_listed_with_its_purpose() -> None:
    result = run("--help")

    for command in COMMANDS:
        assert command in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "X"], "--tenant"),
        (["publish", "X", "--tenant", "a", "--payload", "{"], "is no JSON"),
        (["publish", "X", "--tenant", "a", "--payload", "[1]"], "must be a JSON object"),
        (["publish", "X", "--tenant", "a", "--payload", '{"a": NaN}'], "NaN is no JSON number"),
        (["publish", "X", "--tenant", "a", "--payload", "@nowhere.json"], "cannot be read"),
        (["events", "list", "--since", "yesterday"], "expected a duration"),
        (["events", "list", "--outcome", "lost"], "lost"),
        (["events", "list", "--key", "  "], "no usable correlation key"),
        (["events", "list", "--limit", "0"], "--limit"),
    ],
)
def test_wrong_usage_is_explained(arguments: list[str], said: str) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split()).replace("│ ", "").replace(" │", "")


def test_settings_are_shown_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_REDIS_URL", "redis://:hunter2@host")

    result = run("settings", "--json")

    rows = {row["variable"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert rows["POINTSMAN_REDIS_URL"]["value"] == "redis://:***@host"
    assert rows["POINTSMAN_BLOCK"]["default"] == "2s"


def test_a_misspelt_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_GRUOP", "x")

    result = run("settings")

    assert result.exit_code == 0
    assert "did you mean POINTSMAN_GROUP?" in result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (SettingsError(["POINTSMAN_BLOCK='3': expected a duration"]), 2, "POINTSMAN_BLOCK"),
        (SchemaMismatch("run `pointsman migrate`"), 1, "run `pointsman migrate`"),
        (CommandFailed("no event has the id"), 1, "no event has the id"),
        (ServerUnavailable(Part.REDIS, tried=["PATH"], remedy="install it"), 1, "install it"),
        (ExceptionGroup("both", [SchemaMismatch("old"), ValueError()]), 1, "old"),
    ],
)
def test_an_expected_failure_is_said_in_words(
    error: BaseException, exit_code: int, said: str
) -> None:
    failure = said_of(error, {})

    assert failure is not None
    assert failure.exit_code == exit_code
    assert said in failure.message


def test_an_unreachable_server_is_named_with_its_variable_and_without_its_password() -> None:
    error = DatabaseUnavailable("OperationalError: connection refused")
    environment = {"POINTSMAN_DATABASE_URL": "postgresql://user:hunter2@db:5432/events"}

    given = said_of(error, environment)
    default = said_of(error, {})

    assert given is not None
    assert "postgresql://user:***@db:5432/events (POINTSMAN_DATABASE_URL)" in given.message
    assert default is not None
    assert "set POINTSMAN_DATABASE_URL to use another" in default.message


@pytest.mark.parametrize(
    "name", sorted(MISCONFIGURED | UNPUBLISHABLE | SAID_BY_ITSELF | OF_REDIS | OF_POSTGRES)
)
def test_an_exception_that_is_known_by_its_name_has_that_name(name: str) -> None:
    module, _, attribute = name.rpartition(".")

    kind = getattr(importlib.import_module(module), attribute)

    assert issubclass(kind, BaseException)
    assert f"{kind.__module__}.{kind.__qualname__}" == name


@pytest.mark.parametrize(("asked_temporal", "ended_early"), [(True, [2]), (False, [])])
def test_a_command_that_used_temporals_sdk_leaves_its_threads_behind(
    monkeypatch: pytest.MonkeyPatch, *, asked_temporal: bool, ended_early: list[int]
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(sys, "argv", ["pointsman", "no-such-command"])
    if asked_temporal:
        monkeypatch.setitem(sys.modules, "temporalio.bridge", ModuleType("temporalio.bridge"))
    else:
        monkeypatch.delitem(sys.modules, "temporalio.bridge", raising=False)

    with pytest.raises(SystemExit) as end:
        main()

    assert end.value.code == 2
    assert codes == ended_early


def test_a_bug_keeps_its_traceback() -> None:
    assert said_of(ZeroDivisionError()) is None


def test_text_from_outside_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    entry = RejectedRecord(
        tenant="[red]acme",
        stream="s",
        entry_id="1-0",
        outcome=Outcome.MALFORMED,
        reason="invalid_json",
        detail="\x1b[2J\x07 gone",
        event_id=None,
        name=None,
        raw=b"\xff[bold]",
        received_at=MOMENT,
    )

    print_story(EventStory(tenant="acme", event=None, rejected=(entry,)))

    shown = capsys.readouterr().out
    assert "\x1b[2J" not in shown
    assert "\\u001b[2J\\u0007 gone" in shown
    assert "[red]acme" in shown
    assert "[bold]" in shown


def test_json_lines_are_utf8_with_times_in_rfc_3339(capfdbinary: Any) -> None:
    print_json({"name": "Łódź", "at": MOMENT, "lone": "\ud800"})

    line = capfdbinary.readouterr().out.decode()
    assert json.loads(line) == {"name": "Łódź", "at": "2026-11-02T07:00:00+00:00", "lone": "\ud800"}


def test_a_column_of_numbers_stands_to_the_right() -> None:
    table = make_table(("name", "count"), [("a", 1), ("b", 22)])

    assert [column.justify for column in table.columns] == ["left", "right"]


def test_printable_text_stays_as_it_is() -> None:
    assert printable("Łódź 商店 é") == "Łódź 商店 é"
