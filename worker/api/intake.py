"""Posted events: decoded, resolved, matched and recorded exactly as those of the stream."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import Final, assert_never

import structlog

from correlation.event import Event
from correlation.reason import Outcome, Reason
from correlation.resolution import Resolved, Unresolved, resolve
from correlation.rules import Rules
from correlation.task_answer import AnswerUnusable, answer_in
from ingress.entry import Malformed
from ingress.envelope import decode, raw_bytes
from ingress.intake import Item, Posted, Unreadable, with_defaults
from ingress.native import Fields
from routing.audit_receipts import MatchedWait, Receipt, StartedWorkflow, read_receipts
from routing.faults import RecordRefused, fault_of_entry
from routing.incoming import (
    Identity,
    IncomingEvent,
    Origin,
    Recorded,
    RecordedEvent,
    RejectedEntry,
)
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.schema_checks import UnjudgedEvent, checked

log = structlog.get_logger(__name__)

STREAM: Final = "http"
"""What stands in the audit where a stream's name stands for others."""
NAMESPACE: Final = uuid.UUID("6f0c7a1e-5f0e-5d5e-9b51-3f1a8a4f6c11")
"""Of the ids given to events that have none; must never change."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says beside its body."""

    request_id: str
    idempotency_key: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """How one posted event ended."""

    status: int
    entry_id: str
    tenant: str | None = None
    event_id: str | None = None
    outcome: Outcome | None = None
    """None when the event was not taken at all: its tenant is not the token's."""
    reason: str | None = None
    detail: str | None = None
    keys: tuple[str, ...] = ()
    waits: tuple[MatchedWait, ...] = ()
    launches: tuple[StartedWorkflow, ...] = ()
    duplicate: bool = False
    """True when the event was recorded before; nothing new was matched."""


Decision = IncomingEvent | RejectedEntry | Answered


