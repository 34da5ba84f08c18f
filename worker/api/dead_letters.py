"""`/v1/dlq`: entries that could never be recorded, and their way back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from ingress.dead_letter_desk import LetterUnusable
from ingress.entry import StreamName
from ingress.envelope import decode, raw_bytes
from ingress.letter import DeadLetter
from worker import dead_letter_acts
from worker.api.answers import ONE, READING, LetterPage, Requeued, documented
from worker.api.authentication import Operator, PartsOf, Reader
from worker.api.cursors import cursor_text, damaged_cursor, read_cursor
from worker.api.exact_bodies import api_router
from worker.api.parts import Parts
from worker.api.problems import Problem
from worker.api.reading import OneTenant, PageParameters, Tenant, Text, answer, not_found
from worker.dead_letter_acts import Actor, requeue
from worker.streams_read import stream_names

router = api_router("dead letters")

LETTERS_AT_ONCE = 500
MOST_LETTERS_LOOKED_AT = 10_000
LetterId = Annotated[str, Field(pattern=r"^\d{1,20}-\d{1,20}$")]


class LetterParameters(PageParameters):
    """Which dead letters."""

    tenant: Tenant = None
    stream: Annotated[
        Text | None, Field(description="The stream; needed when several are read.")
    ] = None


class RequeueParameters(OneTenant):
    """Which stream's letter, and why it goes back."""

    stream: Text | None = None
    reason: Annotated[Text, Field(description="Stands in the audit beside who requeued it.")]


@router.get("/dlq", summary="List dead letters", responses=documented(LetterPage, "", *READING))
async def list_letters(
    parts: PartsOf, caller: Reader, wanted: Annotated[LetterParameters, Query()]
) -> Response:
    """Dead letters of the token's tenants, the newest first.

    Those of which no tenant can be read are shown to tokens of every tenant only. A page may hold
    fewer letters than `limit`, and another still follow: `next` tells.
    """
    tenants = caller.reach(wanted.tenant)
    stream = _stream(parts, wanted.stream)
    before = _before(wanted.cursor)
    shown: list[dict[str, Any]] = []
    looked_at, more = 0, True
    while more and len(shown) < wanted.limit and looked_at < MOST_LETTERS_LOOKED_AT:
        letters = await parts.dead_letters.read(stream, before=before, limit=LETTERS_AT_ONCE)
        more = len(letters) == LETTERS_AT_ONCE
        for position, letter in enumerate(letters):
            before = letter.letter_id
            tenant = tenant_of(parts, letter)
            if tenants is None or tenant in tenants:
                shown.append(_shown(parts, letter))
            if len(shown) == wanted.limit:
                more = more or position < len(letters) - 1
                break
        looked_at += len(letters)
    following = cursor_text((before,)) if more and before is not None else None
    return answer({"letters": shown, "next": following})


@router.post(
    "/dlq/{letter_id}/requeue",
    summary="Put a dead letter back into its stream",
    responses=documented(Requeued, "", *ONE),
)
async def requeue_letter(
    parts: PartsOf,
    caller: Operator,
    letter_id: LetterId,
    wanted: Annotated[RequeueParameters, Query()],
) -> Response:
    """The entry goes back with all its original fields, and its letter is removed with it."""
    stream = _stream(parts, wanted.stream)
    letter = await parts.dead_letters.find(stream, letter_id)
    tenant = None if letter is None else tenant_of(parts, letter)
    reach = caller.reach_of_object(wanted.tenant)
    if letter is None or not (reach is None or tenant in reach):
        raise not_found("dead letter")
    actor = Actor(caller.actor, wanted.reason)
    try:
        done = await requeue(parts.database, parts.dead_letters, letter, tenant, actor)
    except LetterUnusable as error:
        raise Problem(
            HTTPStatus.CONFLICT,
            str(error),
            fix="publish the event anew from the fields shown, then `pointsman dlq purge` it",
        ) from None
    if done is None:
        raise not_found("dead letter")
    return answer({"letter_id": letter_id, "entry_id": done.entry_id, "action_id": done.action_id})


def tenant_of(parts: Parts, letter: DeadLetter) -> str | None:
    """Whose letter it is; None when that cannot be read."""
    settings = parts.settings
    return dead_letter_acts.tenant_of(
        letter, bound_to=settings.stream_tenant, max_bytes=settings.max_entry_bytes
    )


def _shown(parts: Parts, letter: DeadLetter) -> dict[str, Any]:
    decoded = decode(letter.fields, max_bytes=parts.settings.max_entry_bytes)
    return {
        "letter_id": letter.letter_id,
        "stream": letter.stream,
        "entry_id": letter.entry_id,
        "tenant": tenant_of(parts, letter),
        "event_id": decoded.event_id,
        "name": getattr(decoded, "name", None) or getattr(decoded, "event_name", None),
        "reason": letter.reason,
        "detail": letter.detail,
        "fields": parts.redaction.raw_fields(raw_bytes(letter.fields)),
    }


def _stream(parts: Parts, wanted: str | None) -> StreamName:
    streams = stream_names(parts.settings)
    if wanted is None and len(streams) == 1:
        return streams[0]
    if wanted is not None and wanted in streams:
        return StreamName(wanted)
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "several streams are read" if wanted is None else "this stream is not read here",
        field="stream",
        fix="add ?stream=… with the name of a stream that is read",
    )


def _before(cursor: str | None) -> str | None:
    parts = read_cursor(cursor)
    if parts is None:
        return None
    match parts:
        case (str() as letter_id,) if letter_id.replace("-", "", 1).isdigit():
            return letter_id
        case _:
            raise damaged_cursor()
