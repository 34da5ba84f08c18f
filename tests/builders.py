"""Test data with sensible defaults: say only what the test is about."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from correlation.event import Event, EventId, EventName, Payload, TenantId
from correlation.exact_writing import exact_json
from correlation.key import CanonicalKey, CorrelationKey, canonical_key
from correlation.resolution import resolve
from correlation.rules import NO_RULES, Rules
from pointsman.contract import EVENT_SIGNAL, HUMAN_TASK_COMPLETED, HUMAN_TASK_SIGNAL, WaitKind
from routing.incoming import IncomingEvent, Origin, RunId, WaitId, WorkflowId
from routing.ownership import Voucher
from routing.task_records import AskedOfPeople
from routing.waits import Wait

_numbers = itertools.count(1)


def a_key(value: object) -> CorrelationKey:
    """The canonical form of a value that is one."""
    reading = canonical_key(value)
    assert isinstance(reading, CanonicalKey)
    return reading.key


def an_event(
    *,
    name: str = "INVOICE_PAID",
    key: Any = None,
    payload: Mapping[str, Any] | None = None,
    tenant: str = "acme",
    event_id: str | None = None,
) -> Event:
    """An event with a fresh id."""
    value = dict(payload or {})
    return Event(
        TenantId(tenant),
        EventId(event_id or f"event-{next(_numbers)}"),
        EventName(name),
        Payload(exact_json(value), value),
        explicit_key=key,
    )


def incoming(
    event: Event | None = None, *, rules: Rules = NO_RULES, **event_terms: Any
) -> IncomingEvent:
    """An event, resolved, as the consumer hands it to routing."""
    the_event = event or an_event(**event_terms)
    entry_id = f"{next(_numbers)}-0"
    return IncomingEvent(
        the_event, resolve(the_event, rules), Origin("test", entry_id), rules.version
    )


def a_wait(
    *,
    key: object = "invoice-7",
    event_name: str = "INVOICE_PAID",
    tenant: str = "acme",
    wait_id: str | None = None,
    workflow_id: str | None = None,
    run_id: str | None = None,
    **terms: Any,
) -> Wait:
    """A wait with a fresh id, of a fresh workflow, which has registered it itself."""
    number = next(_numbers)
    terms = {"vouched_by": Voucher.ACTIVITY, **terms}
    return Wait(
        tenant=TenantId(tenant),
        wait_id=WaitId(wait_id or f"wait-{number}"),
        event_name=EventName(event_name),
        correlation_key=a_key(key),
        workflow_id=WorkflowId(workflow_id or f"workflow-{number}"),
        run_id=None if run_id is None else RunId(run_id),
        signal_name=EVENT_SIGNAL,
        **terms,
    )


AMOUNT_FORM: Final = json.dumps(
    {
        "type": "object",
        "properties": {"amount": {"type": "integer", "minimum": 1}},
        "required": ["amount"],
    }
)


def a_task(
    *,
    title: str = "Approve the amount",
    form: str | None = AMOUNT_FORM,
    assignees: Sequence[str] = (),
    due_at: datetime | None = None,
    wait_id: str | None = None,
    **terms: Any,
) -> Wait:
    """The wait of a human task with a fresh id."""
    task_id = wait_id or f"task-{next(_numbers)}"
    asked = AskedOfPeople(title, form, tuple(assignees), due_at)
    wait = a_wait(
        key=task_id,
        wait_id=task_id,
        event_name=HUMAN_TASK_COMPLETED,
        kind=WaitKind.HUMAN,
        task=asked,
        **terms,
    )
    return replace(wait, signal_name=HUMAN_TASK_SIGNAL)
