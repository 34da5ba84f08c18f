"""How the HTTP API is reached, and who may speak to it."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from worker.redaction import SECRET_NAMES
from worker.setting_values import Duration, Names, Size, format_duration

MEBIBYTE: Final = 2**20


class HttpSettings(BaseSettings):
    """The HTTP API's address, limits and sources of trust."""

    http_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that the HTTP API listens on (role api).",
    )
    http_port: int = Field(
        default=8088, ge=0, le=65535, description="Port of the HTTP API; 0 takes a free one."
    )
    http_max_body: Size = Field(
        default=8 * MEBIBYTE,
        ge=1024,
        description="Largest request body; a larger one is answered with 413.",
    )
    http_rate: int = Field(
        default=200,
        ge=1,
        description="Requests per second that one token may send on average.",
    )
    http_burst: int = Field(
        default=400, ge=1, description="Requests that one token may send at once."
    )
    http_unknown_rate: int = Field(
        default=20,
        ge=1,
        description="Requests per second without a valid token that one address may send on "
        "average; five times as many at once. Beyond it unknown tokens are not looked up.",
    )
    http_connections: int = Field(
        default=512,
        ge=8,
        le=100_000,
        description="Connections to the HTTP API at most. Each takes a file descriptor.",
    )
    http_connections_per_address: int = Field(
        default=256,
        ge=1,
        description="Connections of one address at most (of an IPv6 address: of its /64 network). "
        "Behind a proxy all requests come from the proxy's address.",
    )
    http_head_timeout: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(),
        le=timedelta(hours=1),
        description="The head of a request has to arrive within this time.",
    )
    http_idle_timeout: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="A connection without a request is closed after this time, in whole seconds.",
    )
    http_body_timeout: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(),
        le=timedelta(hours=1),
        description="How long a request's body is waited for, besides the time that "
        "POINTSMAN_HTTP_BODY_RATE grants.",
    )
    http_body_rate: Size = Field(
        default=16 * 1024,
        ge=1,
        description="Slowest body: so many bytes received grant one second more.",
    )
    http_reader_timeout: Duration = Field(
        default=timedelta(seconds=30),
        gt=timedelta(),
        le=timedelta(hours=1),
        description="A client that takes nothing of its answer for this long is disconnected.",
    )
    http_requests: int = Field(
        default=32,
        ge=1,
        le=1000,
        description="Requests with a token that are read and worked on at once; others wait.",
    )
    http_requests_per_tenant: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="How many of them may be of one tenant (of one token, where it has several "
        "tenants). Four times as many wait, 10 s at most; further ones are answered with 429.",
    )
    http_database_pool_size: int = Field(
        default=10,
        ge=1,
        le=200,
        description="Connections to Postgres of the HTTP API (role api), beside those of the "
        "other roles and two for looking up tokens.",
    )
    token_age: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(),
        le=timedelta(minutes=5),
        description="How long an answer about an API token counts: a revoked or expired token is "
        "refused after this time at the latest. `0s` asks the database for every request.",
    )
    jwt_issuer: str | None = Field(
        default=None, description="Issuer (`iss`) whose JWTs are accepted; unset: none are."
    )
    jwt_audience: str | None = Field(
        default=None, description="Audience (`aud`) that a JWT must be meant for."
    )
    jwt_jwks: str | None = Field(
        default=None,
        description="The issuer's public keys (JWKS): a file, or an https:// address.",
    )
    jwt_scopes_claim: str = Field(
        default="scope", min_length=1, description="Claim with the scopes of a JWT."
    )
    jwt_tenants_claim: str = Field(
        default="tenants", min_length=1, description="Claim with the tenants of a JWT."
    )
    jwks_refresh: Duration = Field(
        default=timedelta(minutes=5),
        gt=timedelta(),
        description="How long the issuer's keys are kept before they are read again.",
    )
    jwks_longest_age: Duration = Field(
        default=timedelta(hours=1),
        gt=timedelta(),
        description="How long the issuer's keys count while they cannot be read again. Then every "
        "JWT is answered with 503.",
    )
    redacted_names: Names = Field(
        default=SECRET_NAMES,
        description="Payload members whose name contains one of these words are never shown.",
    )
    temporal_ui_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address of Temporal's own console; Pointsman's links runs to it.",
    )
    insecure_dev: bool = Field(
        default=False,
        description="Development only: no token is asked for. Refused unless the API listens on "
        "this machine alone.",
    )

    @model_validator(mode="after")
    def _safe(self) -> HttpSettings:
        if self.insecure_dev and not is_loopback(self.http_host):
            raise ValueError(
                "POINTSMAN_INSECURE_DEV=true asks nobody for a token; it is allowed only with "
                f"POINTSMAN_HTTP_HOST=127.0.0.1, not with {self.http_host!r}"
            )
        jwt = (self.jwt_issuer, self.jwt_audience, self.jwt_jwks)
        if any(jwt) and not all(jwt):
            raise ValueError(
                "POINTSMAN_JWT_ISSUER, POINTSMAN_JWT_AUDIENCE and POINTSMAN_JWT_JWKS belong "
                "together: set all three or none"
            )
        if self.jwks_longest_age < self.jwks_refresh:
            raise ValueError(
                "POINTSMAN_JWKS_LONGEST_AGE must be at least POINTSMAN_JWKS_REFRESH "
                f"({format_duration(self.jwks_refresh)}): keys would end before they are read again"
            )
        if self.jwt_jwks is not None and not _trustworthy(self.jwt_jwks):
            raise ValueError(
                "POINTSMAN_JWT_JWKS must be a file or an https:// address (http:// only on this "
                "machine): keys that travel unprotected can be exchanged on the way"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _trustworthy(jwks: str) -> bool:
    if "://" not in jwks:
        return True
    address = urlsplit(jwks)
    return address.scheme == "https" or (
        address.scheme == "http" and is_loopback(address.hostname or "")
    )
