"""A codec behind HTTP, in the protocol of Temporal's codec servers: POST /encode, POST /decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import httpx
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadCodec

from routing.payload_codec import PAGE, CodecRefused, CodecUnavailable, encoding_of

REFUSING: Final = frozenset({400, 413, 415, 422})
"""What a codec server answers to payloads that it will never take; any other error may pass."""
LONGEST_ANSWER: Final = 200


class RemoteCodec(PayloadCodec):
    """Encodes and decodes by a server; connections are kept, and opened with the first call."""

    def __init__(
        self, endpoint: str, namespace: str, headers: Mapping[str, str], within: timedelta
    ) -> None:
        self._endpoint = endpoint.replace("{namespace}", namespace).rstrip("/")
        self._headers = {
            "content-type": "application/json",
            "x-namespace": namespace,
            **headers,
        }
        self._within = within
        self._client: httpx.AsyncClient | None = None

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode; raises CodecUnavailable or CodecRefused."""
        return await self._asked("encode", payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode; raises CodecUnavailable or CodecRefused."""
        return await self._asked("decode", payloads)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _asked(self, verb: str, payloads: Sequence[Payload]) -> list[Payload]:
        body = MessageToJson(Payloads(payloads=payloads), indent=None)
        try:
            answer = await self._connected().post(
                f"{self._endpoint}/{verb}", content=body, headers=self._headers
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told = str(error) or type(error).__name__
            raise CodecUnavailable(f"the codec server does not answer: {told}") from error
        if not answer.is_success:
            raise _refusal(verb, answer, payloads)
        try:
            made = Parse(answer.content, Payloads(), ignore_unknown_fields=True)
        except (ParseError, UnicodeDecodeError) as error:
            raise CodecUnavailable(
                f"the codec server's answer to /{verb} holds no payloads; see {PAGE}"
            ) from error
        if not made.payloads:
            raise CodecUnavailable(f"the codec server's answer to /{verb} is empty; see {PAGE}")
        return list(made.payloads)

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._within.total_seconds())
        return self._client


def _refusal(
    verb: str, answer: httpx.Response, payloads: Sequence[Payload]
) -> CodecRefused | CodecUnavailable:
    words = " ".join(answer.text[:LONGEST_ANSWER].split())
    told = f"the codec server answered /{verb} with {answer.status_code} {words}".rstrip()
    if answer.status_code in REFUSING:
        encodings = ", ".join(sorted({repr(encoding_of(payload)) for payload in payloads}))
        return CodecRefused(f"a payload of encoding {encodings} was refused: {told}; see {PAGE}")
    return CodecUnavailable(f"{told}; see {PAGE}")
