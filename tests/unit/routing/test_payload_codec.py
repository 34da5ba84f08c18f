"""Codecs: what their errors mean, and what a worker's arguments become."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec
from temporalio.exceptions import ApplicationError

from routing.payload_codec import (
    CLEAR,
    REFUSED,
    ArgumentCodec,
    CodecRefused,
    CodecTerms,
    CodecUnavailable,
    GuardedCodec,
)
from routing.remote_codec import RemoteCodec
from tests.codecs import ENCRYPTED, NEW, OLD, AesCodec, CodecServer, a_json_payload, codec_server

SOON = timedelta(seconds=5)
CLEAR_TEXT = a_json_payload({"a": 1})


class Failing(PayloadCodec):
    """Raises the error that it was given."""

    def __init__(self, error: Exception, cause: BaseException | None = None) -> None:
        self._error, self._cause = error, cause

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        raise self._error from self._cause

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        raise self._error from self._cause


class Hanging(PayloadCodec):
    """Never answers."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        await asyncio.Event().wait()
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return await self.encode(payloads)


def guarded(codec: PayloadCodec, *, encodes: bool = True) -> GuardedCodec:
    return GuardedCodec(codec, CodecTerms(SOON, encodes=encodes))


def arguments(codec: PayloadCodec, *, encodes: bool = True) -> ArgumentCodec:
    return ArgumentCodec(codec, CodecTerms(SOON, encodes=encodes))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CodecServer]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with codec_server(AesCodec(OLD)) as server:
        yield server


def remote(server: CodecServer, **headers: str) -> RemoteCodec:
    return RemoteCodec(f"{server.url}/codec/{{namespace}}", "payments", headers, SOON)


@pytest.mark.parametrize(
    ("codec", "meant"),
    [
        (Failing(ConnectionError("no route")), CodecUnavailable),
        (Failing(RuntimeError("keys"), ConnectionError("no route")), CodecUnavailable),
        (Failing(TimeoutError()), CodecUnavailable),
        (Failing(ApplicationError("later")), CodecUnavailable),
        (Failing(ApplicationError("never", non_retryable=True)), CodecRefused),
        (Failing(ValueError("Unrecognized key ID")), CodecRefused),
        (Failing(KeyError("key")), CodecRefused),
    ],
)
async def test_an_error_of_a_codec_passes_or_does_not(
    codec: PayloadCodec, meant: type[Exception]
) -> None:
    for work in (guarded(codec).encode, guarded(codec).decode):
        with pytest.raises(meant, match=r"json/plain.*docs/encryption\.md"):
            await work([CLEAR_TEXT])


async def test_a_codec_that_never_answers_is_not_waited_for() -> None:
    codec = GuardedCodec(Hanging(), CodecTerms(timedelta(milliseconds=1)))

    with pytest.raises(CodecUnavailable, match=r"did not answer within 0\.001 s"):
        await codec.encode([CLEAR_TEXT])


async def test_a_codec_that_is_being_introduced_decodes_and_leaves_clear_what_goes() -> None:
    codec = guarded(AesCodec(OLD), encodes=False)
    [encrypted] = await AesCodec(OLD).encode([CLEAR_TEXT])

    assert await codec.encode([CLEAR_TEXT]) == [CLEAR_TEXT]
    assert await codec.decode([encrypted]) == [CLEAR_TEXT]


async def test_an_argument_of_another_key_is_marked_with_what_stands_against_it() -> None:
    encrypted = await AesCodec(NEW).encode([CLEAR_TEXT])

    [argument] = await arguments(AesCodec(OLD)).decode(encrypted)

    said = argument.metadata[REFUSED].decode()
    assert "'binary/encrypted' could not be decoded: ValueError: Unrecognized key ID" in said
    assert argument.data == encrypted[0].data


async def test_an_argument_is_read_with_every_key_of_a_rotation() -> None:
    for key in (OLD, NEW):
        encrypted = await AesCodec(key).encode([CLEAR_TEXT])

        assert await arguments(AesCodec(NEW, OLD)).decode(encrypted) == [CLEAR_TEXT]


async def test_an_argument_that_came_in_clear_is_marked_where_the_codec_would_not_leave_it() -> (
    None
):
    [argument] = await arguments(AesCodec(OLD)).decode([CLEAR_TEXT])
    [tolerated] = await arguments(AesCodec(OLD), encodes=False).decode([CLEAR_TEXT])

    assert argument.metadata[CLEAR] == b"true"
    assert tolerated == CLEAR_TEXT


async def test_an_argument_waits_for_a_codec_that_is_away() -> None:
    with pytest.raises(CodecUnavailable):
        await arguments(Failing(ConnectionError())).decode([CLEAR_TEXT])


async def test_a_codec_server_is_asked_as_temporals_protocol_says(server: CodecServer) -> None:
    codec = remote(server, Authorization="Bearer secret")

    [encrypted] = await codec.encode([CLEAR_TEXT])
    [clear] = await codec.decode([encrypted])
    await codec.aclose()

    assert (encrypted.metadata["encoding"], clear) == (ENCRYPTED, CLEAR_TEXT)
    assert [path for path, _ in server.asked] == [
        "/codec/payments/encode",
        "/codec/payments/decode",
    ]
    for _, headers in server.asked:
        assert headers["x-namespace"] == "payments"
        assert headers["authorization"] == "Bearer secret"
        assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "body", "meant"),
    [
        (503, "starting", CodecUnavailable),
        (500, "", CodecUnavailable),
        (401, "who are you", CodecUnavailable),
        (404, "", CodecUnavailable),
        (302, "", CodecUnavailable),
        (200, "<html>", CodecUnavailable),
        (200, "{}", CodecUnavailable),
        (400, "no such key", CodecRefused),
        (413, "", CodecRefused),
    ],
)
async def test_what_a_codec_server_answers_passes_or_does_not(
    server: CodecServer, status: int, body: str, meant: type[Exception]
) -> None:
    server.answers.append((status, body))
    codec = remote(server)

    with pytest.raises(meant, match=r"docs/encryption\.md"):
        await codec.decode([CLEAR_TEXT])
    await codec.aclose()


async def test_a_codec_server_that_is_away_is_waited_for() -> None:
    with codec_server(AesCodec(OLD)) as gone:
        pass
    codec = remote(gone)

    with pytest.raises(CodecUnavailable, match="does not answer"):
        await codec.encode([CLEAR_TEXT])
    await codec.aclose()
