"""JWTs: believed when the configured issuer's key has signed them, and only then."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from routing.database import Database
from tests.integration.api.caller import Api, FakeDeadLetters, open_api
from worker.api.signed_tokens import KeysUnavailable, SignedTokens, Trust

ISSUER, AUDIENCE = "https://login.example/", "pointsman"
KEY, STRANGER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def public(key: EllipticCurvePrivateKey, key_id: str) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return {**jwk, "kid": key_id, "use": "sig", "alg": "ES256"}


def signed(key: Any = KEY, *, algorithm: str = "ES256", kid: str = "one", **changes: Any) -> str:
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "service-a",
        "exp": int(time.time()) + 300,
        "scope": "openid read pointsman:publish",
        "tenants": ["acme"],
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def signed_with_the_public_key() -> str:
    """Made by hand: the library refuses to take a public key for an HMAC's secret."""
    secret = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"one"}').rstrip(b"=")
    signed_part = header + b"." + signed().split(".")[1].encode()
    signature = hmac.digest(secret, signed_part, "sha256")
    return (signed_part + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


def publish_keys(path: Path, *keys: dict[str, Any]) -> None:
    path.write_text(json.dumps({"keys": keys}))


@pytest.fixture
def key_set(tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    publish_keys(path, public(KEY, "one"))
    return path


@pytest.fixture
async def api(database: Database, key_set: Path) -> AsyncIterator[Api]:
    async with open_api(
        database,
        FakeDeadLetters(),
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_jwks=str(key_set),
    ) as api:
        yield api


async def test_a_signed_jwt_gives_its_scopes_for_its_tenants(api: Api) -> None:
    client = api.with_token(signed())

    own = await client.get("/v1/events?tenant=acme")
    foreign = await client.get("/v1/events?tenant=globex")
    posted = await client.post("/v1/events", json={"event_id": "e", "event_type": "A"})
    closed = await client.delete("/v1/waits/w?reason=r")

    assert [own.status_code, foreign.status_code, posted.status_code] == [200, 403, 200]
    assert closed.status_code == 403
    assert posted.json()["tenant"] == "acme"


async def test_every_jwt_that_is_not_the_issuers_is_refused(api: Api) -> None:
    forged = {
        "expired": signed(exp=int(time.time()) - 300),
        "without an end": signed(exp=None),
        "without a subject": signed(sub=None),
        "of another issuer": signed(iss="https://elsewhere.example/"),
        "for another audience": signed(aud="another"),
        "not valid yet": signed(nbf=int(time.time()) + 300),
        "signed by a stranger": signed(STRANGER),
        "with an unknown key id": signed(kid="two"),
        "unsigned": signed(None, algorithm="none"),
        "signed with the public key as a secret": signed_with_the_public_key(),
        "without a scope": signed(scope="openid"),
        "without a tenant": signed(tenants=[]),
        "of half a character": signed(sub="\ud800"),
        "of a name that no audit could show": signed(sub="a\nb"),
        "of a name without an end": signed(sub="a" * 256),
        "of every tenant without being an administrator": signed(tenants=["*"]),
    }

    answers = {
        name: (await api.with_token(text).get("/v1/events")).status_code
        for name, text in forged.items()
    }

    assert answers == dict.fromkeys(forged, 401)


async def test_a_new_key_of_the_issuer_is_found_without_a_restart(
    database: Database, key_set: Path
) -> None:
    now = 0.0
    trust = Trust(ISSUER, AUDIENCE, "scope", "tenants")
    tokens = SignedTokens(trust, key_set.read_bytes, timedelta(minutes=5), clock=lambda: now)
    assert await tokens.principal(signed())
    publish_keys(key_set, public(STRANGER, "two"))

    at_once = await tokens.principal(signed(STRANGER, kid="two"))
    now = 11.0
    later = await tokens.principal(signed(STRANGER, kid="two"))
    old = await tokens.principal(signed())

    assert at_once is None
    assert later is not None
    assert later.actor == "jwt:service-a"
    assert old is None


async def test_keys_that_cannot_be_read_again_count_for_a_bounded_time(key_set: Path) -> None:
    now = 0.0
    tokens = SignedTokens(
        Trust(ISSUER, AUDIENCE, "scope", "tenants"),
        key_set.read_bytes,
        timedelta(minutes=5),
        longest_age=timedelta(minutes=30),
        clock=lambda: now,
    )
    assert await tokens.principal(signed())
    publish_keys(key_set)

    now = 29 * 60.0
    within = await tokens.principal(signed())
    now = 31 * 60.0 + 300
    with pytest.raises(KeysUnavailable):
        await tokens.principal(signed())
    publish_keys(key_set, public(KEY, "one"))
    now += 11.0
    again = await tokens.principal(signed())

    assert within is not None
    assert again is not None
