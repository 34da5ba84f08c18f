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
