"""An event: the decoded fact, whatever envelope it came in.

The values that are made for every event are msgspec's structs: frozen as the dataclasses are, and
made in a tenth of the time. `gc=False` keeps them out of the search for reference cycles, of which
they have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NewType, TypeAlias

import msgspec

from .exact_number import OutsizeNumber

TenantId = NewType("TenantId", str)
EventId = NewType("EventId", str)
EventName = NewType("EventName", str)

JsonScalar: TypeAlias = str | int | Decimal | OutsizeNumber | bool | None
"""A decoded JSON scalar. Never a float: a correlation key must not pass through one."""


class Payload(msgspec.Struct, frozen=True, gc=False):
    """A JSON object, as its publisher wrote it and as it reads.

    `text` is the original JSON text (valid, strict JSON); it travels on unchanged to Postgres and
    Temporal. `value` is the same object as `exact_reading` reads it, with exact
    numbers.
    """

    text: str
    value: Mapping[str, Any]


EMPTY_PAYLOAD = Payload("{}", {})


@dataclass(frozen=True, slots=True)
class EventContext:
    """What the envelope says beside the event; kept for the audit, never matched on."""

    execution_id: str | None = None
    user_id: str | None = None
    from_state: str | None = None
    to_state: str | None = None
    payload_schema_ref: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


NO_CONTEXT: Final = EventContext()


class Event(msgspec.Struct, frozen=True, gc=False):
    """A domain event of one tenant. (tenant, event_id) identifies it."""

    tenant: TenantId
    event_id: EventId
    name: EventName
    payload: Payload
    explicit_key: JsonScalar = None
    """The envelope's own correlation key, not yet in canonical form; None when absent."""
    occurred_at: datetime | None = None
    """The publisher's time stamp, time zone aware."""
    context: EventContext = NO_CONTEXT
