"""The codec of each namespace, from the settings."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
from temporalio.converter import PayloadCodec

from routing.payload_codec import ArgumentCodec, GuardedCodec
from routing.remote_codec import RemoteCodec
from tests.codecs import AesCodec, OldKey
from worker import codecs
from worker.codecs import Codecs, CodecUnusable
from worker.settings import Settings, load_settings
from worker.settings_error import SettingsError

POINTS = {
    "aes": "tests.codecs:OldKey",
    "rotated": "tests.codecs:rotated",
    "gone": "tests.codecs:NoSuchName",
    "text": "tests.codecs:ENCRYPTED",
}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        EntryPoint(name, value, codecs.GROUP) for name, value in sorted(POINTS.items())
    )
    monkeypatch.setattr(codecs, "entry_points", points.select)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return load_settings()


def codec_of(found: Settings, namespace: str) -> PayloadCodec | None:
    return Codecs(found).of(namespace)


def test_without_a_setting_no_namespace_has_a_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Codecs(settings(monkeypatch))

    assert found.of("default") is None
    assert found.converter("default").payload_codec is None


def test_an_entry_point_gives_the_codec_of_every_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = settings(monkeypatch, POINTSMAN_CODEC="aes")

    assert isinstance(codec_of(found, "default"), OldKey)
    assert isinstance(codec_of(found, "payments"), OldKey)


def test_each_namespace_may_have_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        POINTSMAN_CODEC="payments=rotated,open=none",
        TEMPORAL_CODEC_ENDPOINT="*=https://codec.example/{namespace},payments=none,open=none",
    )

    assert isinstance(codec_of(found, "payments"), AesCodec)
    assert codec_of(found, "open") is None
    assert isinstance(codec_of(found, "orders"), RemoteCodec)


def test_a_client_and_a_worker_guard_the_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Codecs(settings(monkeypatch, POINTSMAN_CODEC="aes"))

    client = found.converter("default").payload_codec
    worker = found.converter("default", serving=True).payload_codec

    assert isinstance(client, GuardedCodec)
    assert isinstance(worker, ArgumentCodec)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"POINTSMAN_CODEC": "ase"}, r"'ase'.*installed: aes, gone, rotated, text"),
        ({"POINTSMAN_CODEC": "gone"}, r"'gone' \(tests\.codecs:NoSuchName\).*AttributeError"),
        ({"POINTSMAN_CODEC": "text"}, r"is a bytes and no temporalio\.converter\.PayloadCodec"),
        (
            {"POINTSMAN_CODEC": "aes", "TEMPORAL_CODEC_ENDPOINT": "http://codec.example"},
            r"namespace default has a codec by POINTSMAN_CODEC and one by TEMPORAL_CODEC_ENDPOINT",
        ),
    ],
)
def test_a_codec_that_cannot_be_had_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    found = settings(monkeypatch, **variables)

    with pytest.raises(CodecUnusable, match=said):
        codec_of(found, "default")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("POINTSMAN_CODEC", "payments="),
        ("POINTSMAN_CODEC", "=aes"),
        ("POINTSMAN_CODEC", "aes,other"),
        ("TEMPORAL_CODEC_ENDPOINT", "codec.example"),
        ("TEMPORAL_CODEC_ENDPOINT", "ftp://codec.example"),
        ("TEMPORAL_CODEC_ENDPOINT", "https://codec.example:port"),
        ("POINTSMAN_CODEC_HEADERS", "X-Api-Key: secret"),
        ("POINTSMAN_CODEC_HEADERS", '{"X-Api-Key": 7}'),
        ("POINTSMAN_CODEC_HEADERS", '{"X-Api-Key": "a\\nb"}'),
        ("POINTSMAN_CODEC_TIMEOUT", "0s"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    with pytest.raises(SettingsError, match=variable) as refusal:
        settings(monkeypatch, **{variable: text})

    assert "secret" not in str(refusal.value)


def test_a_codec_server_gets_the_headers_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        TEMPORAL_CODEC_AUTH="Bearer one",
        POINTSMAN_CODEC_HEADERS='{"X-Api-Key": "two"}',
    )

    assert found.codec_headers_sent() == {"Authorization": "Bearer one", "X-Api-Key": "two"}
    assert not any(secret in repr(found) for secret in ("Bearer one", "two"))


def test_addresses_are_shown_without_their_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch, TEMPORAL_CODEC_ENDPOINT="a=https://me:secret@codec.example,*=none"
    )

    shown: dict[str, Any] = found.model_dump(mode="json")

    assert "secret" not in shown["temporal_codec_endpoint"]
    assert shown["temporal_codec_endpoint"].startswith("a=https://")
    names: Sequence[str] = list(found.temporal_codec_endpoint)
    assert names == ["a", "*"]


def test_a_lease_outlasts_encoding_and_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = {"POINTSMAN_DELIVERY_LEASE": "12s", "POINTSMAN_SIGNAL_TIMEOUT": "5s"}

    assert settings(monkeypatch, **bounds).codec == {}
    with pytest.raises(SettingsError, match="POINTSMAN_CODEC_TIMEOUT"):
        settings(monkeypatch, **bounds, POINTSMAN_CODEC="aes")
