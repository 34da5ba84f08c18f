"""The codec between what Temporal keeps and what its workflows read: encryption, for example.

Whatever a codec raises becomes one of two things: `CodecUnavailable`, after which trying again may
help, or `CodecRefused`, after which it cannot. Both name the payload's encoding and nothing of its
content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import PayloadCodec
from temporalio.exceptions import ApplicationError

PAGE: Final = "docs/encryption.md"
"""The page that every refusal leads to."""
ENCODING: Final = "encoding"
LONGEST_DETAIL: Final = 300

REFUSED: Final = "pointsman-refused"
"""Metadata of an argument that could not be decoded: why not."""
CLEAR: Final = "pointsman-clear"
"""Metadata of an argument that came without the codec that this namespace has."""


class CodecUnavailable(Exception):
    """The codec cannot work at the moment, or its keys cannot be reached: try again later."""


class CodecRefused(Exception):
    """The codec will not take this payload, now or later."""


@dataclass(frozen=True, slots=True)
class CodecTerms:
    """How a namespace's codec is used."""

    within: timedelta
    """Longest time of one call."""
    encodes: bool = True
    """False while a codec is being introduced: what comes is decoded, what goes is left clear."""


class GuardedCodec(PayloadCodec):
    """A codec with a deadline, whose errors are told apart."""

    def __init__(self, codec: PayloadCodec, terms: CodecTerms) -> None:
        self._codec = codec
        self._terms = terms

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode; raises CodecUnavailable or CodecRefused."""
        if not self._terms.encodes:
            return list(payloads)
        return await self._encode(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode; raises CodecUnavailable or CodecRefused."""
        try:
            async with asyncio.timeout(self._terms.within.total_seconds()):
                return list(await self._codec.decode(payloads))
        except Exception as error:
            raise _told_apart(error, "decoded", payloads, self._terms) from error

    async def _encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        try:
            async with asyncio.timeout(self._terms.within.total_seconds()):
                return list(await self._codec.encode(payloads))
        except Exception as error:
            raise _told_apart(error, "encoded", payloads, self._terms) from error

    async def changes(self, payload: Payload) -> bool:
        """Whether this codec, if it encodes at all now, would have given the payload another
        encoding.
        """
        if not self._terms.encodes:
            return False
        made = await self._encode([payload])
        return any(encoding_of(one) != encoding_of(payload) for one in made)


class ArgumentCodec(GuardedCodec):
    """The codec of a worker's activities: never fails on what can never be decoded, but marks it.

    A worker answers any error of its codec with a failure that is tried again, and says no more of
    it than that it could not decode. The activity itself refuses by the mark.
    """

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode, or mark; raises CodecUnavailable."""
        try:
            decoded = await super().decode(payloads)
            if len(decoded) != len(payloads):
                return decoded
            return [
                await self._marked(came, clear)
                for came, clear in zip(payloads, decoded, strict=True)
            ]
        except CodecRefused as error:
            return [_with_mark(payload, REFUSED, str(error)) for payload in payloads]

    async def _marked(self, came: Payload, clear: Payload) -> Payload:
        if came == clear and encoding_of(came).startswith("json/") and await self.changes(clear):
            return _with_mark(clear, CLEAR, "true")
        return clear


def encoding_of(payload: Payload) -> str:
    """The name of the payload's encoding, as it stands in its metadata."""
    return payload.metadata.get(ENCODING, b"").decode("utf-8", "replace")[:100]


def codec_of(client: Client) -> PayloadCodec | None:
    """The codec of the client's namespace."""
    return client.data_converter.payload_codec


async def encoded(codec: PayloadCodec | None, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """Payloads as they go to Temporal; raises CodecUnavailable or CodecRefused."""
    if codec is None or not payloads:
        return payloads
    return await codec.encode(payloads)


def _with_mark(payload: Payload, name: str, text: str) -> Payload:
    marked = Payload()
    marked.CopyFrom(payload)
    marked.metadata[name] = text.encode()
    return marked


def _told_apart(
    error: Exception, verb: str, payloads: Sequence[Payload], terms: CodecTerms
) -> CodecUnavailable | CodecRefused:
    if isinstance(error, CodecUnavailable | CodecRefused):
        return error
    encodings = ", ".join(sorted({repr(encoding_of(payload)) for payload in payloads}))
    what = f"a payload of encoding {encodings} could not be {verb}"
    if isinstance(error, TimeoutError) and not str(error):
        span = f"{terms.within.total_seconds():g} s"
        return CodecUnavailable(f"{what}: the codec did not answer within {span}; see {PAGE}")
    why = _why(error)
    if _may_pass(error):
        return CodecUnavailable(f"{what}: {why}; see {PAGE}")
    return CodecRefused(f"{what}: {why}; see {PAGE}")


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())[:LONGEST_DETAIL]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _may_pass(error: Exception) -> bool:
    """Whether a connection or a time-out is at the bottom of it, or the codec itself says so."""
    if isinstance(error, ApplicationError):
        return not error.non_retryable
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError):  # of which a TimeoutError is one
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False
