"""`pointsman dlq`: entries that could never be recorded: look at them, put them back, drop them."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from ingress.entry import EntryId, StreamName
from ingress.letter import DeadLetter
from worker.cli.asking import actor, with_open_database
from worker.cli.failures import CommandFailed
from worker.cli.hiding import fields_without_secrets, redaction
from worker.cli.printing import clock, console, print_json, print_table, printable
from worker.cli.reading import settings_with_warnings
from worker.settings import Settings
from worker.streams_read import stream_names

if TYPE_CHECKING:  # imported on use, like every client library
    from ingress.dead_letter_desk import DeadLetterDesk
    from routing.database import Database

Answer = TypeVar("Answer")

LETTER_ID: Final = re.compile(r"\d{1,20}-\d{1,20}")

dlq_app = typer.Typer(no_args_is_help=True, help="Look after dead letters.")

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters, as `list` shows.")]
Stream = Annotated[
    str | None,
    typer.Option("--stream", help="Of this stream; needed when several are configured."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter that is there now.")]
Why = Annotated[str | None, typer.Option("--reason", help="Stands in the audit beside who did it.")]


@dlq_app.callback()
def _dlq() -> None:
    """Look after dead letters: entries that a healthy database refused again and again."""


@dlq_app.command("list")
def list_command(
    stream: Stream = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first."""

    async def listed(desk: DeadLetterDesk, of: StreamName) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        async for letter in desk.walk(of):
            found.append(letter)
            if len(found) == limit:
                break
        return found

    letters = _at_desk(stream, listed)
    if as_json:
        for letter in letters:
            print_json(_summary(letter))
        return
    columns = ("letter", "set aside", "entry", "tenant", "event", "event id", "reason", "detail")
    print_table(columns, [_row(letter) for letter in letters])


