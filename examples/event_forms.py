"""How the example events are written down: the three envelopes, and what each should lead to."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

MONDAY = datetime(2026, 11, 2, 7, 0, tzinfo=UTC)

Value = str | dict[str, Any]


@dataclass(frozen=True)
class Line:
    """One stream entry beside what should come of it."""

    entry: Mapping[str, Value]
    expect: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The line's two members."""
        return {"entry": dict(self.entry), "expect": dict(self.expect)}


def matched(*wakes: str, refused_by: Sequence[str] = ()) -> dict[str, Any]:
    """The event meets waits; these workflows accept it, those refuse it."""
    ends: dict[str, Any] = {"outcome": "matched", "wakes": sorted(wakes)}
    return {**ends, "refused_by": sorted(refused_by)} if refused_by else ends


def no_wait() -> dict[str, Any]:
    """The event has a key that nobody waits for."""
    return {"outcome": "no_wait", "reason": "no_open_wait"}


def unresolved(reason: str) -> dict[str, Any]:
    """The event has no usable key."""
    return {"outcome": "unresolved", "reason": reason}


def malformed(reason: str) -> dict[str, Any]:
    """The entry is no event."""
    return {"outcome": "malformed", "reason": reason}


REPEATS = {"repeats": True}
CONFLICT = {"outcome": "rejected", "reason": "conflicting_duplicate"}


class Desk:
    """Numbers and dates the events of one part of the business."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._count = 0

    def native(
        self, tenant: str, name: str, payload: Mapping[str, Any] | str, /, **fields: Value
    ) -> dict[str, Value]:
        """A native entry; `fields` add to it or replace what is there."""
        entry: dict[str, Value] = {
            "event_id": self.next_id(),
            "event_type": name,
            "event_name": name,
            "tenant": tenant,
            "timestamp": self.moment(),
            "payload_json": payload if isinstance(payload, str) else as_json(payload),
        }
        return {**entry, **fields}

    def structured(
        self, tenant: str, name: str, payload: Mapping[str, Any] | str, /, **attributes: Any
    ) -> dict[str, Value]:
        """A CloudEvent as one JSON text."""
        event = {**self._attributes(tenant, name), "datacontenttype": "application/json"}
        head = as_json({**event, **attributes})
        data = payload if isinstance(payload, str) else as_json(payload)
        return {"cloudevent": f'{head[:-1]}, "data": {data}}}'}

    def binary(
        self, tenant: str, name: str, payload: Mapping[str, Any], /, **attributes: str
    ) -> dict[str, Value]:
        """A CloudEvent as one field per attribute."""
        event = {**self._attributes(tenant, name), **attributes}
        fields: dict[str, Value] = {f"ce_{name}": value for name, value in event.items()}
        return {**fields, "data": as_json(payload)}

    def next_id(self) -> str:
        """A new event id."""
        self._count += 1
        return f"{self._prefix}-{self._count:04d}"

    def moment(self) -> str:
        """When it happened: one event every eleven minutes."""
        moment = MONDAY + timedelta(minutes=11 * self._count)
        return moment.isoformat().replace("+00:00", "Z")

    def _attributes(self, tenant: str, name: str) -> dict[str, str]:
        return {
            "specversion": "1.0",
            "id": self.next_id(),
            "source": f"/{tenant}/billing",
            "type": name,
            "time": self.moment(),
            "tenantid": tenant,
        }


def as_json(value: Any) -> str:
    """JSON as a publisher would write it."""
    return json.dumps(value, ensure_ascii=False)


def as_bytes(value: bytes) -> dict[str, str]:
    """Bytes that are no text."""
    return {"base64": base64.b64encode(value).decode()}


def long_text(text: str, times: int) -> dict[str, Any]:
    """A text that is too long to be written out."""
    return {"repeat": text, "times": times}
