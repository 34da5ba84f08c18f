"""What holds of every entry, whatever its bytes are: the check that fuzzing runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from correlation.event import Event
from correlation.key import CanonicalKey, canonical_key
from correlation.resolution import Resolved, resolve
from correlation.rules import compile_rules
from ingress.entry import Malformed
from ingress.envelope import decode, fields_from_raw, raw_bytes
from pointsman.contract import (
    MAX_EVENT_ID_BYTES,
    MAX_EVENT_NAME_BYTES,
    MAX_KEYS_PER_EVENT,
    MAX_TENANT_BYTES,
)

NEXT_FIELD: Final = b"\x1e"
NAME_ENDS: Final = b"\x1f"
MAX_BYTES: Final = 64 * 1024
RULES: Final = compile_rules({"*": ["id", "a.b", "$.lines[*].id", "$[0]"], "NAME": "correlation"})


def fields_of(data: bytes) -> Mapping[bytes, bytes]:
    """The fields that a corpus file, or the fuzzer's bytes, stand for."""
    pairs = (field.partition(NAME_ENDS) for field in data.split(NEXT_FIELD) if field)
    return {name: value for name, _, value in pairs}


def check(data: bytes) -> None:
    """Decode an entry; raises AssertionError, or whatever decoding should not have raised."""
    fields = fields_of(data)
    decoded = decode(fields, max_bytes=MAX_BYTES)
    # By their text, for a number beyond every bound is read as one that equals nothing.
    assert repr(decode(fields, max_bytes=MAX_BYTES)) == repr(decoded), "decoding is no function"
    assert fields_from_raw(raw_bytes(fields)) == fields, "the audit's copy is not the entry"
    if isinstance(decoded, Malformed):
        _check_malformed(decoded)
    else:
        _check_event(decoded)


def _check_malformed(malformed: Malformed) -> None:
    assert malformed.detail
    for text in (malformed.detail, malformed.tenant, malformed.event_id, malformed.event_name):
        _check_storable(text or "")


def _check_event(event: Event) -> None:
    _check_identifier(event.tenant, MAX_TENANT_BYTES)
    _check_identifier(event.event_id, MAX_EVENT_ID_BYTES)
    _check_identifier(event.name, MAX_EVENT_NAME_BYTES)
    _check_storable(event.payload.text)
    assert isinstance(json.loads(event.payload.text, parse_int=str), dict)
    if event.occurred_at is not None:
        assert event.occurred_at.tzinfo is not None
    resolution = resolve(event, RULES)
    _check_storable(resolution.detail)
    if isinstance(resolution, Resolved):
        assert 1 <= len(resolution.keys) <= MAX_KEYS_PER_EVENT
        assert resolution.key == resolution.keys[0]
        assert len(set(resolution.keys)) == len(resolution.keys)
        for key in resolution.keys:
            again = canonical_key(key)
            assert isinstance(again, CanonicalKey)
            assert again.key == key, "a key is not its own canonical form"


def _check_identifier(text: str, limit: int) -> None:
    assert text == text.strip()
    assert 0 < len(text.encode()) <= limit
    assert text.isprintable() or not any(ord(each) < 32 or ord(each) == 127 for each in text)


def _check_storable(text: str) -> None:
    """Postgres and Temporal take no NUL, and nothing that is no UTF-8."""
    assert "\0" not in text
    text.encode()
