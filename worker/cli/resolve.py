"""`pointsman resolve`: which correlation keys an event would have. Needs no server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, assert_never

import typer

from correlation.event import (
    EMPTY_PAYLOAD,
    Event,
    EventId,
    EventName,
    Payload,
    TenantId,
)
from correlation.exact_reading import kind_of
from correlation.key import CorrelationKey
from correlation.resolution import KeySource, Resolved, Unresolved, resolve
from correlation.rules import Rules
from ingress.entry import Malformed
from ingress.payload import parse_payload
from worker.cli.printing import print_json
from worker.cli.rules import load_or_exit

MAX_INPUT_BYTES: Final = 16 * 1024 * 1024
STANDARD_INPUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Input that is no event, and why."""

    error: str


def resolve_command(
    lines: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE|-]", help="With --jsonl: the file of lines.", show_default="-"
        ),
    ] = None,
    event_name: Annotated[
        str | None, typer.Option("--event-name", help="The event's name.")
    ] = None,
    payload: Annotated[
        Path | None,
        typer.Option("--payload", metavar="FILE|-", help="The payload, a JSON object; default {}."),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="The event's own workflow_correlation_key.")
    ] = None,
    jsonl: Annotated[
        bool,
        typer.Option(
            "--jsonl",
            help="Read one object per line: event_name, payload, workflow_correlation_key.",
        ),
    ] = False,
    rules: Annotated[
        Path | None,
        typer.Option("--rules", metavar="FILE", help="Rules; default: those of the environment."),
    ] = None,
) -> None:
    """Print the correlation keys that an event would have, as one JSON object per event.

    Exits with 1 when some input could not be read; an event without a key is an answer.
    """
    if jsonl:
        if event_name is not None or key is not None or (lines and payload):
            raise typer.BadParameter("--jsonl takes names and keys from its one file of lines")
        _resolve_lines(lines or payload or STANDARD_INPUT, load_or_exit(rules))
        return
    if lines is not None:
        raise typer.BadParameter("a file of lines needs --jsonl; a payload needs --payload")
    if event_name is None:
        raise typer.BadParameter("--event-name is needed, unless --jsonl is given")
    _resolve_one(event_name, payload, key, load_or_exit(rules))


def _resolve_one(event_name: str, payload: Path | None, key: str | None, rules: Rules) -> None:
    event = _event(event_name, _read_payload(payload), key)
    if isinstance(event, Unreadable):
        typer.echo(event.error, err=True)
        raise typer.Exit(1)
    print_json(_answer(event, rules))


def _resolve_lines(path: Path, rules: Rules) -> None:
    unreadable = False
    with _opened(path) as file:
        for number, line in _numbered_lines(file):
            event = _event_of_line(line)
            if isinstance(event, Unreadable):
                unreadable = True
                print_json({"error": f"line {number}: {event.error}"})
            else:
                print_json(_answer(event, rules))
    if unreadable:
        raise typer.Exit(1)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    if path == STANDARD_INPUT:
        return nullcontext(sys.stdin.buffer)
    try:
        return path.open("rb")
    except OSError as error:
        typer.echo(f"{path} cannot be read: {error.strerror}", err=True)
        raise typer.Exit(1) from None


def _read_payload(path: Path | None) -> Payload | Unreadable:
    if path is None:
        return EMPTY_PAYLOAD
    with _opened(path) as file:
        return _object(file.read(MAX_INPUT_BYTES + 1), "the payload")


def _object(content: bytes, what: str) -> Payload | Unreadable:
    if len(content) > MAX_INPUT_BYTES:
        return Unreadable(f"{what} is longer than {MAX_INPUT_BYTES} bytes")
    try:
        read = parse_payload(content.decode())
    except UnicodeDecodeError as error:
        return Unreadable(f"{what} is not UTF-8 at byte {error.start}")
    if isinstance(read, Malformed):
        return Unreadable(f"{read.reason}: {read.detail.replace('the payload', what, 1)}")
    return read


def _numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, counted from 1; of an overlong one, as much as shows that."""
    number = 0
    while line := file.readline(MAX_INPUT_BYTES + 1):
        number += 1
        rest = line
        while not rest.endswith(b"\n") and len(rest) > MAX_INPUT_BYTES:
            rest = file.readline(MAX_INPUT_BYTES + 1)
        if line.strip():
            yield number, line


def _event_of_line(line: bytes) -> Event | Unreadable:
    fields = _object(line, "the line")
    if isinstance(fields, Unreadable):
        return fields
    payload = fields.value.get("payload")
    if not isinstance(payload, dict | None):
        return Unreadable(f"payload must be a JSON object, not {kind_of(payload)}")
    # Only the decoded value is read here; the text of this part of the line is not needed.
    decoded = Payload("", payload) if payload else EMPTY_PAYLOAD
    name, key = fields.value.get("event_name"), fields.value.get("workflow_correlation_key")
    return _event(name, decoded, key)


def _event(name: object, payload: Payload | Unreadable, key: Any) -> Event | Unreadable:
    if isinstance(payload, Unreadable):
        return payload
    if not isinstance(name, str) or not name.strip():
        return Unreadable("event_name must be a text that is not blank")
    # Tenant and id have no part in the resolution.
    return Event(TenantId("-"), EventId("-"), EventName(name.strip()), payload, key)


def _answer(event: Event, rules: Rules) -> dict[str, object]:
    resolution = resolve(event, rules)
    key: CorrelationKey | None
    match resolution:
        case Resolved(key, keys, source, detail, notes):
            if notes:
                detail = f"{detail} (passed over: {'; '.join(notes)})"
            reason = None
        case Unresolved(reason, detail):
            key, keys, source = None, (), KeySource.MISSING
        case _:
            assert_never(resolution)
    return {
        "key": key,
        "keys": keys,
        "source": source,
        "detail": detail,
        "reason": reason,
        "rules_version": rules.version,
    }
