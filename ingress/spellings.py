"""Entries whose names or values are spelt otherwise than the contract has them, read as meant.

Serializers of JSON (Spring's, for one) put names and values in quotes; publishers write `payload`
or `workflowCorrelationKey`. What the contract's own spelling says goes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from correlation.exact_reading import NotJson, read_json

Fields = Mapping[bytes, bytes]

KNOWN: Final = frozenset(
    {
        b"event_id",
        b"event_type",
        b"event_name",
        b"tenant",
        b"timestamp",
        b"workflow_correlation_key",
        b"payload_json",
        b"execution_id",
        b"user_id",
        b"from_state",
        b"to_state",
        b"payload_schema_ref",
        b"traceparent",
        b"tracestate",
    }
)
"""The fields of a native entry."""

_MEANT: Final = {
    **{name.replace(b"_", b""): name for name in KNOWN},
    b"payload": b"payload_json",
    b"correlationkey": b"workflow_correlation_key",
}


@lru_cache(maxsize=1024)
def meant_by(name: bytes) -> bytes | None:
    """The field that a name in another spelling means: `eventId`, `payload`, `correlation-key`."""
    meant = _MEANT.get(name.lower().replace(b"_", b"").replace(b"-", b""))
    return None if meant == name else meant


def respelt(fields: Fields) -> Fields:
    """The fields under the contract's names; a field that is there already is not replaced."""
    found = {
        meant: value
        for name, value in fields.items()
        if (meant := meant_by(name)) is not None and value and not fields.get(meant)
    }
    return {**fields, **found} if found else fields


def in_quotes(fields: Fields) -> bool:
    """Whether an entry's names or values were written as texts of JSON."""
    return any(
        fields.get(name, b"").startswith(b'"')
        for name in (b"tenant", b"event_id", b"ce_specversion", b"cloudevent")
    ) or any(name in fields for name in (b'"tenant"', b'"ce_specversion"', b'"cloudevent"'))


def without_quotes(fields: Fields) -> Fields:
    """The names and values that texts of JSON stand for; whatever is none stays as it is."""
    return {_plain(name): _plain(value) for name, value in fields.items()}


def _plain(value: bytes) -> bytes:
    if not (value.startswith(b'"') and value.endswith(b'"')):
        return value
    try:
        text = read_json(value.decode())
        return text.encode() if isinstance(text, str) else value
    except (NotJson, UnicodeError):
        return value
