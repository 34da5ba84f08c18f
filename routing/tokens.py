"""Bearer tokens of the HTTP API: 256 random bits, of which only a hash is kept.

A token reads `pmt_<id>_<secret>`. The id finds the row, the hash of the whole decides. A plain
SHA-256 is enough for a secret of full entropy: there is nothing to guess that could be slowed down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from psycopg.rows import kwargs_row

from routing.database import Connection
from routing.faults import RoutingError
from routing.quotas import check_tokens

PREFIX: Final = "pmt_"
EVERY_TENANT: Final = "*"
SECRET_BYTES: Final = 32
LONGEST_NAME: Final = 200
_TOKEN: Final = re.compile(r"pmt_([0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
_NO_HASH: Final = bytes(32)


class Scope(StrEnum):
    """What a token may do."""

    PUBLISH = "publish"
    """Post events."""
    READ = "read"
    """Ask the audit: events, waits, deliveries, dead letters, explanations."""
    OPERATE = "operate"
    """Change something by hand: register and close waits, requeue, replay. Includes `read`."""
    ADMIN = "admin"
    """Everything; alone may be bound to every tenant."""


IMPLIED: Final = {
    Scope.PUBLISH: frozenset({Scope.PUBLISH}),
    Scope.READ: frozenset({Scope.READ}),
    Scope.OPERATE: frozenset({Scope.OPERATE, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}


class InvalidToken(RoutingError):
    """A token cannot be made like this: the message says what to correct."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """A token as it is kept; the hash is left out on purpose."""

    token_id: str
    name: str
    scopes: tuple[Scope, ...]
    tenants: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    expired: bool


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made: the only moment at which its text is known."""

    text: str
    token_id: str

    @property
    def digest(self) -> bytes:
        """What is kept of it."""
        return hash_of(self.text)


def effective_scopes(scopes: Collection[Scope]) -> frozenset[Scope]:
    """The scopes with those that they include."""
    return frozenset().union(*(IMPLIED[scope] for scope in scopes))


def check_grant(scopes: Collection[Scope], tenants: Collection[str]) -> None:
    """Raise InvalidToken unless these scopes may be given for these tenants."""
    if not scopes:
        raise InvalidToken(f"a token needs a scope: {', '.join(Scope)}")
    if not tenants or not all(tenant.strip() == tenant != "" for tenant in tenants):
        raise InvalidToken("a token needs at least one tenant, and none of them may be blank")
    if EVERY_TENANT in tenants and Scope.ADMIN not in scopes:
        raise InvalidToken(
            f"only a token with the scope {Scope.ADMIN} may be bound to every tenant "
            f"({EVERY_TENANT}): name its tenants"
        )
    if EVERY_TENANT in tenants and len(set(tenants)) > 1:
        raise InvalidToken(f"{EVERY_TENANT} stands for every tenant: name no other beside it")


def new_token() -> NewToken:
    """Draw a token from the operating system's randomness."""
    token_id = secrets.token_hex(6)
    return NewToken(f"{PREFIX}{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}", token_id)


def hash_of(text: str) -> bytes:
    """What is kept of a token: 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def token_id_of(text: str) -> str | None:
    """The id within a token's text; None when it is no token of ours."""
    found = _TOKEN.fullmatch(text)
    return found[1] if found else None


