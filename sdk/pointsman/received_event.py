"""An event as a workflow receives it, and its form on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event that reached a wait of this run."""

    event_id: str
    """The publisher's id; unique per tenant."""
    name: str
    correlation_key: str
    """The key in canonical form that the event and the wait have in common."""
    payload: Mapping[str, Any]
    """The event's payload as the workflow's data converter decodes JSON."""
    received_at: datetime
    """When Pointsman recorded the event; time zone aware."""
    wait_id: str
    delivery_id: str
    """Names this event's way to this wait in the audit."""


@dataclass(frozen=True, slots=True)
class TypedEvent(ReceivedEvent, Generic[Model]):
    """An event whose payload was validated: that of a wait with `payload=Model`."""

    payload: Model  # type: ignore[assignment]  # what the wait asked for instead of plain JSON
    """The payload as an instance of the model."""
    json: Mapping[str, Any]
    """The payload as it came."""


class PayloadInvalid(Exception):
    """The payload is none of the model; says where and why, without its values."""


Reading: TypeAlias = Callable[[ReceivedEvent], TypedEvent[Any]]
"""Makes the payload an instance of a model; raises PayloadInvalid."""


def typed(event: ReceivedEvent, payload: Model) -> TypedEvent[Model]:
    """The event with its payload as a model's instance."""
    members = _members(event)
    members |= {"payload": payload, "json": event.payload}
    return TypedEvent(**members)


def untyped(event: ReceivedEvent) -> ReceivedEvent:
    """The event with its payload as it came."""
    if not isinstance(event, TypedEvent):
        return event
    members = _members(event)
    members |= {"payload": event.json}
    return ReceivedEvent(**members)


def _members(event: ReceivedEvent) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in fields(ReceivedEvent)}


def read_signal(signal: object) -> ReceivedEvent | None:
    """Read the argument of the event signal; None when it is none that Pointsman sends.

    Written by hand instead of with the contract's model, so that no model library is needed where
    workflow code runs. Never raises: a stray signal must not stop a workflow.
    """
    if not isinstance(signal, Mapping):
        return None
    texts = [signal.get(name) for name in ("eventId", "eventName", "correlationKey", "waitId")]
    payload = signal.get("payload")
    received_at = _moment(signal.get("receivedAt"))
    if not isinstance(payload, Mapping) or received_at is None:
        return None
    event_id, name, correlation_key, wait_id = (
        text if isinstance(text, str) else "" for text in texts
    )
    if not event_id or not wait_id:
        return None
    delivery_id = str(signal.get("deliveryId") or "")
    return ReceivedEvent(
        event_id, name, correlation_key, payload, received_at, wait_id, delivery_id
    )


def write_signal(event: ReceivedEvent) -> dict[str, Any]:
    """The event in its wire form, as `read_signal` reads it."""
    return {
        "waitId": event.wait_id,
        "eventId": event.event_id,
        "eventName": event.name,
        "correlationKey": event.correlation_key,
        "payload": untyped(event).payload,
        "receivedAt": event.received_at.isoformat(),
        "deliveryId": event.delivery_id,
    }


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
