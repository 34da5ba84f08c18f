"""What must not be shown: passwords within addresses, and secrets within payloads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from correlation.event import Payload
from ingress.envelope import fields_from_raw
from ingress.payload import parse_payload

HIDDEN: Final = "***"

# Up to the last "@" of the word: a password may itself hold an unescaped "@", "/" or ":".
PASSWORD_BEFORE_HOST: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s]*@")
PASSWORD_IN_QUERY: Final = re.compile(
    r"(?i)\b((?:ssl)?password|passwd|pwd|api_?key|token)=[^&\s'\"]+"
)

SECRET_NAMES: Final = (
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "api key",
    "authorization",
    "credential",
    "private key",
    "cookie",
)
"""Words that make a payload's member a secret wherever they stand in its name."""

_NO_LETTER: Final = re.compile(r"[\W_]+")
# A member's name, and its value where that is a scalar; possessive, so that neither a long nor an
# unterminated string can make it backtrack.
_MEMBER_OF_TEXT: Final = re.compile(
    r'("((?:[^"\\]|\\.){1,200}+)"\s*+:\s*+)("(?:[^"\\]|\\.)*+"?+|[^\s,\]}"\[{]++)?', re.DOTALL
)


def redact_urls(text: str) -> str:
    """The text with the password of every address in it, and of every `password=…`, hidden."""
    if "://" in text:
        text = PASSWORD_BEFORE_HOST.sub(rf"\1:{HIDDEN}@", text)
    return PASSWORD_IN_QUERY.sub(rf"\1={HIDDEN}", text)


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
        return cls(tuple(sorted({word for name in names if (word := _bare(name))})))

    def hides(self, name: str) -> bool:
        """Whether what has this name is a secret."""
        bare = _bare(name)
        return any(word in bare for word in self.words)

    def value(self, value: Any) -> Any:
        """Decoded JSON with every secret member's value hidden, at any depth."""
        match value:
            case Mapping():
                return {
                    name: HIDDEN if self.hides(name) else self.value(inner)
                    for name, inner in value.items()
                }
            case list() | tuple():
                return [self.value(inner) for inner in value]
            case str():
                return redact_urls(value)
            case _:
                return value

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
            if self.hides(found[2]):
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

    def _field(self, name: str, value: str) -> Any:
        if self.hides(name):
            return HIDDEN
        if value.lstrip().startswith("{"):
            return self.payload(value)
        return self.text(value)


def _bare(name: str) -> str:
    return _NO_LETTER.sub("", name).casefold()


def _decoded(field: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = field
    return name.decode("utf-8", "backslashreplace"), value.decode("utf-8", "backslashreplace")