class Intake:
    """Takes what one request brings."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._considered = 0
        """Launches that were written down for its events."""

    async def take(
        self, posted: Posted, principal: Principal, request: Request
    ) -> Sequence[Answered]:
        """Record the events and answer each, in order, after the commit.

        Raises DatabaseUnavailable, or BudgetExceeded while the workers have too much to do:
        repeating the request is harmless then, as always.
        """
        rules = self._parts.rules()
        decided = [
            self._decide_safely(item, principal, request, index, rules)
            for index, item in enumerate(posted.items)
        ]
        decisions = [await self._judged(each) for each in decided]
        events = [decision for decision in decisions if isinstance(decision, IncomingEvent)]
        rejected = [decision for decision in decisions if isinstance(decision, RejectedEntry)]
        ends = iter(await self._record(events, rejected))
        answers: list[Answered] = []
        for decision in decisions:
            match decision:
                case IncomingEvent():
                    answers.append(_of_event(decision, next(ends)))
                case RejectedEntry():
                    answers.append(_of_rejected(decision))
                case Answered():
                    answers.append(decision)
                case _:
                    assert_never(decision)
        return await self._with_receipts(answers)

    async def _judged(self, decision: Decision | UnjudgedEvent) -> Decision:
        """The decision; where a worker has to judge the payload, once it has."""
        if not isinstance(decision, UnjudgedEvent):
            return decision
        with self._parts.workers.place(decision.incoming.event.tenant):
            return await self._parts.judge.judged(decision)

    def _decide_safely(
        self, item: Item, principal: Principal, request: Request, index: int, rules: Rules
    ) -> Decision | UnjudgedEvent:
        try:
            return self._decide(item, principal, request, index, rules)
        except Exception as error:  # noqa: BLE001  whatever an event provokes is its own fault
            fault = fault_of_entry(error)
            log.warning("entry.refused", error=str(fault))
            return RejectedEntry(
                origin=Origin(STREAM, f"{request.request_id}-{index}"),
                outcome=Outcome.REJECTED,
                reason=Reason.POISON,
                detail=f"this event cannot be decided: {fault}",
                raw=_raw_of(item),
                tenant=principal.only_tenant or "",
            )

    def _decide(
        self, item: Item, principal: Principal, request: Request, index: int, rules: Rules
    ) -> Decision | UnjudgedEvent:
        entry_id = f"{request.request_id}-{index}"
        origin = Origin(STREAM, entry_id)
        if isinstance(item, Unreadable):
            tenant = principal.only_tenant
            return self._malformed(item.malformed, item.raw, origin, tenant)
        decoded = self._decoded(item, principal, request, index)
        if decoded.tenant and not principal.sees(decoded.tenant):
            return _forbidden(decoded, entry_id)
        match decoded:
            case Event():
                raw = partial(raw_bytes, item)
                resolution = resolve(decoded, rules)
                incoming = IncomingEvent(decoded, resolution, origin, rules.version, raw)
                return checked(incoming, self._parts.schemas)
            case Malformed():
                tenant = decoded.tenant or principal.only_tenant
                return self._malformed(decoded, raw_bytes(item), origin, tenant)
            case _:
                assert_never(decoded)

    def _decoded(
        self, fields: Fields, principal: Principal, request: Request, index: int
    ) -> Event | Malformed:
        tenant = principal.only_tenant
        event_id = None
        if request.idempotency_key is not None:
            own = fields.get(b"tenant", b"").decode("utf-8", "replace").strip() or tenant or ""
            event_id = given_id(own, request.idempotency_key, index)
        completed = with_defaults(
            fields, tenant=tenant, event_id=event_id, traceparent=request.traceparent
        )
        return decode(completed, max_bytes=self._parts.settings.max_entry_bytes)

    def _malformed(
        self, malformed: Malformed, raw: bytes, origin: Origin, tenant: str | None
    ) -> RejectedEntry:
        limit, detail = self._parts.settings.max_entry_bytes, malformed.detail
        if len(raw) > limit:
            raw, detail = raw[:limit], f"{detail}; only the first {limit} bytes are kept"
        return RejectedEntry(
            origin=origin,
            outcome=Outcome.MALFORMED,
            reason=malformed.reason,
            detail=detail,
            raw=raw,
            tenant=tenant or "",
            event_id=malformed.event_id,
            event_name=malformed.event_name,
        )

    async def _record(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry]
    ) -> Sequence[RecordedEvent]:
        """Record a batch, halving it around what the database refuses."""
        if not events and not rejected:
            return ()
        try:
            recorded = await self._parts.ledger.record(events, rejected)
        except RecordRefused as refusal:
            if len(events) + len(rejected) > 1:
                return await self._record_halves(events, rejected)
            log.warning("entry.refused", error=str(refusal))
            await self._audit_refusal(events, refusal)
            return [RecordedEvent(Outcome.REJECTED, Reason.POISON)] * len(events)
        await self._pass_on(recorded)
        return recorded.events

    async def _record_halves(
        self, events: Sequence[IncomingEvent], rejected: Sequence[RejectedEntry]
    ) -> Sequence[RecordedEvent]:
        half, other = len(events) // 2, len(rejected) // 2
        if not half and not other:  # one of each
            return [*await self._record(events, ()), *await self._record((), rejected)]
        return [
            *await self._record(events[:half], rejected[:other]),
            *await self._record(events[half:], rejected[other:]),
        ]

    async def _audit_refusal(self, events: Sequence[IncomingEvent], refusal: RecordRefused) -> None:
        rejected = [_poison_entry(event, str(refusal)) for event in events]
        try:
            await self._parts.ledger.record((), rejected)
        except RecordRefused as error:
            log.warning("entry.unaudited", error=str(error))

    async def _pass_on(self, recorded: Recorded) -> None:
        self._considered += recorded.considered
        await self._parts.sink.submit(recorded.deliveries)
        if recorded.left_to_claim:
            self._parts.sink.wake()

    async def _with_receipts(self, answers: Sequence[Answered]) -> Sequence[Answered]:
        """The answers with what was met and is started; without any there is no need to look."""
        wanted: list[Identity] = [
            (answer.tenant, answer.event_id)
            for answer in answers
            if answer.tenant
            and answer.event_id
            and (self._considered or answer.duplicate or answer.outcome is Outcome.MATCHED)
        ]
        if not wanted:
            return answers
        tenants = sorted({tenant for tenant, _ in wanted})
        async with self._parts.reading(tenants) as connection:
            receipts = await read_receipts(connection, sorted(set(wanted)))
        return [_with_receipt(answer, receipts) for answer in answers]


def given_id(tenant: str, idempotency_key: str, index: int) -> str:
    """The id of an event that has none: the same for every repetition of the request."""
    return str(uuid.uuid5(NAMESPACE, f"{tenant}\n{idempotency_key}\n{index}"))


def _of_event(incoming: IncomingEvent, end: RecordedEvent) -> Answered:
    resolution = incoming.resolution
    detail: str | None = None
    if end.outcome is Outcome.UNRESOLVED and isinstance(resolution, Unresolved):
        detail = resolution.detail
    elif end.reason is Reason.ANSWER_INVALID:
        detail = _fault_of_answer(incoming) or _DETAILS[end.reason]
    elif end.reason is not None:
        detail = _DETAILS.get(end.reason)
    status = HTTPStatus.OK if end.reason is None else _STATUSES.get(end.reason, HTTPStatus.OK)
    return Answered(
        status=status,
        entry_id=incoming.origin.entry_id,
        tenant=incoming.event.tenant,
        event_id=incoming.event.event_id,
        outcome=end.outcome,
        reason=end.reason,
        detail=detail,
        keys=resolution.keys if isinstance(resolution, Resolved) else (),
        duplicate=end.duplicate,
    )


def _fault_of_answer(incoming: IncomingEvent) -> str | None:
    """What is wrong with the answer's shape; None when it is only that it does not fit the form."""
    resolution = incoming.resolution
    keys = resolution.keys if isinstance(resolution, Resolved) else ()
    for key in keys:
        try:
            answer_in(incoming.event.payload.value, key)
        except AnswerUnusable as error:
            return f"payload: {error}"
    return None


