"""JWTs: who an issuer says the caller is, believed only when its key has signed it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import jwt
import structlog

from routing.tokens import EVERY_TENANT, Scope
from worker.api.principal import Principal
from worker.settings import Settings

log = structlog.get_logger(__name__)

# Asymmetric ones only: a public key must never serve as the secret of an HMAC.
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
)
LEEWAY: Final = timedelta(seconds=30)
FETCH_SECONDS: Final = 5.0
LARGEST_KEY_SET: Final = 1024 * 1024
PAUSE_BEFORE_REREADING: Final = 10.0
"""Unknown key ids make the keys be read again, but no oftener than this."""
LONGEST_SUBJECT: Final = 255
SCOPE_PREFIX: Final = "pointsman:"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose JWTs are believed, and where they say what."""

    issuer: str
    audience: str
    scopes_claim: str
    tenants_claim: str


class KeysUnavailable(Exception):
    """The issuer's keys cannot be read now: try again later."""


class SignedTokens:
    """Checks JWTs against the keys of one issuer."""

    def __init__(
        self,
        trust: Trust,
        read_keys: Callable[[], bytes],
        refresh: timedelta,
        *,
        longest_age: timedelta = timedelta(hours=1),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read_keys` gives the JWKS text; it may block, and raises OSError or ValueError.

        While the keys cannot be read the old ones count, until they are `longest_age` old.
        """
        self._trust = trust
        self._read_keys = read_keys
        self._refresh = refresh.total_seconds()
        self._clock = clock
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._read_at: float | None = None
        self._fresh_until = 0.0
        self._longest_age = longest_age.total_seconds()
        self._reading = asyncio.Lock()

    async def principal(self, text: str) -> Principal | None:
        """Who the JWT says, when it is valid; None otherwise. Raises KeysUnavailable."""
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError:
            return None
        if header.get("alg") not in ALGORITHMS:
            return None
        key = await self._key(header.get("kid"))
        if key is None:
            return None
        try:
            claims = jwt.decode(
                text,
                key,
                algorithms=[header["alg"]],
                issuer=self._trust.issuer,
                audience=self._trust.audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            return None
        return self._believed(claims)

    def _believed(self, claims: Mapping[str, Any]) -> Principal | None:
        subject = claims["sub"]
        scopes = frozenset(_scopes(claims.get(self._trust.scopes_claim)))
        tenants = frozenset(_words(claims.get(self._trust.tenants_claim)))
        if EVERY_TENANT in tenants and Scope.ADMIN not in scopes:
            tenants -= {EVERY_TENANT}
        if not isinstance(subject, str) or not _usable(subject) or not scopes or not tenants:
            return None
        return Principal(
            f"jwt:{subject}",
            f"jwt:{self._trust.issuer}:{subject}",
            scopes,
            tenants,
            valid_until=_end(claims["exp"]),
        )

    async def _key(self, key_id: str | None) -> jwt.PyJWK | None:
        if self._age() > self._refresh:
            await self._read(older_than=self._refresh)
        if (key := self._found(key_id)) is None and self._age() > PAUSE_BEFORE_REREADING:
            # The issuer may have changed its keys.
            await self._read(older_than=PAUSE_BEFORE_REREADING)
            key = self._found(key_id)
        return key

    def _found(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    async def _read(self, older_than: float) -> None:
        async with self._reading:
            if self._age() <= older_than:
                return
            try:
                text = await asyncio.to_thread(self._read_keys)
                self._keys = _usable_keys(json.loads(text))
            except (OSError, ValueError, HTTPException, jwt.PyJWTError) as error:
                log.warning("jwks.unread", error=type(error).__name__)
                if self._clock() > self._fresh_until:
                    self._keys = {}
                if not self._keys:
                    raise KeysUnavailable("the issuer's keys cannot be read") from error
            else:
                self._fresh_until = self._clock() + self._longest_age
            self._read_at = self._clock()


def _end(expiry: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(expiry, UTC)
    except (OverflowError, OSError, ValueError):  # beyond the calendar
        return None


def _usable(subject: str) -> bool:
    """Whether a subject can stand in the audit as a name."""
    return 0 < len(subject) <= LONGEST_SUBJECT and subject.isprintable()


def signed_tokens(
    settings: Settings, clock: Callable[[], float] = time.monotonic
) -> SignedTokens | None:
    """The checker that the settings ask for; None when no JWT is to be accepted."""
    issuer, audience, jwks = settings.jwt_issuer, settings.jwt_audience, settings.jwt_jwks
    if issuer is None or audience is None or jwks is None:
        return None
    trust = Trust(issuer, audience, settings.jwt_scopes_claim, settings.jwt_tenants_claim)
    return SignedTokens(
        trust,
        lambda: _key_set(jwks),
        settings.jwks_refresh,
        longest_age=settings.jwks_longest_age,
        clock=clock,
    )


def _usable_keys(key_set: Any) -> Mapping[str | None, jwt.PyJWK]:
    """The signing keys; those of a kind that is not understood are passed over."""
    keys = key_set.get("keys") if isinstance(key_set, dict) else None
    found: dict[str | None, jwt.PyJWK] = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, dict) or key.get("use", "sig") != "sig" or key.get("kty") == "oct":
            continue
        try:
            found[key.get("kid")] = jwt.PyJWK(key)
        except jwt.PyJWTError:
            continue
    if not found:
        raise ValueError("the key set holds no public key that signs")
    return found


def _key_set(jwks: str) -> bytes:
    if "://" not in jwks:
        return Path(jwks).read_bytes()
    # The scheme is checked with the settings; a redirection could lead to any other.
    opener = urllib.request.build_opener(_Staying)
    with opener.open(jwks, timeout=FETCH_SECONDS) as answer:
        return bytes(answer.read(LARGEST_KEY_SET))


class _Staying(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for the error that it is here."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def _scopes(claim: object) -> Collection[Scope]:
    named = {word.removeprefix(SCOPE_PREFIX) for word in _words(claim)}
    return [scope for scope in Scope if scope.value in named]


def _words(claim: object) -> Collection[str]:
    match claim:
        case str():
            return claim.split()
        case list():
            return [word for word in claim if isinstance(word, str) and word.strip()]
        case _:
            return ()
