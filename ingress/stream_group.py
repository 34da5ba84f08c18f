"""One consumer's place in one group of one stream: the Redis commands and their replies.

Replies are read in the shape of RESP2; clients must be made with `protocol=2` and must not decode
responses (one value that is not UTF-8 would fail the whole reply, and block its neighbours).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from correlation.reason import Reason
from ingress.entry import Entry, EntryId, StreamName, TrimmedEntry, entry_of
from ingress.letter import dead_letter_stream, letter_additions, letter_fields
from ingress.trimming import GroupProgress, id_before, parse_id

FIRST: Final = "0-0"
MAX_COPIED_FIELDS: Final = 3_900
"""Lua passes no more than 8,000 values to one command."""
TRIES_KEPT: Final = timedelta(days=30)
NEVER_ALONE: Final = sys.maxsize

# XGROUP DELCONSUMER drops what is pending for the consumer; only a script looks and removes in one.
_REMOVE_EMPTY_CONSUMER: Final = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return -1 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""

# The content never leaves Redis: loading it may be what ends a process. See `ingress.letter`.
_COPY_TO_DEAD_LETTERS: Final = """
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 then return 'gone' end
local stored, fields = found[1][2], {}
if #stored / 2 > tonumber(ARGV[2]) then return 'too many' end
for i = 1, #stored, 2 do
    local name = stored[i]
    if string.sub(name, 1, 4) == 'dlq_' then name = 'dlq_original:' .. name end
    fields[#fields + 1] = name
    fields[#fields + 1] = stored[i + 1]
end
for i = 3, #ARGV do fields[#fields + 1] = ARGV[i] end
redis.call('XADD', KEYS[2], '*', unpack(fields))
return 'copied'
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Entries that were pending already, and where to go on looking (None: nowhere)."""

    entries: Sequence[Entry]
    trimmed: Sequence[TrimmedEntry]
    go_on: str | None
    suspects: Sequence[EntryId] = ()
    """Entries that were handed out too often: this consumer's now, and not read."""


@dataclass(frozen=True, slots=True)
class StreamGroup:
    """A group of a stream, as one consumer uses it through one client.

    Every method raises `redis.exceptions.RedisError` or `OSError` when the server does not do it.
    """

    client: Redis
    stream: StreamName
    group: str
    consumer: str

    async def ensure(self) -> bool:
        """Create the group at the stream's beginning unless it exists; True when it was created.

        Never at `$`: what was added since the group disappeared would not be delivered. The group
        is told how many entries are gone already, so that those do not count as lost to it.
        """
        try:
            await self.client.xgroup_create(
                self.stream,
                self.group,
                id="0",
                mkstream=True,
                entries_read=await self._entries_gone(),
            )
        except ResponseError as error:
            if str(error).startswith("BUSYGROUP"):
                return False
            raise
        return True

    async def own_pending(self, after: str, count: int) -> Found:
        """Entries pending for this very consumer, behind an id.

        This cannot take anything from another consumer. It counts as a delivery; an entry that was
        trimmed stays pending until it is acknowledged.
        """
        reply: Any = await self.client.xreadgroup(
            self.group, self.consumer, {self.stream: after}, count=count
        )
        pending = reply[0][1] if reply else []
        return Found(
            entries=[self._entry(i, fields) for i, fields in pending if fields],
            trimmed=[self._trimmed(entry_id) for entry_id, fields in pending if not fields],
            go_on=pending[-1][0].decode() if pending else None,
        )

    async def has_more_pending_than(self, held: frozenset[EntryId]) -> bool:
        """Whether any entry is pending for this consumer beside those held.

        Exact, and bounded: of one entry more than are held, at least one is not held.
        """
        pending: Any = await self.client.xpending_range(
            self.stream, self.group, "-", "+", len(held) + 1, consumername=self.consumer
        )
        return any(row["message_id"].decode() not in held for row in pending)

    async def own_deliveries(self, after: str, count: int) -> Sequence[tuple[EntryId, int]]:
        """The ids pending for this consumer behind one, and how often each was handed out."""
        pending: Any = await self.client.xpending_range(
            self.stream, self.group, f"({after}", "+", count, consumername=self.consumer
        )
        return [(EntryId(row["message_id"].decode()), row["times_delivered"]) for row in pending]

    async def own_entry(self, entry_id: EntryId) -> Entry | TrimmedEntry | None:
        """One entry that is pending for this consumer; None when it is not (any more)."""
        found = await self.own_pending(id_before(entry_id), 1)
        pending: list[Entry | TrimmedEntry] = [*found.entries, *found.trimmed]
        return next((each for each in pending if each.entry_id == entry_id), None)

    async def claim(
        self, after: str, count: int, idle: timedelta, alone_after: int = NEVER_ALONE
    ) -> Found:
        """Take over what any consumer has left pending for so long; one step behind an id.

        What was handed out `alone_after` times already is taken over without being read.

        Not XAUTOCLAIM: that reports a trimmed entry at once, however short a time ago its consumer
        read it, and while that one is about to record it. Here a trimmed entry has to be abandoned,
        too. Redis itself removes it from the pending entries.
        """
        least = int(idle / timedelta(milliseconds=1))
        start = after if after == FIRST else f"({after}"
        pending: Any = await self.client.xpending_range(
            self.stream, self.group, start, "+", count, idle=least
        )
        ids: list[bytes] = [row["message_id"] for row in pending]
        often = {row["message_id"] for row in pending if row["times_delivered"] >= alone_after}
        # Of its own suspects a consumer knows already; a claim would drop those that are trimmed.
        own = {row["message_id"] for row in pending if row["consumer"].decode() == self.consumer}
        claimed = await self._claim([each for each in ids if each not in often], least)
        entries = [self._entry(entry_id, fields) for entry_id, fields in claimed if fields]
        others = [each for each in ids if each in often and each not in own]
        suspects = await self._claim(others, least, justid=True)
        found = {entry.entry_id.encode() for entry in entries}
        missing = set(ids) - found - set(suspects) - (often & own)
        return Found(
            entries=entries,
            trimmed=[
                self._trimmed(each) for each in ids if each in missing and await self._gone(each)
            ],
            go_on=ids[-1].decode() if ids and len(ids) == count else None,
            suspects=[EntryId(entry_id.decode()) for entry_id in suspects],
        )

    async def _claim(self, ids: Sequence[bytes], least: int, *, justid: bool = False) -> Any:
        """Entries, or with `justid` their ids alone, which does not count as handing them out."""
        if not ids:
            return []
        return await self.client.xclaim(
            self.stream, self.group, self.consumer, least, cast("Any", ids), justid=justid
        )

    async def tries(self, ids: Sequence[EntryId]) -> Sequence[int]:
        """How often each was tried alone without a word that the process survived it."""
        counts: Any = await cast("Any", self.client.hmget(self._tries_key, list(ids)))
        return [int(each or 0) for each in counts]

    async def begin_try(self, entry_id: EntryId, number: int) -> None:
        """Note a try before it begins: a process that dies of it says nothing afterwards."""
        async with self.client.pipeline(transaction=False) as pipeline:
            pipeline.hset(self._tries_key, entry_id, str(number))
            pipeline.expire(self._tries_key, TRIES_KEPT)
            await pipeline.execute()

    async def end_tries(self, ids: Sequence[EntryId]) -> None:
        """Nothing is held against these entries any more."""
        await cast("Any", self.client.hdel(self._tries_key, *ids))

    async def copy_to_dead_letters(self, entry_id: EntryId, detail: str) -> bool:
        """Write a dead letter of an entry that is not to be loaded; False when it is gone.

        An entry with so many fields that no script can add it is loaded for that after all.
        """
        keys = (self.stream, dead_letter_stream(self.stream))
        added = letter_additions(self.stream, entry_id, Reason.KILLS_PROCESS, detail)
        flat = [part for name, value in added.items() for part in (name, value)]
        arguments: Any = (entry_id, MAX_COPIED_FIELDS, *flat)
        answer = await cast("Any", self.client.eval(_COPY_TO_DEAD_LETTERS, 2, *keys, *arguments))
        if answer == b"too many":
            stored: Any = await self.client.xrange(self.stream, min=entry_id, max=entry_id)
            entry = self._entry(*stored[0])
            letter = letter_fields(entry, Reason.KILLS_PROCESS, detail)
            await self.client.xadd(keys[1], dict(letter.items()))
        return bool(answer != b"gone")

    @property
    def _tries_key(self) -> str:
        return f"{self.stream}:alone:{self.group}"

    async def _gone(self, entry_id: bytes) -> bool:
        """Whether the entry is in the stream no more; else another consumer was faster."""
        return not await self.client.xrange(self.stream, min=entry_id, max=entry_id)

    async def remove_consumer(self, name: str) -> bool:
        """Remove a consumer that has nothing pending; True when it is gone now.

        Atomic. A consumer that is alive after all is created anew by its next read.
        """
        removal = self.client.eval(_REMOVE_EMPTY_CONSUMER, 1, self.stream, self.group, name)
        return bool(await cast("Any", removal) == 0)

    async def idle_consumers(self, idle: timedelta) -> Sequence[str]:
        """The other consumers that have nothing pending and have not been heard of for so long."""
        consumers = await self.client.xinfo_consumers(self.stream, self.group)
        return [
            row["name"].decode()
            for row in consumers
            if row["pending"] == 0
            and timedelta(milliseconds=row["idle"]) >= idle
            and row["name"].decode() != self.consumer
        ]

    async def progress(self) -> GroupProgress | None:
        """How far the group has read; None when there is no such stream or group."""
        groups = await self.client.xinfo_groups(self.stream)
        row = next((row for row in groups if row["name"].decode() == self.group), None)
        about = await self.client.xinfo_stream(self.stream)
        if row is None or "entries-added" not in about:
            return None
        first = about["first-entry"]
        return GroupProgress(
            length=about["length"],
            entries_added=about["entries-added"],
            first_id=parse_id(first[0]) if first else None,
            last_id=parse_id(about["last-generated-id"]),
            last_delivered_id=parse_id(row["last-delivered-id"]),
            entries_read=row["entries-read"],
        )

    async def _entries_gone(self) -> int | None:
        try:
            about = await self.client.xinfo_stream(self.stream)
        except ResponseError as error:
            if "no such key" in str(error):
                return 0
            raise
        # Before Redis 7 nothing counts the entries.
        return about["entries-added"] - about["length"] if "entries-added" in about else None

    def _entry(self, entry_id: bytes, fields: dict[bytes, bytes]) -> Entry:
        return entry_of(self.stream, EntryId(entry_id.decode()), fields, claimed=True)

    def _trimmed(self, entry_id: bytes) -> TrimmedEntry:
        return TrimmedEntry(self.stream, EntryId(entry_id.decode()))


async def read_new(groups: Sequence[StreamGroup], count: int, block: timedelta) -> Sequence[Entry]:
    """Wait for entries that were delivered to nobody yet: at most `count` of each stream.

    The groups are of one client, group name and consumer. Raises as `StreamGroup` does.
    """
    first = groups[0]
    reply: Any = await first.client.xreadgroup(
        first.group,
        first.consumer,
        {group.stream: ">" for group in groups},
        count=count,
        block=int(block / timedelta(milliseconds=1)),
    )
    return [
        entry_of(StreamName(stream.decode()), EntryId(entry_id.decode()), fields)
        for stream, entries in reply or []
        for entry_id, fields in entries
    ]
