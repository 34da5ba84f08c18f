from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from correlation.rules import compile_rules
from worker.cli.resolve import MAX_INPUT_BYTES, resolve_command
from worker.cli.rules import rules_app
from worker.rules_source import RULES_FILE_VARIABLE, RULES_VARIABLE

RULES = {"INVOICE_PAID": ["invoice.id", "$.lines[*].invoiceId"], "*": "ticketId"}
VERSION = compile_rules(RULES).version

app = typer.Typer()
app.command("resolve")(resolve_command)
app.add_typer(rules_app, name="rules")


@pytest.fixture(autouse=True)
def rules_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RULES_VARIABLE, json.dumps(RULES))
    monkeypatch.delenv(RULES_FILE_VARIABLE, raising=False)


def run(*arguments: str, standard_input: str | bytes = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=standard_input)


def answers(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_explicit_key_is_printed_as_one_object() -> None:
    result = run("resolve", "--event-name", "INVOICE_PAID", "--key", " INV-7 ")

    assert result.exit_code == 0
    assert answers(result) == [
        {
            "key": "INV-7",
            "keys": ["INV-7"],
            "source": "explicit",
            "detail": "event.workflow_correlation_key",
            "reason": None,
            "rules_version": VERSION,
        }
    ]


def test_derived_keys_come_from_a_payload_file(tmp_path: Path) -> None:
    payload = tmp_path / "payload.json"
    payload.write_text('{"invoice": {"id": "Ä-1"}, "lines": [{"invoiceId": 7.0}]}', "utf-8")

    result = run("resolve", "--event-name", "INVOICE_PAID", "--payload", str(payload))

    (answer,) = answers(result)
    assert result.exit_code == 0
    assert (answer["key"], answer["keys"], answer["source"]) == ("Ä-1", ["Ä-1", "7"], "derived")
    assert answer["detail"] == "INVOICE_PAID: invoice.id"
    assert "Ä-1" in result.stdout


def test_a_payload_from_standard_input_keeps_its_exact_numbers() -> None:
    payload = '{"ticketId": 12345678901234567890123456789.50}'

    result = run("resolve", "--event-name", "X", "--payload", "-", standard_input=payload)

    assert answers(result)[0]["key"] == "12345678901234567890123456789.5"


def test_an_event_without_a_key_is_an_answer_with_its_reason() -> None:
    result = run("resolve", "--event-name", "OTHER")

    (answer,) = answers(result)
    assert result.exit_code == 0
    assert (answer["key"], answer["keys"], answer["source"]) == (None, [], "missing")
    assert answer["reason"] == "no_value"
    assert "*: ticketId: nothing there" in answer["detail"]


def test_values_that_were_passed_over_are_mentioned() -> None:
    payload = '{"invoice": {"id": {}}, "ticketId": "T"}'

    result = run(
        "resolve", "--event-name", "INVOICE_PAID", "--payload", "-", standard_input=payload
    )

    detail = answers(result)[0]["detail"]
    assert detail.startswith("*: ticketId (passed over: INVOICE_PAID: invoice.id: an object")


def test_rules_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('"*" = "other"')

    arguments = ("resolve", "--event-name", "X", "--payload", "-", "--rules", str(file))
    result = run(*arguments, standard_input='{"other": "O", "ticketId": "T"}')

    assert answers(result)[0]["key"] == "O"


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"nope", "invalid_json"),
        (b"[]", "payload_not_object"),
        (b'{"ticketId": NaN}', "invalid_json"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "too_deep"),
        (b'{"a": "\xff"}', "the payload is not UTF-8 at byte 7"),
    ],
)
def test_a_payload_that_cannot_be_read_is_an_error(payload: bytes, complaint: str) -> None:
    result = run("resolve", "--event-name", "X", "--payload", "-", standard_input=payload)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert complaint in result.stderr


