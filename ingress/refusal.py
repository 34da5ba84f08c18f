"""How the decoding modules say "this is no event" to one another."""

from __future__ import annotations

from typing import Final

from correlation.exact_writing import exact_json
from correlation.reason import Reason

LONGEST_QUOTE: Final = 80


class Refusal(Exception):
    """An entry turned out to be no event; never leaves this package.

    `ingress.payload.parse_payload` and `ingress.envelope.decode` turn it into a `Malformed`. It is
    an exception because a refusal may arise in any of thirty fields and ends the decoding at once.
    """

    reason: Reason
    detail: str

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def quoted(value: object) -> str:
    """A value as it may stand in a detail: printable ASCII only, shortened."""
    text = ascii(value if isinstance(value, str) else exact_json(value))
    if not isinstance(value, str):
        text = text[1:-1]
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 3]}..."
