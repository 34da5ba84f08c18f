"""Secrets within plain text: passwords of addresses, `name=value` pairs, credentials of headers.

Every search takes time linear in the text, whatever stands in it: each pattern begins at a place
that cannot lie within a match of its own, and takes what it has read without going back.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus

HIDDEN: Final = "***"

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
"""Words that make a member or a parameter a secret wherever they stand in its name."""

_MORE_NAMES_OF_PARAMETERS: Final = frozenset({"pwd", "auth", "sig", "signature"})
_NO_LETTER: Final = re.compile(r"[\W_]+")
_WORD: Final = re.compile(r"\S+")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+\Z")
_LONGEST_SCHEME: Final = 32
_END_OF_USER: Final = re.compile("[:/@]")
_PAIR: Final = re.compile(
    # A name, its sign, and a value in quotes or up to what ends one in an address or a DSN.
    r"(?<![\w.%+-])([\w.%+-]++)(\s*+=\s*+)('(?:[^'\\]|\\.)*+'?+|\"(?:[^\"\\]|\\.)*+\"?+|[^&\s'\";,]++)"
)
_CREDENTIAL: Final = re.compile(r"(?i)(?<![\w-])(bearer|basic)([ \t]++)([\w.~+/=-]{8,}+)")
_SHOWS_USER: Final = frozenset({"postgresql", "postgres", "redis", "rediss"})


def bare(name: str) -> str:
    """A name without case and punctuation: `API-KEY`, `api_key` and `apiKey` are one."""
    return _NO_LETTER.sub("", name).casefold()


_WORDS: Final = tuple(bare(name) for name in SECRET_NAMES)


def redact_urls(text: str) -> str:
    """The text without the passwords of addresses, the secrets of pairs, and credentials.

    An address keeps its user, unless its scheme is one in which a user alone is usually a token.
    """
    if "://" in text:
        text = _WORD.sub(_address, text)
    if "=" in text:
        text = _PAIR.sub(_pair, text)
    return _CREDENTIAL.sub(rf"\1\2{HIDDEN}", text)


def _address(found: re.Match[str]) -> str:
    """A word with the password of the first address in it hidden, up to the last `@`.

    A password may itself hold an unescaped `@`, `/` or `:`.
    """
    word = found[0]
    end = word.rfind("@")
    place = word.find("://")
    while 0 <= place < end:
        scheme = _SCHEME.search(word[max(0, place - _LONGEST_SCHEME) : place])
        begin = place + len("://")
        if scheme is None:
            place = word.find("://", begin)
            continue
        found_end = _END_OF_USER.search(word, begin, end)
        user_end = found_end.start() if found_end else end
        if word[user_end] == ":":
            return f"{word[:user_end]}:{HIDDEN}{word[end:]}"
        if word[user_end] == "@" and scheme[0].lower() not in _SHOWS_USER and user_end > begin:
            return f"{word[:begin]}{HIDDEN}{word[end:]}"
        place = word.find("://", user_end)
    return word


def _pair(found: re.Match[str]) -> str:
    name, sign, value = found.groups()
    read = bare(unquote_plus(name))
    if read not in _MORE_NAMES_OF_PARAMETERS and not any(word in read for word in _WORDS):
        return found[0]
    quote = value[0] if value[0] in "'\"" else ""
    return f"{name}{sign}{quote}{HIDDEN}{quote}"
