"""Entries with something wrong: each must be named in the audit, none may harm its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from examples.event_forms import (
    Desk,
    Line,
    as_bytes,
    as_json,
    long_text,
    malformed,
    no_wait,
    unresolved,
)

PAID = "INVOICE_PAID"
PAYLOAD = {"invoice": {"id": "INV-9999"}}


def unusual_events() -> Iterator[Sequence[Line]]:
    """Sequences of one line each."""
    desk = Desk("odd")
    for lines in (
        _unusable_keys(desk),
        _unusable_payloads(desk),
        _unusable_fields(desk),
        _unusable_cloudevents(desk),
        _harmless(desk),
    ):
        yield from ([line] for line in lines)


def _unusable_keys(desk: Desk) -> Iterator[Line]:
    def line(payload: Mapping[str, Any] | str, reason: str, **fields: str) -> Line:
        return Line(desk.native("acme", PAID, payload, **fields), unresolved(reason))

    yield line({"invoice": {"id": {"prefix": "INV", "number": 7001}}}, "not_scalar")
    yield line({"invoice": {"id": None}}, "no_value")
    yield line({"invoice": {"id": "  "}}, "no_value")
    yield line({"invoice": ["INV-7001"]}, "no_value")
    yield line({}, "no_value")
    yield line({"invoice": {"id": "INV-" + "7" * 600}}, "key_too_long")
    yield line(PAYLOAD, "key_too_long", workflow_correlation_key="ü" * 300)
    yield line({"invoice": {"id": "INV\u00017001"}}, "control_characters")
    yield line('{"invoice": {"id": 1e400}}', "number_unusable")
    yield line({"invoice": {"id": int("9" * 65)}}, "number_unusable")
    lines = [{"invoiceId": f"INV-{number}"} for number in range(6000, 6065)]
    yield line({"lines": lines}, "too_many_keys")


def _unusable_payloads(desk: Desk) -> Iterator[Line]:
    def line(text: Any, reason: str) -> Line:
        return Line(desk.native("acme", PAID, "", payload_json=text), malformed(reason))

    yield line('{"invoice": {"id": "INV-7001"', "invalid_json")
    yield line('{"amount": NaN}', "invalid_json")
    yield line("{'invoice': 1}", "invalid_json")
    yield line("paid", "invalid_json")
    yield line('["INV-7001"]', "payload_not_object")
    yield line('"INV-7001"', "payload_not_object")
    yield line("null", "payload_not_object")
    yield line('{"a":' * 200 + "1" + "}" * 200, "too_deep")
    yield line(as_bytes(b'{"customer": "Caf\xe9"}'), "not_utf8")
    yield line(as_bytes(b'{"customer": "a\x00b"}'), "nul_character")
    yield line(long_text("x", 1_100_000), "entry_too_large")


def _unusable_fields(desk: Desk) -> Iterator[Line]:
    def line(reason: str, **fields: Any) -> Line:
        return Line(desk.native("acme", PAID, PAYLOAD, **fields), malformed(reason))

    yield line("missing_tenant", tenant="")
    yield line("missing_tenant", tenant="   ")
    yield line("missing_event_id", event_id="")
    yield line("missing_event_id", event_id=" \t ")
    yield line("missing_event_name", event_type="", event_name="")
    yield line("field_too_long", tenant="a" * 300)
    yield line("field_too_long", event_type="N" * 300)
    yield line("field_invalid", event_type="INVOICE\u0007PAID")
    yield line("nul_character", tenant=as_bytes(b"ac\x00me"))
    yield line("not_utf8", tenant=as_bytes(b"\xff\xfe"))
    yield line("invalid_timestamp", timestamp="yesterday")
    yield line("invalid_timestamp", timestamp="2026-11-02T07:00:00")
    yield Line({"hello": "world"}, malformed("missing_tenant"))


def _unusable_cloudevents(desk: Desk) -> Iterator[Line]:
    def line(reason: str, **attributes: Any) -> Line:
        return Line(desk.structured("acme", PAID, PAYLOAD, **attributes), malformed(reason))

    yield line("invalid_cloudevent", specversion="0.3")
    yield line("invalid_cloudevent", datacontenttype="text/xml")
    yield line("missing_tenant", tenantid="")
    yield line("missing_event_id", source="")
    yield line("missing_event_name", type="")
    yield Line({"cloudevent": "not even JSON"}, malformed("invalid_json"))
    yield Line(desk.structured("acme", PAID, '["INV"]'), malformed("payload_not_object"))


def _harmless(desk: Desk) -> Iterator[Line]:
    """Odd to look at, and all right."""
    without_type = desk.native("acme", PAID, PAYLOAD, event_type="")
    yield Line(without_type, no_wait())
    extra = desk.native("acme", PAID, PAYLOAD, shoe_size="43", traceparent="")
    yield Line(extra, no_wait())
    escaped = desk.native("acme", PAID, as_json(PAYLOAD)[:-1] + ', "note": "\\u0000\\ud800"}')
    yield Line(escaped, no_wait())
    unknown = desk.native("acme", "COFFEE_BREWED", {"contractId": "K-1"})
    yield Line(unknown, no_wait())
    big = desk.native("acme", PAID, as_json({**PAYLOAD, "note": "y" * 3000}))
    yield Line(big, no_wait())
