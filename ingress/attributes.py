"""What every envelope form demands of the attributes of an event."""

from __future__ import annotations

import re
from datetime import MAXYEAR, UTC, datetime
from typing import Final

from correlation.reason import Reason
from ingress.refusal import Refusal, quoted
from pointsman.contract import (
    MAX_EVENT_ID_BYTES,
    MAX_EVENT_NAME_BYTES,
    MAX_TENANT_BYTES,
    is_reserved_id,
)

MAX_CONTEXT_BYTES: Final = 4096
"""Bound of each attribute that is only kept for the audit (`user_id`, `tracestate`, ...)."""

# As the contract has it for waits: both sides must refuse the same names.
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f]")
_LOWER_CASE_RFC3339: Final = re.compile(r"(?<=\d)t|z$")
_LEAP_SECOND: Final = re.compile(r"(?<=:\d\d):60")


def tenant_from(value: str, field: str) -> str:
    """Check a tenant; raises `Refusal` when it is missing, too long or unprintable."""
    return _identifier(value, field, MAX_TENANT_BYTES, Reason.MISSING_TENANT)


def event_id_from(value: str, field: str) -> str:
    """Check an event id; raises `Refusal` when it is missing, too long, unprintable or reserved.

    Whoever could publish under an id that the service gives would keep out the service's own event.
    """
    event_id = _identifier(value, field, MAX_EVENT_ID_BYTES, Reason.MISSING_EVENT_ID)
    if is_reserved_id(event_id):
        detail = f"{field} {quoted(event_id)} is of the form that Pointsman gives itself"
        raise Refusal(Reason.FIELD_INVALID, detail)
    return event_id


def event_name_from(value: str, field: str) -> str:
    """Check an event's name; raises `Refusal` when it is missing, too long or unprintable."""
    return _identifier(value, field, MAX_EVENT_NAME_BYTES, Reason.MISSING_EVENT_NAME)


def context_from(value: str, field: str) -> str | None:
    """Check an attribute that is kept for the audit alone; blank is absent."""
    if not value:
        return None
    if "\0" in value:
        raise Refusal(Reason.NUL_CHARACTER, f"{field} contains a NUL character")
    _check_size(value, field, MAX_CONTEXT_BYTES)
    return value


def trace_from(value: object) -> str | None:
    """A part of the W3C trace context; one that cannot be kept is ignored, as W3C has it."""
    if not isinstance(value, str):
        return None
    try:
        return context_from(value, "trace context")
    except Refusal:
        return None


def timestamp_from(value: str, field: str) -> datetime | None:
    """Read an RFC 3339 time stamp as UTC; blank is absent, and so is one at the calendar's ends.

    ISO 8601 spellings that say the same are let through (seconds or separators left out, digits
    below the microsecond, which are cut off). A leap second becomes the second before it.
    """
    text = value.strip()
    if not text:
        return None
    moment = _moment(text)
    if moment is None:
        raise _bad_timestamp(field, value, "is not an RFC 3339 time stamp")
    # Go's zero time, .NET's smallest and largest: no time was set. Whatever zone a reader shows the
    # others in, they stay within the calendar's years.
    if not 1 < moment.year < MAXYEAR:
        return None
    if moment.tzinfo is None:
        raise _bad_timestamp(field, value, "has no UTC offset; RFC 3339 needs one, such as Z")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _identifier(value: str, field: str, limit: int, missing: Reason) -> str:
    text = value.strip()
    # Printable ASCII within the limit: the common case ends here.
    if 0 < len(text) <= limit and text.isascii() and text.isprintable():
        return text
    if not text:
        raise Refusal(missing, f"{field} is missing or blank")
    if not text.isprintable():
        _check_printable(text, field)
    _check_size(text, field, limit)
    return text


def _check_printable(text: str, field: str) -> None:
    if found := _CONTROL_CHARACTER.search(text):
        reason = Reason.NUL_CHARACTER if found.group() == "\0" else Reason.FIELD_INVALID
        character = f"U+{ord(found.group()):04X}"
        detail = f"{field} contains the control character {character} at {found.start()}"
        raise Refusal(reason, detail)


def _check_size(text: str, field: str, limit: int) -> None:
    if len(text) <= limit and text.isascii():
        return
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Refusal(Reason.FIELD_INVALID, f"{field} contains a lone surrogate") from None
    if size > limit:
        detail = f"{field} is {size} bytes of UTF-8 long; at most {limit} are allowed"
        raise Refusal(Reason.FIELD_TOO_LONG, detail)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        upper = _LOWER_CASE_RFC3339.sub(lambda found: found.group().upper(), text)
        return datetime.fromisoformat(_LEAP_SECOND.sub(":59", upper))
    except ValueError:
        return None


def _bad_timestamp(field: str, value: str, complaint: str) -> Refusal:
    return Refusal(Reason.INVALID_TIMESTAMP, f"{field} {quoted(value)} {complaint}")
