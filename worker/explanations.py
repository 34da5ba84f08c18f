"""What explaining takes from outside, and gives to a program: no payload, raw fields redacted."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Final

from correlation.event import Event
from correlation.exact_reading import NotJson, read_bytes
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.envelope import DEFAULT_MAX_BYTES, decode
from ingress.intake import Form, Unreadable, read_posted, with_defaults
from ingress.schemas import MOST_ERRORS, Mode, PayloadSchemas, SchemaFault, Unjudged
from routing.explain_records import EventExplanation, RunExplanation
from worker.bounded.judge import Judge
from worker.bounded.workers import Workers
from worker.redaction import Redaction


def event_explanation_as_json(
    explanation: EventExplanation, redaction: Redaction, *, everything: bool = True
) -> dict[str, Any]:
    """All of it, for `write_json` or `print_json`; malformed bytes only with `everything`."""
    shown = asdict(explanation)
    for entry, record in zip(shown["rejected"], explanation.rejected, strict=True):
        entry["raw_bytes"] = len(record.raw)
        entry["raw"] = redaction.rejected_raw(record.outcome, record.raw, everything=everything)
    return shown


HYPOTHETICAL_ID: Final = "(hypothetical)"


def read_hypothetical(
    body: bytes, *, tenant: str | None = None, max_bytes: int = DEFAULT_MAX_BYTES
) -> Event | Malformed:
    """An event that has not come: a native event's fields as JSON, or a structured CloudEvent.

    Decoded as the way in decodes what is posted; without an id of its own it gets a stand-in.
    """
    [item, *others] = read_posted(_form(body), {}, body).items or [Unreadable(_NOTHING, body)]
    if others:
        return replace(_NOTHING, detail="one event at a time can be explained")
    if isinstance(item, Unreadable):
        return item.malformed
    completed = with_defaults(item, tenant=tenant, event_id=HYPOTHETICAL_ID, traceparent=None)
    return decode(completed, max_bytes=max_bytes)


async def payload_fault(
    event: Event, schemas: PayloadSchemas, judge: Judge, workers: Workers
) -> SchemaFault | None:
    """What is wrong with the payload of an event that a request brings.

    Raises BudgetExceeded while the workers have too much to do.
    """
    judgement = schemas.judgement_of(event)
    if isinstance(judgement, Unjudged):
        with workers.place(event.tenant):
            found = await judge.faults(judgement.schema, event.payload.text, MOST_ERRORS + 1)
        judgement = judgement.judgement(found)
    return None if judgement is None else judgement.fault


def judged(fault: SchemaFault | None) -> Malformed | str | None:
    """The refusal of an event by its payload schema, or why that holds back its launches."""
    if fault is None or fault.mode is Mode.WARN:
        return None
    if fault.enforced:
        return Malformed(fault.reason, fault.detail)
    return f"{fault.reason}: {fault.detail}"


_NOTHING: Final = Malformed(Reason.EMPTY_ENTRY, "there is no event")


def _form(body: bytes) -> Form:
    try:
        content = read_bytes(body)
    except NotJson:
        return Form.NATIVE
    structured = isinstance(content, dict) and "specversion" in content
    return Form.STRUCTURED if structured else Form.NATIVE


def run_explanation_as_json(explanation: RunExplanation) -> dict[str, Any]:
    """Everything, for `write_json` or `print_json`."""
    return asdict(explanation)
