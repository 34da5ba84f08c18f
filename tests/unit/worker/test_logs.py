from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from worker.logs import configure_logs
from worker.redaction import redact_urls

Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> Iterator[Written]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    configure_logs(log_level="info", log_format="auto", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], root.level = before[0], before[1]


def test_a_line_is_json_when_nobody_reads_along(written: Written) -> None:
    structlog.get_logger("routing").info("event.matched", tenant="acme", waits=2)

    [line] = written()
    assert line["event"] == "event.matched"
    assert (line["level"], line["tenant"], line["waits"]) == ("info", "acme", 2)
    assert line["timestamp"].endswith("Z")


def test_lines_below_the_level_are_not_written(written: Written) -> None:
    structlog.get_logger("routing").debug("event.matched")

    assert written() == []


def test_a_payload_is_never_written(written: Written) -> None:
    structlog.get_logger("routing").info("event.read", payload={"iban": "DE1"}, raw=b"DE1")

    [line] = written()
    assert "DE1" not in json.dumps(line)


@pytest.mark.parametrize("name", ["password", "api_key", "Authorization", "access_token"])
def test_a_secret_is_never_written(written: Written, name: str) -> None:
    structlog.get_logger("routing").info(
        "server.reached", nested={name: "hunter2"}, **{name: "hunter2"}
    )

    [line] = written()
    assert "hunter2" not in json.dumps(line)


def test_a_password_within_an_address_is_hidden_even_in_a_traceback(written: Written) -> None:
    try:
        raise ValueError("cannot reach redis://:hunter2@host:6379")
    except ValueError:
        structlog.get_logger("ingress").exception("stream.lost")

    [line] = written()
    assert "ValueError" in line["exception"]
    assert "hunter2" not in json.dumps(line)


def test_lines_of_libraries_are_written_alike(written: Written) -> None:
    logging.getLogger("library").warning("lost %s", "postgresql://user:hunter2@host")

    [line] = written()
    assert line["event"] == "lost postgresql://user:***@host"
    assert line["level"] == "warning"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("postgresql://u:p@ss@host/db", "postgresql://u:***@host/db"),
        ("postgresql://host/db?user=u&password=p", "postgresql://host/db?user=u&password=***"),
        ("to a@b at redis://host", "to a@b at redis://host"),
    ],
)
def test_only_the_password_of_an_address_is_hidden(text: str, shown: str) -> None:
    assert redact_urls(text) == shown
