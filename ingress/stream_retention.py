"""Takes from a stream what is old and acknowledged by every one of its groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.backlog import StreamsUnavailable
from ingress.entry import StreamName

# One key, so that it works in a cluster as well; and one script, so that no group can be made or
# set back between the look and the trimming. A group has acknowledged what it was handed out, up to
# its oldest pending entry; without a group nobody has acknowledged anything. Ids are compared as
# text: a sequence of 64 bits is no number to Lua.
_TRIM: Final = """
local stream, cutoff, how = KEYS[1], ARGV[1], ARGV[2]
local function less(a, b)
    if #a ~= #b then return #a < #b end
    return a < b
end
local function before(a, b)
    local a_time, a_number = string.match(a, '^(%d+)-(%d+)$')
    local b_time, b_number = string.match(b, '^(%d+)-(%d+)$')
    if a_time ~= b_time then return less(a_time, b_time) end
    return less(a_number, b_number)
end
local function following(id)
    local time, number = string.match(id, '^(%d+)-(%d+)$')
    if #number > 15 then return id end
    return time .. '-' .. string.format('%d', tonumber(number) + 1)
end
if redis.call('EXISTS', stream) == 0 then return {0, '', ''} end
local groups = redis.call('XINFO', 'GROUPS', stream)
if #groups == 0 then return {0, '', ''} end
local least, holder = cutoff, ''
for _, fields in ipairs(groups) do
    local group = {}
    for i = 1, #fields, 2 do group[fields[i]] = fields[i + 1] end
    local open = following(group['last-delivered-id'])
    if tonumber(group['pending']) > 0 then
        local oldest = redis.call('XPENDING', stream, group['name'])[2]
        if oldest and before(oldest, open) then open = oldest end
    end
    if before(open, least) then least, holder = open, group['name'] end
end
local trimmed = redis.call('XTRIM', stream, 'MINID', how, least)
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)
if holder == '' or #first == 0 or not before(first[1][1], cutoff) then
    return {trimmed, '', ''}
end
return {trimmed, holder, first[1][1]}
"""
# Whole nodes of the stream, at most 10,000 entries a call: Redis does nothing else meanwhile.
_IN_PORTIONS: Final = "~"
_EXACTLY: Final = "="


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What came of one stream."""

    stream: StreamName
    entries: int
    """How many were removed."""
    held_by: str | None = None
    """The group that has not acknowledged an entry which is old enough to go."""
    held_from: str | None = None
    """The oldest such entry's id."""


class StreamRetention:
    """Trims streams over a connection of its own."""

    def __init__(
        self, connect: Callable[[], Redis], streams: Sequence[StreamName], age: timedelta
    ) -> None:
        self._redis = connect()
        self._streams = streams
        self._age = age

    async def trim(self) -> Sequence[Trimmed]:
        """Remove from each stream the entries that are older and that every group acknowledged.

        An entry's age is what its id says. Raises StreamsUnavailable: try again later; what was
        removed until then is gone, and may be.
        """
        try:
            seconds, _ = await self._redis.time()
            cutoff = f"{max(0, int((seconds - self._age.total_seconds()) * 1000))}-0"
            return [await self._trim(stream, cutoff) for stream in self._streams]
        except (RedisError, OSError) as error:
            raise StreamsUnavailable(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

    async def _trim(self, stream: StreamName, cutoff: str) -> Trimmed:
        total = 0
        while trimmed := (await self._once(stream, cutoff, _IN_PORTIONS))[0]:
            total += int(trimmed)
        trimmed, holder, held_from = await self._once(stream, cutoff, _EXACTLY)
        return Trimmed(
            stream, total + int(trimmed), holder.decode() or None, held_from.decode() or None
        )

    async def _once(self, stream: StreamName, cutoff: str, how: str) -> tuple[int, bytes, bytes]:
        reply: Any = await cast("Any", self._redis.eval(_TRIM, 1, stream, cutoff, how))
        return reply[0], reply[1], reply[2]
