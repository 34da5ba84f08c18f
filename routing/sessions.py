"""Sessions of the console: random secrets, of which only hashes are kept.

A session ends when its visitor logs out, when it is twelve hours old, or with the token or JWT that
opened it, whichever comes first.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from routing.database import Connection
from routing.tokens import Scope

LONGEST: Final = timedelta(hours=12)
MOST_OF_ONE_CALLER: Final = 20
"""So many sessions of one token or JWT subject are open at once; the oldest ones end."""
REMOVED_AT_ONCE: Final = 100
_TEXT: Final = re.compile(r"pms_[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOwner:
    """Whose session it is, and what they may do."""

    actor: str
    identity: str
    token_id: str | None
    """The API token that opened the session; None: a JWT did."""
    scopes: frozenset[Scope]
    tenants: frozenset[str]


# Index: workflow_console_sessions_expiring.
REMOVE_EXPIRED: Final = """
DELETE FROM workflow_console_sessions WHERE session_hash IN (
    SELECT session_hash FROM workflow_console_sessions
    WHERE expires_at <= statement_timestamp() ORDER BY expires_at LIMIT %(count)s
)
"""
# Index: workflow_console_sessions_of_caller.
REMOVE_OLDEST: Final = """
DELETE FROM workflow_console_sessions WHERE session_hash IN (
    SELECT session_hash FROM workflow_console_sessions
    WHERE identity = %(identity)s ORDER BY created_at DESC OFFSET %(kept)s
)
"""
START: Final = """
INSERT INTO workflow_console_sessions
    (session_hash, actor, token_id, identity, scopes, tenants, created_at, expires_at)
VALUES (%(hash)s, %(actor)s, %(token_id)s, %(identity)s, %(scopes)s, %(tenants)s,
        statement_timestamp(),
        least(statement_timestamp() + %(longest)s::interval, %(valid_until)s::timestamptz))
"""
# Index: the primary keys of both tables. What a token may do is read from the token itself.
FIND: Final = """
SELECT session.actor, session.identity, session.token_id,
       coalesce(token.scopes, session.scopes), coalesce(token.tenants, session.tenants)
FROM workflow_console_sessions AS session
LEFT JOIN workflow_api_tokens AS token ON token.token_id = session.token_id
WHERE session.session_hash = %(hash)s AND session.expires_at > statement_timestamp()
  AND (session.token_id IS NULL
       OR (token.token_id IS NOT NULL AND token.revoked_at IS NULL
           AND (token.expires_at IS NULL OR token.expires_at > statement_timestamp())))
"""
END: Final = "DELETE FROM workflow_console_sessions WHERE session_hash = %(hash)s"


async def start_session(
    connection: Connection, owner: SessionOwner, valid_until: datetime | None
) -> str:
    """Open a session until `valid_until` at the latest; its text goes into the cookie alone."""
    text = f"pms_{secrets.token_urlsafe(32)}"
    await connection.execute(REMOVE_EXPIRED, {"count": REMOVED_AT_ONCE})
    await connection.execute(
        REMOVE_OLDEST, {"identity": owner.identity, "kept": MOST_OF_ONE_CALLER - 1}
    )
    await connection.execute(
        START,
        {
            "hash": _hash(text),
            "actor": owner.actor,
            "token_id": owner.token_id,
            "identity": owner.identity,
            "scopes": _sorted(owner.scopes),
            "tenants": sorted(owner.tenants),
            "longest": LONGEST,
            "valid_until": valid_until,
        },
    )
    return text


async def session_owner(connection: Connection, text: str) -> SessionOwner | None:
    """Whose session has this text; None when there is none, or it has ended."""
    if _TEXT.fullmatch(text) is None:
        return None
    cursor = await connection.execute(FIND, {"hash": _hash(text)})
    row = await cursor.fetchone()
    if row is None:
        return None
    actor, identity, token_id, scopes, tenants = row
    return SessionOwner(
        actor=actor,
        identity=identity,
        token_id=token_id,
        scopes=frozenset(Scope(scope) for scope in scopes),
        tenants=frozenset(tenants),
    )


async def end_session(connection: Connection, text: str) -> None:
    """End a session at once; repeating it is harmless."""
    await connection.execute(END, {"hash": _hash(text)})


def _sorted(scopes: frozenset[Scope]) -> Sequence[str]:
    return sorted(scope.value for scope in scopes)


def _hash(text: str) -> bytes:
    # A secret of full entropy: there is nothing to guess that could be slowed down.
    return hashlib.sha256(text.encode()).digest()
