"""Dead letters from the operator's side: looking at them, putting entries back, dropping them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.entry import EntryId, StreamName
from ingress.letter import ADDED_FIELDS, DeadLetter, dead_letter_stream, read_letter

Answer = TypeVar("Answer")

PAGE: Final = 200
MAX_FIELDS: Final = 3_900
"""Lua passes no more than 8,000 values to one command."""

# The values never leave Redis, so that every byte comes back. Adds before it deletes: a script is
# not undone when a command in it fails (no memory, a key of another type), and rather two copies of
# an event than none. The count of fields instead of an id: the entry cannot be put back.
_REQUEUE: Final = """
local letters = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #letters == 0 then return false end
local added, fields = {}, {}
for i = 3, #ARGV do added[ARGV[i]] = true end
local stored = letters[1][2]
for i = 1, #stored, 2 do
    if not added[stored[i]] then
        fields[#fields + 1] = (string.gsub(stored[i], '^dlq_original:', '', 1))
        fields[#fields + 1] = stored[i + 1]
    end
end
local count = #fields / 2
if count == 0 or count > tonumber(ARGV[2]) then return count end
local entry_id = redis.call('XADD', KEYS[2], '*', unpack(fields))
redis.call('XDEL', KEYS[1], ARGV[1])
return entry_id
"""


class LettersUnavailable(Exception):
    """Redis cannot be asked now: try again later. Its cause is what Redis or the network said."""


class LetterUnusable(Exception):
    """A dead letter that cannot be requeued; its message says why. Show it, then purge it."""


class DeadLetterDesk:
    """The dead letters of any stream. Every method raises LettersUnavailable."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._redis = connect()

    async def read(
        self, stream: StreamName, *, before: str | None, limit: int
    ) -> Sequence[DeadLetter]:
        """Some letters of a stream, the newest first, all older than the letter `before`."""
        latest = "+" if before is None else f"({before}"
        letters = dead_letter_stream(stream)
        page = await _asked(self._redis.xrevrange(letters, max=latest, count=limit))
        return [_letter(stream, found) for found in page]

    async def walk(self, stream: StreamName) -> AsyncGenerator[DeadLetter]:
        """All letters of a stream, the oldest first; what comes in meanwhile, too."""
        after = "-"
        while True:
            letters = dead_letter_stream(stream)
            page = await _asked(self._redis.xrange(letters, min=after, count=PAGE))
            for found in page:
                yield _letter(stream, found)
            if len(page) < PAGE:
                return
            after = f"({page[-1][0].decode()}"

    async def find(self, stream: StreamName, letter_id: str) -> DeadLetter | None:
        """One letter; None when there is none."""
        letters = dead_letter_stream(stream)
        page = await _asked(self._redis.xrange(letters, min=letter_id, max=letter_id))
        return _letter(stream, page[0]) if page else None

    async def requeue(self, stream: StreamName, letter_id: str) -> EntryId | None:
        """Put an entry back behind its stream and remove its letter, in one step.

        Exactly its original fields are restored, under a new entry id, which is returned; None
        when the letter is not there (any more). Raises LetterUnusable for an entry without
        fields, or with more than fit into one command of a script.
        """
        keys = (dead_letter_stream(stream), stream)
        arguments: Any = (letter_id, MAX_FIELDS, *sorted(ADDED_FIELDS))
        script = self._redis.eval(_REQUEUE, len(keys), *keys, *arguments)
        put_back = await _asked(script)
        match put_back:
            case None:
                return None
            case int(count):
                raise LetterUnusable(
                    f"dead letter {letter_id} has {count} fields of its own; from 1 to "
                    f"{MAX_FIELDS} can be put back"
                )
            case _:
                return EntryId(put_back.decode())

    async def purge(self, stream: StreamName, letter_ids: Sequence[str]) -> int:
        """Remove letters for good; how many were there."""
        removed, letters = 0, dead_letter_stream(stream)
        for start in range(0, len(letter_ids), PAGE):
            some = letter_ids[start : start + PAGE]
            removed += await _asked(self._redis.xdel(letters, *some))
        return removed

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()


async def _asked(question: Awaitable[Answer]) -> Any:
    try:
        return await question
    except (RedisError, OSError) as error:
        raise LettersUnavailable(f"{type(error).__name__}: {error}") from error


def _letter(stream: StreamName, found: Any) -> DeadLetter:
    letter_id, fields = found
    return read_letter(EntryId(letter_id.decode()), fields, stream)