@dlq_app.command("show")
def show_command(
    letter_id: Annotated[str, typer.Argument(help="Id of a dead letter.")],
    stream: Stream = None,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with all its original fields; what looks like a secret is hidden."""
    [wanted] = _checked([letter_id])
    letter = _at_desk(stream, lambda desk, of: _found(desk, of, wanted))
    fields = fields_without_secrets(letter.fields, redaction())
    if as_json:
        shown = [[_written(name), _written(value)] for name, value in fields.items()]
        print_json({**_summary(letter), "fields": shown})
        return
    print(f"{letter.reason}: {printable(letter.detail)}")
    print(f"entry {letter.entry_id} of {letter.stream}, set aside {clock(letter.set_aside_at)}")
    for name, value in fields.items():
        console().print(f"  {_shown(name)} = {_shown(value)}", markup=False, soft_wrap=True)


@dlq_app.command("requeue")
def requeue_command(
    ids: Ids = None,
    stream: Stream = None,
    everything: All = False,
    why: Why = None,
    as_json: AsJson = False,
) -> None:
    """Put entries back behind their stream, with exactly their original fields."""
    wanted = _wanted(ids, everything, "--all")

    async def requeue(desk: DeadLetterDesk, of: StreamName) -> list[_PutBack]:
        letters = await _chosen(desk, of, wanted, everything=everything)
        return await with_open_database(
            lambda database, settings: _all_put_back(database, settings, desk, letters, why)
        )

    for back in _at_desk(stream, requeue):
        if as_json:
            print_json({"letter": back.letter, "stream": back.stream, "entry_id": back.entry_id})
        else:
            print(f"{back.letter} is entry {back.entry_id} of {back.stream} now")


@dlq_app.command("purge")
def purge_command(
    ids: Ids = None,
    stream: Stream = None,
    yes: Annotated[bool, typer.Option("--yes", help="Drop every dead letter there is.")] = False,
    why: Why = None,
    as_json: AsJson = False,
) -> None:
    """Drop dead letters for good: those named, or all of them with `--yes`."""
    wanted = _wanted(ids, yes, "--yes")

    async def purged(desk: DeadLetterDesk, of: StreamName) -> tuple[int, int]:
        found = [letter async for letter in desk.walk(of) if yes or letter.letter_id in wanted]
        if not found:
            return 0, len(wanted)
        count = await with_open_database(
            lambda database, settings: _purged(database, settings, desk, found, why)
        )
        return count, len(wanted) - count

    count, missing = _at_desk(stream, purged)
    if as_json:
        print_json({"purged": count})
    else:
        print(f"purged {count} dead letter{'' if count == 1 else 's'}")
    if missing > 0:
        raise CommandFailed(f"{missing} of them were not there")


@dataclass(frozen=True, slots=True)
class _PutBack:
    letter: EntryId
    stream: StreamName
    entry_id: str


async def _chosen(
    desk: DeadLetterDesk, of: StreamName, wanted: Sequence[EntryId], *, everything: bool
) -> list[DeadLetter]:
    if everything:
        return [letter async for letter in desk.walk(of)]
    return [await _found(desk, of, letter_id) for letter_id in wanted]


async def _all_put_back(
    database: Database,
    settings: Settings,
    desk: DeadLetterDesk,
    letters: Sequence[DeadLetter],
    why: str | None,
) -> list[_PutBack]:
    from ingress.dead_letter_desk import LetterUnusable
    from worker.dead_letter_acts import Actor, requeue

    done: list[_PutBack] = []
    for letter in letters:
        tenant = _tenant(settings, letter)
        try:
            put_back = await requeue(database, desk, letter, tenant, Actor(actor(), why))
        except LetterUnusable as error:
            raise CommandFailed(str(error)) from error
        if put_back is None:
            raise CommandFailed(f"dead letter {letter.letter_id} is gone: somebody was faster")
        done.append(_PutBack(letter.letter_id, letter.stream, put_back.entry_id))
    return done


async def _purged(
    database: Database,
    settings: Settings,
    desk: DeadLetterDesk,
    letters: Sequence[DeadLetter],
    why: str | None,
) -> int:
    from worker.dead_letter_acts import Actor, purge

    chosen = [(letter, _tenant(settings, letter)) for letter in letters]
    return await purge(database, desk, chosen, Actor(actor(), why))


def _tenant(settings: Settings, letter: DeadLetter) -> str | None:
    from worker.dead_letter_acts import tenant_of

    return tenant_of(letter, bound_to=settings.stream_tenant, max_bytes=settings.max_entry_bytes)


def _at_desk(
    stream: str | None, act: Callable[[DeadLetterDesk, StreamName], Awaitable[Answer]]
) -> Answer:
    settings = settings_with_warnings()
    streams = [stream] if stream is not None else list(stream_names(settings))
    if len(streams) > 1:
        raise CommandFailed(f"say which --stream: {', '.join(streams)}")
    from ingress.dead_letter_desk import DeadLetterDesk
    from ingress.redis_connection import connect_redis

    async def ask() -> Answer:
        url = settings.redis_url.get_secret_value()
        desk = DeadLetterDesk(partial(connect_redis, url, block=timedelta(0)))
        try:
            return await act(desk, StreamName(streams[0]))
        finally:
            await desk.aclose()

    return asyncio.run(ask())


async def _found(desk: DeadLetterDesk, stream: StreamName, letter_id: EntryId) -> DeadLetter:
    letter = await desk.find(stream, letter_id)
    if letter is None:
        raise CommandFailed(f"there is no dead letter {letter_id}")
    return letter


def _wanted(ids: list[str] | None, everything: bool, option: str) -> list[EntryId]:
    if bool(ids) == everything:
        raise typer.BadParameter(f"name dead letters by their ids, or say {option}")
    return _checked(ids or [])


def _checked(ids: list[str]) -> list[EntryId]:
    for text in ids:
        if not LETTER_ID.fullmatch(text):
            raise typer.BadParameter(f"{text!r} is no id; `pointsman dlq list` shows them")
    return [EntryId(text) for text in dict.fromkeys(ids)]


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "letter": letter.letter_id,
        "set_aside_at": letter.set_aside_at,
        "stream": letter.stream,
        "entry_id": letter.entry_id,
        **{name: _field(letter.fields, name) for name in ("tenant", "event_type", "event_id")},
        "reason": letter.reason,
        "detail": letter.detail,
    }


def _row(letter: DeadLetter) -> tuple[Any, ...]:
    told = _summary(letter)
    at = clock(letter.set_aside_at)
    own = (told["tenant"], told["event_type"], told["event_id"])
    return (letter.letter_id, at, letter.entry_id, *own, letter.reason, letter.detail)


def _field(fields: Mapping[bytes, bytes], name: str) -> str | None:
    value = fields.get(name.encode())
    return None if value is None else value.decode("utf-8", "replace")


def _written(value: bytes) -> str | dict[str, str]:
    """Text where it is UTF-8, base64 where it is not, as in the audit of rejected entries."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _shown(value: bytes) -> str:
    return printable(value.decode("utf-8", "backslashreplace"))