def test_lines_are_resolved_one_by_one() -> None:
    lines = [
        {"event_name": "X", "workflow_correlation_key": 42},
        {"event_name": "X", "payload": {"ticketId": "T-1"}},
        {"event_name": "X", "payload": None},
    ]

    result = run("resolve", "--jsonl", standard_input="\n".join(map(json.dumps, lines)))

    assert result.exit_code == 0
    assert [answer["key"] for answer in answers(result)] == ["42", "T-1", None]


@pytest.mark.parametrize("place", [["{}"], ["--payload", "{}"]])
def test_lines_may_come_from_a_file(tmp_path: Path, place: list[str]) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"event_name": "X", "workflow_correlation_key": "K"}\n')

    result = run("resolve", "--jsonl", *(part.format(file) for part in place))

    assert answers(result)[0]["key"] == "K"


def test_a_bad_line_is_named_and_its_neighbours_are_resolved() -> None:
    good = b'{"event_name": "X", "workflow_correlation_key": "K"}'
    lines = [
        good,
        b"nope",
        b"",
        b"[]",
        b'{"payload": {}}',
        b'{"event_name": " "}',
        b'{"event_name": "X", "payload": []}',
        b"\xff",
        good,
    ]

    result = run("resolve", "--jsonl", standard_input=b"\n".join(lines))

    found = answers(result)
    assert result.exit_code == 1
    assert [answer.get("key") for answer in found] == ["K", *[None] * 6, "K"]
    assert [answer["error"].split(":")[0] for answer in found[1:-1]] == [
        f"line {number}" for number in (2, 4, 5, 6, 7, 8)
    ]


def test_an_overlong_line_is_one_bad_line() -> None:
    overlong = b'{"event_name": "' + b"x" * (2 * MAX_INPUT_BYTES + 7) + b'"}\n'
    good = b'{"event_name": "X", "workflow_correlation_key": "K"}\n'

    result = run("resolve", "--jsonl", standard_input=overlong + good)

    first, second = answers(result)
    assert first["error"].startswith("line 1: the line is longer than")
    assert second["key"] == "K"


def test_half_a_surrogate_pair_does_not_break_the_output() -> None:
    line = '{"event_name": "\\ud800", "workflow_correlation_key": "\\ud800"}'

    result = run("resolve", "--jsonl", standard_input=line)

    assert answers(result)[0]["reason"] == "control_characters"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--key", "K"],
        ["lines.jsonl"],
        ["--jsonl", "--event-name", "X"],
        ["--jsonl", "--key", "K"],
        ["--jsonl", "lines.jsonl", "--payload", "-"],
    ],
)
def test_arguments_that_contradict_each_other_are_refused(arguments: list[str]) -> None:
    assert run("resolve", *arguments).exit_code == 2


def test_a_missing_file_is_an_error() -> None:
    for arguments in (["--jsonl", "missing.jsonl"], ["--event-name", "X", "--payload", "missing"]):
        result = run("resolve", *arguments)

        assert result.exit_code == 1
        assert "missing" in result.stderr


def test_wrong_rules_stop_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RULES_VARIABLE, '{"A": "$..x"}')

    result = run("resolve", "--event-name", "X")

    assert result.exit_code == 1
    assert RULES_VARIABLE in result.stderr
    assert "A: '$..x': the search in all depths" in result.stderr


def test_checked_rules_show_what_each_path_reads(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(RULES))

    result = run("rules", "check", str(file))

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "INVOICE_PAID",
        "  invoice.id  reads $['invoice']['id']",
        "  $.lines[*].invoiceId  reads $['lines'][*]['invoiceId']",
        "*",
        "  ticketId  reads $['ticketId']",
        f"version {VERSION}",
    ]


def test_without_a_file_the_rules_of_the_environment_are_checked() -> None:
    assert f"version {VERSION}" in run("rules", "check").stdout


def test_checking_lists_every_wrong_entry(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text('A: [id, "$..x", ""]\nB: {c: d}\n"*": "a[0]"\n')

    result = run("rules", "check", str(file))

    entries = [line.strip().split(": ")[0] for line in result.stderr.splitlines()[1:]]
    assert result.exit_code == 1
    assert entries == ["A[1]", "A[2]", "B", "*"]
