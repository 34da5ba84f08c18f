"""Which codec stands between Temporal and the service: encryption, compression."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr
from pydantic_settings import BaseSettings, NoDecode

from worker.redaction import redact_urls
from worker.setting_values import Duration, Secret, split_list

ANY: Final = "*"
"""Stands for every namespace that is not named."""
NONE: Final = "none"


def parse_by_namespace(text: object) -> object:
    """`aes` for every namespace, or `payments=aes,open=none,*=other`; raises ValueError."""
    parts = split_list(text)
    if not isinstance(text, str) or not isinstance(parts, tuple):
        return text
    chosen: dict[str, str] = {}
    for part in parts:
        before, equals, after = part.partition("=")
        named = bool(equals) and not {":", "/"} & set(before)
        name, value = (before.strip(), after.strip()) if named else (ANY, part)
        if not name or not value:
            raise ValueError("expected one value, or pairs such as payments=value,*=other")
        if name in chosen:
            words = "every other namespace" if name == ANY else f"namespace {name}"
            raise ValueError(f"says two things of {words}")
        chosen[name] = value
    return chosen


def format_by_namespace(chosen: Mapping[str, str]) -> str:
    """The text that `parse_by_namespace` reads back, without passwords."""
    shown = {name: redact_urls(value) for name, value in chosen.items()}
    if set(shown) == {ANY}:
        return shown[ANY]
    return ",".join(f"{name}={value}" for name, value in shown.items())


def _are_addresses(value: object) -> object:
    chosen = parse_by_namespace(value)
    for address in chosen.values() if isinstance(chosen, Mapping) else ():
        if address != NONE and not _is_address(str(address)):
            raise ValueError("expected an address beginning with http:// or https://")
    return chosen


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # Reading the port raises when it is not a number.
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _are_headers(value: object) -> object:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    try:
        headers = json.loads(str(text))
    except ValueError:
        headers = None
    if not isinstance(headers, dict) or not all(map(_is_header, headers.items())):
        raise ValueError('expected a JSON object of texts, such as {"X-Api-Key": "…"}')
    return text


def _is_header(item: tuple[str, Any]) -> bool:
    name, value = item
    return (
        bool(name)
        and name.isascii()
        and name.replace("-", "").replace("_", "").isalnum()
        and isinstance(value, str)
        and value.isascii()
        and value.isprintable()
    )


ByNamespace = Annotated[
    Mapping[str, str],
    NoDecode,
    BeforeValidator(parse_by_namespace),
    PlainSerializer(format_by_namespace),
]
Endpoints = Annotated[
    Mapping[str, str],
    NoDecode,
    BeforeValidator(_are_addresses),
    PlainSerializer(format_by_namespace),
]
Headers = Annotated[Secret, BeforeValidator(_are_headers)]


class CodecSettings(BaseSettings):
    """The codec of each namespace's payloads."""

    codec: ByNamespace = Field(
        default={},
        description="Codec of payloads to and from Temporal: the name of an entry point of the "
        "group `pointsman.codecs`. One for every namespace, or pairs: `payments=aes,*=none`.",
    )
    temporal_codec_endpoint: Endpoints = Field(
        default={},
        validation_alias="TEMPORAL_CODEC_ENDPOINT",
        description="Remote codec server, instead; `{namespace}` in it stands for the namespace. "
        "One for every namespace, or pairs: `payments=https://…,*=none`.",
    )
    temporal_codec_auth: Secret | None = Field(
        default=None,
        validation_alias="TEMPORAL_CODEC_AUTH",
        description="The codec server's `Authorization` header.",
    )
    codec_headers: Headers | None = Field(
        default=None,
        description='Further headers for the codec server, as a JSON object: `{"X-Api-Key": "…"}`.',
    )
    codec_timeout: Duration = Field(
        default=timedelta(seconds=3),
        gt=timedelta(),
        le=timedelta(minutes=1),
        description="Longest time of one call to a codec.",
    )
    codec_encode: bool = Field(
        default=True,
        description="Off: what comes is decoded, what goes to Temporal is left clear. For the time "
        "in which a codec is being introduced.",
    )

    def codec_headers_sent(self) -> Mapping[str, str]:
        """The headers for the codec server."""
        given = self.codec_headers
        headers: dict[str, str] = json.loads(given.get_secret_value()) if given else {}
        if self.temporal_codec_auth is not None:
            headers["Authorization"] = self.temporal_codec_auth.get_secret_value()
        return headers