_STATUSES: Final[Mapping[Reason, int]] = {
    Reason.CONFLICTING_DUPLICATE: HTTPStatus.CONFLICT,
    Reason.TASK_COMPLETED: HTTPStatus.CONFLICT,
    Reason.ANSWER_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.SCHEMA_TOO_COSTLY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.POISON: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.ENTRY_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
_DETAILS: Final[Mapping[Reason, str]] = {
    Reason.CONFLICTING_DUPLICATE: (
        "event_id: an event with this id was recorded before with other content; it stays as it is"
    ),
    Reason.TASK_COMPLETED: "payload: its task is completed already; the first answer stands",
    Reason.SCHEMA_TOO_COSTLY: (
        "payload: judging the answer by the task's form takes more than its budget allows; the "
        "rejected entry names the budget"
    ),
    Reason.ANSWER_INVALID: (
        "payload: the answer does not fit the task's form; the rejected entry says where"
    ),
    Reason.POISON: "this event cannot be recorded for its content; the rejected entry says why",
}


def _of_rejected(entry: RejectedEntry) -> Answered:
    return Answered(
        status=_STATUSES.get(entry.reason, HTTPStatus.UNPROCESSABLE_ENTITY),
        entry_id=entry.origin.entry_id,
        tenant=entry.tenant or None,
        event_id=entry.event_id,
        outcome=entry.outcome,
        reason=entry.reason,
        detail=entry.detail,
    )


def _forbidden(decoded: Event | Malformed, entry_id: str) -> Answered:
    log.warning("event.forbidden", entry_id=entry_id)
    return Answered(
        status=HTTPStatus.FORBIDDEN,
        entry_id=entry_id,
        tenant=decoded.tenant,
        event_id=decoded.event_id,
        detail="tenant: this token is not bound to the tenant that the event names",
    )


def _poison_entry(incoming: IncomingEvent, detail: str) -> RejectedEntry:
    return RejectedEntry(
        origin=incoming.origin,
        outcome=Outcome.REJECTED,
        reason=Reason.POISON,
        detail=detail,
        raw=_raw_of(incoming.raw),
        tenant=incoming.event.tenant,
        event_id=incoming.event.event_id,
        event_name=incoming.event.name,
    )


def _raw_of(item: Item | Callable[[], bytes]) -> bytes:
    """What is kept of an event that provokes an exception, if that does not provoke another."""
    try:
        if isinstance(item, Unreadable):
            return item.raw
        return item() if callable(item) else raw_bytes(item)
    except Exception:  # noqa: BLE001  its audit row is worth more than its bytes
        return b""


def _with_receipt(answer: Answered, receipts: Mapping[Identity, Receipt]) -> Answered:
    receipt = receipts.get((answer.tenant or "", answer.event_id or ""))
    if receipt is None or answer.outcome is Outcome.REJECTED:
        return answer
    return replace(answer, keys=receipt.keys, waits=receipt.waits, launches=receipt.launches)
