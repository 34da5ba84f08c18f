"""Dead letters: entries that could never be recorded, and their way back."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from correlation.exact_reading import read_bytes
from worker.api.dead_letters import (
    LetterId,
    LetterParameters,
    RequeueParameters,
    list_letters,
    requeue_letter,
)
from worker.api.reading import Text
from worker.console.rendering import page
from worker.console.routes import console_router, go_to
from worker.console.tenancy import tenant_choices
from worker.console.visits import Operating, Visit, Visiting, form_fields
from worker.streams_read import stream_names

router = console_router()

LINES: Final = 25


class _Requeueing(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    letter_id: LetterId
    stream: Text
    reason: Text


@router.get("/dead-letters")
async def show_letters(
    visit: Visiting, stream: str | None = None, cursor: str | None = None, requeued: str = ""
) -> Response:
    """The letters of one stream, the newest first."""
    streams = stream_names(visit.parts.settings)
    chosen = stream or streams[0]
    wanted = LetterParameters(tenant=visit.tenant, stream=chosen, cursor=cursor, limit=LINES)
    found = await _letters(visit, wanted)
    return page(
        "dead_letters.html",
        visit,
        letters=found["letters"],
        next=found["next"],
        first=cursor is None,
        stream=chosen,
        streams=streams,
        requeued=requeued if requeued.replace("-", "", 1).isdecimal() else "",
        tenants=await tenant_choices(visit),
    )


@router.post("/dead-letters/requeue")
async def requeue(visit: Operating) -> Response:
    """Put an entry back into its stream; who did it, and why, is written down."""
    wanted = _Requeueing.model_validate(await form_fields(visit.request))
    parameters = RequeueParameters(stream=wanted.stream, reason=wanted.reason, tenant=visit.tenant)
    answered = await requeue_letter(visit.parts, visit.principal, wanted.letter_id, parameters)
    entry_id = read_bytes(bytes(answered.body))["entry_id"]
    return go_to("/dead-letters", tenant=visit.tenant, stream=wanted.stream, requeued=entry_id)


async def _letters(visit: Visit, wanted: LetterParameters) -> dict[str, Any]:
    """What the API answers to the same question: whose letters are shown is decided there alone."""
    answered = await list_letters(visit.parts, visit.principal, wanted)
    found: dict[str, Any] = read_bytes(bytes(answered.body))
    return found
