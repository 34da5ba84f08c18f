"""Entries as publishers write them."""

from __future__ import annotations

import json
from typing import Any


def native_fields(**changes: str | bytes | None) -> dict[bytes, bytes]:
    """A complete native entry; a change of None leaves the field out."""
    fields: dict[str, str | bytes | None] = {
        "event_id": "e-1",
        "event_type": "INVOICE_PAID",
        "event_name": "invoice.paid",
        "tenant": "acme",
        "timestamp": "2026-03-01T10:00:00Z",
        "payload_json": '{"invoice":{"id":"INV-1"}}',
    }
    return as_bytes(fields | changes)


def cloudevent(**changes: Any) -> dict[str, Any]:
    """A complete CloudEvent as a JSON object; a change of None leaves the attribute out."""
    attributes = {
        "specversion": "1.0",
        "id": "1",
        "source": "/billing",
        "type": "INVOICE_PAID",
        "tenantid": "acme",
        "time": "2026-03-01T10:00:00Z",
        "data": {"invoice": {"id": "INV-1"}},
    } | changes
    return {name: value for name, value in attributes.items() if value is not None}


def structured_fields(**changes: Any) -> dict[bytes, bytes]:
    return {b"cloudevent": json.dumps(cloudevent(**changes)).encode()}


def binary_fields(**changes: str | bytes | None) -> dict[bytes, bytes]:
    fields: dict[str, str | bytes | None] = {
        "ce_specversion": "1.0",
        "ce_id": "1",
        "ce_source": "/billing",
        "ce_type": "INVOICE_PAID",
        "ce_tenantid": "acme",
        "ce_time": "2026-03-01T10:00:00Z",
        "data": '{"invoice":{"id":"INV-1"}}',
    }
    return as_bytes(fields | changes)


def as_bytes(fields: dict[str, str | bytes | None]) -> dict[bytes, bytes]:
    return {
        name.encode(): value.encode() if isinstance(value, str) else value
        for name, value in fields.items()
        if value is not None
    }
