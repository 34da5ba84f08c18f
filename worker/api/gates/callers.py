"""Whose token it is: asked of the database rarely, over connections of its own.

An answer is remembered for a few seconds. That is how late a revoked or expired token is noticed.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from routing.database import Database
from routing.sessions import SessionOwner, session_owner
from routing.tokens import TokenRecord, hash_of, token_id_of, verified_token
from worker.api.principal import Principal

MOST_REMEMBERED: Final = 10_000
"""Of good tokens, of bad ones, and of sessions, each; the ones not used for longest are forgotten.

Apart from each other: bad tokens in any number drive no good one out.
"""
Value = TypeVar("Value")
CheckStranger = Callable[[], None]
"""Raises when the address from which an unknown token comes has sent too many."""


@dataclass(frozen=True, slots=True)
class _Answer:
    principal: Principal | None
    at: float


class Callers:
    """Finds the principals of tokens and sessions. Raises DatabaseUnavailable."""

    def __init__(
        self, database: Database, age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`age` is how many seconds an answer counts."""
        self._database = database
        self._age = age
        self._clock = clock
        self._good: OrderedDict[bytes, _Answer] = OrderedDict()
        self._bad: OrderedDict[bytes, _Answer] = OrderedDict()
        self._sessions: OrderedDict[bytes, None] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Principal | None]] = {}

    async def of_token(self, text: str, check: CheckStranger) -> Principal | None:
        """Who has this token; None when it is unknown, revoked or expired.

        `check` is called before the database is asked about a token that was never good.
        """
        if token_id_of(text) is None:
            return None
        digest = hash_of(text)
        known = self._good.get(digest) or self._bad.get(digest)
        if known is not None and self._clock() - known.at < self._age:
            return known.principal
        if digest not in self._good:
            check()
        return await asyncio.shield(self._asked(digest, text))

    async def of_session(self, text: str, check: CheckStranger) -> SessionOwner | None:
        """Whose session it is; None when there is none, or it has ended. Never remembered."""
        digest = hash_of(text)
        if digest not in self._sessions:
            check()
        async with self._database.transaction() as connection:
            owner = await session_owner(connection, text)
        if owner is None:
            self._sessions.pop(digest, None)
        else:
            _remember(self._sessions, digest, None)
        return owner

    def _asked(self, digest: bytes, text: str) -> asyncio.Task[Principal | None]:
        """The one look-up that is under way for this token."""
        if (asking := self._asking.get(digest)) is None:
            asking = asyncio.create_task(self._ask(digest, text))
            self._asking[digest] = asking
            asking.add_done_callback(lambda _: self._asking.pop(digest))
        return asking

    async def _ask(self, digest: bytes, text: str) -> Principal | None:
        async with self._database.transaction() as connection:
            token = await verified_token(connection, text)
        principal = None if token is None else principal_of(token)
        answers, others = (self._bad, self._good) if token is None else (self._good, self._bad)
        others.pop(digest, None)
        _remember(answers, digest, _Answer(principal, self._clock()))
        return principal


def principal_of(token: TokenRecord) -> Principal:
    """The principal that a token proves."""
    return Principal(
        f"token:{token.name}",
        f"token:{token.token_id}",
        frozenset(token.scopes),
        frozenset(token.tenants),
        token_id=token.token_id,
        valid_until=token.expires_at,
    )


def _remember(kept: OrderedDict[bytes, Value], digest: bytes, value: Value) -> None:
    kept[digest] = value
    kept.move_to_end(digest)
    if len(kept) > MOST_REMEMBERED:
        kept.popitem(last=False)
