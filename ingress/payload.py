"""From the text of a payload to a `Payload`."""

from __future__ import annotations

from typing import Final

from correlation.event import EMPTY_PAYLOAD, Payload
from correlation.exact_reading import NotJson, kind_of, read_json
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.refusal import Refusal

BYTE_ORDER_MARK: Final = "\ufeff"
_SURROUNDINGS: Final = f" \t\n\r{BYTE_ORDER_MARK}"


def parse_payload(text: str) -> Payload | Malformed:
    r"""Decode the JSON object that a payload is; blank text is the empty object.

    The payload's text is the given one without surrounding white space or byte order mark. It
    holds no NUL and no lone surrogate, so that it can be stored and sent as UTF-8; escapes such as
    `\u0000` or `\ud800` within JSON strings stay as they were written.
    """
    try:
        return read_payload(text)
    except Refusal as refusal:
        return Malformed(refusal.reason, refusal.detail)


def read_payload(text: str) -> Payload:
    """Do as `parse_payload` does, but raise `Refusal`."""
    stripped = text.strip(_SURROUNDINGS)
    if not stripped:
        return EMPTY_PAYLOAD
    try:
        value = read_json(stripped)
    except NotJson as error:
        raise Refusal(error.reason, f"the payload: {error.detail}") from None
    if not isinstance(value, dict):
        detail = f"the payload must be a JSON object, not {kind_of(value)}"
        raise Refusal(Reason.PAYLOAD_NOT_OBJECT, detail)
    return Payload(stripped, value)
