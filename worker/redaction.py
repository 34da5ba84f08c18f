"""What must not be shown: passwords within addresses, and secrets within payloads."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from correlation.event import Payload
from correlation.exact_reading import NotJson, read_json
from correlation.exact_writing import exact_json
from correlation.reason import Outcome, Reason
from ingress.envelope import fields_from_raw
from ingress.payload import parse_payload
from worker.secret_text import HIDDEN, SECRET_NAMES, bare, redact_urls

__all__ = ["HIDDEN", "SECRET_NAMES", "Redaction", "redact_urls"]

_DEEPEST_TEXT: Final = 4
"""So often JSON within a string of JSON is read; what lies deeper is hidden whole."""
_LEVELS_WITHIN: Final = 32
"""So deep is JSON within a string read; what is deeper is hidden whole."""
_NAME_AND_VALUE: Final = (("name", "value"), ("key", "value"), ("header", "value"))
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
# A member's name, and its value where that is a scalar; possessive, so that neither a long nor an
# unterminated string can make it backtrack.
_MEMBER_OF_TEXT: Final = re.compile(
    r'("((?:[^"\\]|\\.){1,200}+)"\s*+:\s*+)("(?:[^"\\]|\\.)*+"?+|[^\s,\]}"\[{]++)?', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Hides the secrets of payloads: pure, and the same in every read, export and log.

    A member is a secret when its name, read without case and punctuation, contains one of the
    words: `apiKey`, `API-KEY` and `stripe_api_key` all contain "api key".
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> Redaction:
        """The redaction for these words, however they are written."""
        return cls(tuple(sorted({word for name in names if (word := bare(name))})))

    def hides(self, name: str) -> bool:
        """Whether what has this name is a secret."""
        read = bare(name)
        return any(word in read for word in self.words)

    def value(self, value: Any) -> Any:
        """Decoded JSON with every secret member's value hidden, at any depth.

        So is the value of a pair such as `{"name": "Authorization", "value": …}`, and what is
        secret in JSON that stands within a text or, under `data_base64`, in base64.
        """
        return self._value(value, 0)

    def _value(self, value: Any, depth: int) -> Any:
        match value:
            case Mapping():
                return self._members(value, depth)
            case list() | tuple():
                return [self._value(inner, depth) for inner in value]
            case str():
                return self._string(value, depth)
            case _:
                return value

    def _members(self, members: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        secret_pair = self._secret_of_pair(members)
        shown: dict[Any, Any] = {}
        for name, inner in members.items():
            if name == secret_pair or self.hides(str(name)):
                shown[name] = HIDDEN
            elif name == "data_base64" and isinstance(inner, str):
                shown[name] = self._base64(inner, depth)
            else:
                shown[name] = self._value(inner, depth)
        return shown

    def _secret_of_pair(self, members: Mapping[Any, Any]) -> str | None:
        """The member that holds what another one names a secret; None without such a pair."""
        read = {bare(name): name for name in members if isinstance(name, str)}
        for naming, holding in _NAME_AND_VALUE:
            if naming in read and holding in read:
                named = members[read[naming]]
                if isinstance(named, str) and self.hides(named):
                    return read[holding]
        return None

    def _string(self, text: str, depth: int) -> str:
        if text.lstrip()[:1] not in ("{", "["):
            return redact_urls(text)
        if depth >= _DEEPEST_TEXT:
            return HIDDEN
        try:
            read = read_json(text, max_depth=_LEVELS_WITHIN)
        except NotJson as error:
            return HIDDEN if error.reason is Reason.TOO_DEEP else self.text(text)
        shown = self._value(read, depth + 1)
        return text if shown == read else exact_json(shown)

    def _base64(self, text: str, depth: int) -> str:
        try:
            decoded = base64.b64decode(text, validate=True).decode()
        except ValueError:
            return text
        shown = self._string(decoded, depth)
        return text if shown == decoded else base64.b64encode(shown.encode()).decode()

    def payload(self, text: str) -> Any:
        """A payload's text, decoded with exact numbers and without its secrets."""
        match parse_payload(text):
            case Payload(_, value):
                return self.value(value)
            case _:
                return self.text(text)

    def text(self, text: str) -> str:
        """Text that is no JSON, or is broken: what looks like a secret member is hidden.

        Where a secret's value is an object or array, nothing tells its end: all that follows is
        hidden, too.
        """
        shown: list[str] = []
        position = 0
        while (found := _MEMBER_OF_TEXT.search(text, position)) is not None:
            shown.append(text[position : found.end(1)])
            position = found.end(1)
            if self.hides(_unescaped(found[2])):
                shown.append(f'"{HIDDEN}"')
                position = len(text) if found[3] is None else found.end()
        return redact_urls("".join(shown) + text[position:])

    def raw_fields(self, raw: bytes) -> Any:
        """The raw fields of an entry as name → value, without their secrets."""
        try:
            fields = fields_from_raw(raw)
        except ValueError:
            return self.text(raw.decode("utf-8", "backslashreplace"))
        return {name: self._field(name, value) for name, value in map(_decoded, fields.items())}

    def rejected_raw(self, outcome: Outcome, raw: bytes, *, everything: bool) -> Any:
        """The raw fields of a rejected entry; of a malformed one None, unless told `everything`.

        What is no event has no names to tell secrets by.
        """
        if outcome is Outcome.MALFORMED and not everything:
            return None
        return self.raw_fields(raw)

    def _field(self, name: str, value: str) -> Any:
        if self.hides(name):
            return HIDDEN
        if value.lstrip().startswith("{"):
            return self.payload(value)
        return self.text(value)


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)


def _decoded(field: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = field
    return name.decode("utf-8", "backslashreplace"), value.decode("utf-8", "backslashreplace")
