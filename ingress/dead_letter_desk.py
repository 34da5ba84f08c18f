"""Dead letters from the operator's side: looking at them, and putting an entry back whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.dead_letters import (
    ADDED_FIELDS,
    DETAIL_FIELD,
    ENTRY_FIELD,
    ESCAPED,
    REASON_FIELD,
    dead_letter_stream,
)
from ingress.entry import StreamName

# The entry stands in its stream again and its letter is gone, or nothing has happened. The values
# never leave Redis, so that every byte comes back.
REQUEUE: Final = """
local letters = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #letters == 0 then return false end
local added, fields = {}, {}
for i = 2, #ARGV do added[ARGV[i]] = true end
local stored = letters[1][2]
for i = 1, #stored, 2 do
    if not added[stored[i]] then
        fields[#fields + 1] = (string.gsub(stored[i], '^dlq_original:', '', 1))
        fields[#fields + 1] = stored[i + 1]
    end
end
if #fields == 0 then return false end
local entry = redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('XDEL', KEYS[1], ARGV[1])
return entry
"""


class LettersUnavailable(Exception):
    """Redis cannot be asked now: try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: an entry that could never be recorded."""

    letter_id: str
    stream: str
    entry_id: str
    reason: str
    detail: str
    fields: dict[bytes, bytes]
    """The entry's original fields."""


class DeadLetterDesk:
    """Reads and requeues dead letters. Every method raises LettersUnavailable."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._redis = connect()

    async def read(self, stream: StreamName, *, before: str | None, limit: int) -> Sequence[Letter]:
        """Some letters of a stream, the newest first, all older than the letter `before`."""
        latest = "+" if before is None else f"({before}"
        found = await self._ask(
            "XREVRANGE", dead_letter_stream(stream), latest, "-", "COUNT", limit
        )
        return [_letter(stream, letter) for letter in found]

    async def find(self, stream: StreamName, letter_id: str) -> Letter | None:
        """One letter; None when there is none."""
        found = await self._ask("XRANGE", dead_letter_stream(stream), letter_id, letter_id)
        return _letter(stream, found[0]) if found else None

    async def requeue(self, stream: StreamName, letter_id: str) -> str | None:
        """Put an entry back whole and remove its letter, both or neither.

        Returns the new entry's id; None when the letter is not there (any more).
        """
        keys = (dead_letter_stream(stream), stream)
        entry = await self._ask("EVAL", REQUEUE, 2, *keys, letter_id, *sorted(ADDED_FIELDS))
        return None if entry is None else entry.decode()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _ask(self, *command: Any) -> Any:
        try:
            return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            raise LettersUnavailable(type(error).__name__) from error


def _letter(stream: StreamName, letter: Any) -> Letter:
    letter_id, stored = letter
    fields = dict(stored) if isinstance(stored, dict) else _pairs(stored)
    return Letter(
        letter_id=letter_id.decode(),
        stream=stream,
        entry_id=fields.get(ENTRY_FIELD, b"").decode("utf-8", "replace"),
        reason=fields.get(REASON_FIELD, b"").decode("utf-8", "replace"),
        detail=fields.get(DETAIL_FIELD, b"").decode("utf-8", "replace"),
        fields={
            name.removeprefix(ESCAPED): value
            for name, value in fields.items()
            if name not in ADDED_FIELDS
        },
    )


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
