"""What operators do with dead letters: put an entry back, drop letters; each act is audited.

Redis and Postgres share no transaction, and none is held while Redis is asked. So an act is written
down before it begins, and finished or taken back after it: what a crash leaves is a line that says
`begun`, never an act without a line.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import structlog

from ingress.entry import StreamName
from ingress.envelope import decode
from ingress.letter import DeadLetter
from routing.database import Database
from routing.faults import RoutingError
from routing.operator_actions import (
    OperatorAction,
    finish_actions,
    record_actions,
    take_back_actions,
)

log = structlog.get_logger(__name__)

LETTERS_AT_ONCE: Final = 200


class Letters(Protocol):
    """The dead letters in Redis; raises LettersUnavailable."""

    async def requeue(self, stream: StreamName, letter_id: str) -> str | None:
        """Put an entry back and remove its letter; None when it is gone. Raises LetterUnusable."""
        ...


class PurgedLetters(Protocol):
    """The dead letters in Redis; raises LettersUnavailable."""

    async def purge(self, stream: StreamName, letter_ids: Sequence[str]) -> int:
        """Remove letters for good; how many were there."""
        ...


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and why."""

    name: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Requeued:
    """An entry that is in its stream again."""

    entry_id: str
    action_id: str


def tenant_of(letter: DeadLetter, *, bound_to: str | None, max_bytes: int) -> str | None:
    """Whose letter it is; None when that cannot be read.

    Of a stream that is bound to a tenant every letter is that tenant's, whatever its entry says.
    """
    return bound_to or decode(letter.fields, max_bytes=max_bytes).tenant


async def requeue(
    database: Database, letters: Letters, letter: DeadLetter, tenant: str | None, actor: Actor
) -> Requeued | None:
    """Put a letter's entry back into its stream; None when somebody was faster.

    Raises LetterUnusable, LettersUnavailable or what the database raises; then nothing is audited,
    for nothing was done.
    """
    actions = [_action("requeue", letter, tenant, actor), *_on_event(letter, tenant, actor)]
    async with _audited(database, actions) as (audit, [action_id, *_]):
        entry_id = await letters.requeue(letter.stream, letter.letter_id)
        if entry_id is None:
            audit.take_back()
            return None
        audit.detail = {"stream": letter.stream, "entry_id": entry_id}
    return Requeued(entry_id, action_id)


async def purge(
    database: Database,
    letters: PurgedLetters,
    chosen: Sequence[tuple[DeadLetter, str | None]],
    actor: Actor,
) -> int:
    """Drop letters, given with their tenants, for good; how many were there."""
    removed = 0
    for start in range(0, len(chosen), LETTERS_AT_ONCE):
        some = chosen[start : start + LETTERS_AT_ONCE]
        actions = [_action("purge", letter, tenant, actor) for letter, tenant in some]
        stream = some[0][0].stream
        async with _audited(database, actions) as (audit, _):
            audit.detail = {"stream": stream}
            removed += await letters.purge(stream, [letter.letter_id for letter, _ in some])
    return removed


class _Audit:
    """What the lines of an act say once it is over."""

    def __init__(self) -> None:
        self.detail: Mapping[str, Any] | None = {}

    def take_back(self) -> None:
        self.detail = None


@asynccontextmanager
async def _audited(
    database: Database, actions: Sequence[OperatorAction]
) -> AsyncGenerator[tuple[_Audit, Sequence[str]]]:
    async with database.transaction() as connection:
        action_ids = await record_actions(connection, actions)
    keys = [(action.tenant, one) for action, one in zip(actions, action_ids, strict=True)]
    audit = _Audit()
    try:
        yield audit, action_ids
    except Exception:
        audit.take_back()
        raise
    finally:
        await _settle(database, keys, audit.detail)


async def _settle(
    database: Database, keys: Sequence[tuple[str, str]], detail: Mapping[str, Any] | None
) -> None:
    try:
        async with database.transaction() as connection:
            if detail is None:
                await take_back_actions(connection, keys)
            else:
                await finish_actions(connection, keys, detail)
    except RoutingError as error:
        # The act itself is over: its line goes on saying that it was begun.
        log.warning("action.unfinished", actions=len(keys), error=str(error))


def _on_event(letter: DeadLetter, tenant: str | None, actor: Actor) -> Sequence[OperatorAction]:
    """The same act on the event that the entry brings, where that can be read."""
    event_id = decode(letter.fields).event_id
    if tenant is None or event_id is None:
        return ()
    action = _action("requeue", letter, tenant, actor)
    detail = {**action.detail, "letter_id": letter.letter_id}
    return (replace(action, target_kind="event", target_id=event_id, detail=detail),)


def _action(action: str, letter: DeadLetter, tenant: str | None, actor: Actor) -> OperatorAction:
    return OperatorAction(
        tenant=tenant or "",
        actor=actor.name,
        action=action,
        target_kind="dead_letter",
        target_id=letter.letter_id,
        reason=actor.reason,
        detail={"stream": letter.stream, "state": "begun"},
    )