# Index: the primary key.
FIND: Final = """
SELECT token_id, name, scopes, tenants, created_at, expires_at, revoked_at, token_hash,
       coalesce(expires_at <= statement_timestamp(), false) AS expired
FROM workflow_api_tokens WHERE token_id = %(token_id)s
"""
LIST: Final = """
SELECT token_id, name, scopes, tenants, created_at, expires_at, revoked_at,
       coalesce(expires_at <= statement_timestamp(), false) AS expired
FROM workflow_api_tokens ORDER BY created_at, token_id
"""
# Two that make tokens at once would not see each other's name.
LOCK_NAMES: Final = "SELECT pg_advisory_xact_lock(hashtextextended('pointsman.token_names', 0))"
# There are few tokens; a scan finds the name.
NAMED: Final = """
SELECT token_id FROM workflow_api_tokens
WHERE name = %(name)s AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > statement_timestamp())
LIMIT 1
"""
CREATE: Final = """
INSERT INTO workflow_api_tokens
    (token_id, name, token_hash, scopes, tenants, created_at, expires_at)
VALUES (%(token_id)s, %(name)s, %(hash)s, %(scopes)s, %(tenants)s, statement_timestamp(),
        %(expires_at)s)
"""
REVOKE: Final = """
UPDATE workflow_api_tokens SET revoked_at = coalesce(revoked_at, statement_timestamp())
WHERE token_id = %(token_id)s RETURNING token_id
"""


async def create_token(
    connection: Connection,
    *,
    name: str,
    scopes: Collection[Scope],
    tenants: Collection[str],
    expires_at: datetime | None = None,
    most_per_tenant: int = 0,
) -> NewToken:
    """Make and keep a token; its text is in the answer and nowhere else. Raises InvalidToken.

    Raises QuotaReached when one of the tenants has `most_per_tenant` tokens in force (0: any).

    Its name is unique among the tokens in force: it is what the audit calls who acted.
    """
    check_grant(scopes, tenants)
    if not 0 < len(name.strip()) <= LONGEST_NAME or not name.isprintable():
        raise InvalidToken(
            f"a token needs a name of at most {LONGEST_NAME} printable characters: it stands in "
            "the audit as the actor"
        )
    await connection.execute(LOCK_NAMES)
    cursor = await connection.execute(NAMED, {"name": name.strip()})
    if (found := await cursor.fetchone()) is not None:
        raise InvalidToken(
            f"token {found[0]} in force has the name {name.strip()!r} already: choose another, or "
            "revoke that one first"
        )
    await check_tokens(connection, tenants, most_per_tenant)
    token = new_token()
    await connection.execute(
        CREATE,
        {
            "token_id": token.token_id,
            "name": name.strip(),
            "hash": token.digest,
            "scopes": sorted(scope.value for scope in set(scopes)),
            "tenants": sorted(set(tenants)),
            "expires_at": expires_at,
        },
    )
    return token


async def list_tokens(connection: Connection) -> Sequence[TokenRecord]:
    """Every token, the oldest first; revoked and expired ones, too."""
    cursor = connection.cursor(row_factory=kwargs_row(_record))
    await cursor.execute(LIST)
    return await cursor.fetchall()


async def revoke_token(connection: Connection, token_id: str) -> bool:
    """End a token at once; False when there is none with this id. Repeating it is harmless."""
    cursor = await connection.execute(REVOKE, {"token_id": token_id})
    return await cursor.fetchone() is not None


async def verified_token(connection: Connection, text: str) -> TokenRecord | None:
    """The token that has this text and is in force; None otherwise.

    The comparison takes the same time whatever differs, and is made for an unknown id as well.
    """
    token_id = token_id_of(text)
    if token_id is None:
        return None
    cursor = connection.cursor(row_factory=kwargs_row(_with_hash))
    await cursor.execute(FIND, {"token_id": token_id})
    found = await cursor.fetchone()
    record, kept = found if found is not None else (None, _NO_HASH)
    if not hmac.compare_digest(kept, hash_of(text)) or record is None:
        return None
    return None if record.revoked_at is not None or record.expired else record


def _with_hash(*, token_hash: bytes, **columns: Any) -> tuple[TokenRecord, bytes]:
    return _record(**columns), bytes(token_hash)


def _record(*, scopes: Sequence[str], tenants: Sequence[str], **columns: Any) -> TokenRecord:
    known = tuple(Scope(scope) for scope in scopes)
    return TokenRecord(scopes=known, tenants=tuple(tenants), **columns)
