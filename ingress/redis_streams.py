"""The Redis Streams source: entries of one or several streams, read as one consumer of a group."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import takewhile
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingress.entry import Entry, Pending, Reading, StreamName
from ingress.holding import Holding, Position
from ingress.reconnection import (
    CONNECTED,
    DEFAULT_BACK_OFF,
    NOT_YET_CONNECTED,
    BackOff,
    StreamStatus,
    is_group_gone,
    lost,
)
from ingress.stream_group import FIRST, NEVER_ALONE, Found, StreamGroup, read_new
from ingress.suspects import Suspects
from ingress.trimming import trimmed_unread

EARLY_PAUSE: Final = timedelta(milliseconds=20)
"""Pause after an empty read that came back at once, as from a server that does not block."""

FIRST_COUNT: Final = 100
"""Entries asked for while it is not known how large they are."""

ACKNOWLEDGE_WITHIN: Final = timedelta(seconds=5)
CLOSE_WITHIN: Final = timedelta(seconds=2)

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReading:
    """How streams are read; what `connect` makes must allow for a read that blocks for `block`."""

    streams: Sequence[StreamName]
    group: str
    consumer: str
    """This process' name in the group; no two living processes may share one."""
    count: int = 200
    max_bytes: int = 8 * 1024 * 1024
    block: timedelta = timedelta(seconds=2)
    claim_idle: timedelta = timedelta(seconds=60)
    """How long an entry must have been pending to count as abandoned."""
    claim_period: timedelta = timedelta(seconds=15)
    """How often abandoned entries are looked for, and the streams are looked over."""
    consumer_idle: timedelta = timedelta(hours=1)
    """Another consumer without anything pending is removed when not heard of for so long."""
    alone_after: int = NEVER_ALONE
    """Handed out so often without an end, an entry is handed out alone from then on."""
    alone_tries: int = 1
    """So many processes die while they try an entry alone until it is set aside."""


class RedisStreamSource:
    """An `EntrySource` over Redis Streams: at least once, in stream order per consumer.

    Every entry is handed out once by one source, unless it is released; entries that another
    consumer left pending, and those whose reply never reached this one, are found again. Not for
    use by two readers at once; acknowledging beside a read is what it is made for.
    """

    def __init__(
        self,
        reading: StreamReading,
        connect: Callable[[], Redis],
        *,
        back_off: BackOff = DEFAULT_BACK_OFF,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        fraction: Callable[[], float] = random.random,
    ) -> None:
        """`connect` is called twice: an acknowledgement must not wait behind a blocking read."""
        self._reading = reading
        self._reader = connect()
        self._acknowledger = connect()
        self._groups = {name: self._group_of(self._reader, name) for name in reading.streams}
        self._holding = Holding(count=reading.count, max_bytes=reading.max_bytes)
        self._back_off = back_off
        self._clock = clock
        self._sleep = sleep
        self._fraction = fraction
        self._status = NOT_YET_CONNECTED
        self._failures = 0
        self._prepared = False
        self._next_round = clock()
        self._claims: dict[StreamName, str] = {}
        self._own: dict[StreamName, str] = {}
        self._asking = min(FIRST_COUNT, reading.count)
        self._alarmed: dict[StreamName, int] = {}
        self._suspects = Suspects(
            self._groups, tries=reading.alone_tries, pause=reading.claim_period, clock=clock
        )

    def status(self) -> StreamStatus:
        """Whether the stream can be read, for readiness."""
        return self._status

    async def read(self) -> Reading:
        """Hand out what is kept, claimed or new; see `EntrySource.read`.

        In an outage this tries again, with growing pauses, until the server is back; it returns
        empty after `block` without entries. When cancelled it may be called again: whatever was on
        its way is read once more.
        """
        while True:
            try:
                reading = await self._read_once()
            except (RedisError, OSError) as error:
                await self._recover_from(error)
            except asyncio.CancelledError:
                self._prepared = False
                raise
            else:
                self._note_success()
                return reading

    async def acknowledge(self, entries: Sequence[Pending]) -> None:
        """Tell Redis that these entries are recorded.

        Tries for five seconds. What could not be acknowledged by then is read again once the
        server is back, which is harmless for what is recorded.
        """
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN.total_seconds()):
                await self._until_done(partial(self._acknowledge_once, entries))
        except TimeoutError:
            _log.warning("acknowledgement.given_up", entries=len(entries))
        finally:
            self._holding.let_go(entries)

    async def survived(self, entry: Entry) -> None:
        """Hold nothing against an entry that was tried alone; tries for five seconds."""
        self._suspects.survived((entry.stream, entry.entry_id))
        group = self._group_of(self._acknowledger, entry.stream)
        try:
            async with asyncio.timeout(ACKNOWLEDGE_WITHIN.total_seconds()):
                await self._until_done(partial(group.end_tries, [entry.entry_id]))
        except TimeoutError:
            _log.warning("lone_try.not_ended", stream=entry.stream, entry_id=entry.entry_id)

    def release(self, entries: Sequence[Entry]) -> None:
        """Give back entries that were not recorded: a later read hands them out again."""
        self._holding.let_go(entries)
        self._prepared = False

    async def check_trimming(self) -> dict[StreamName, int]:
        """How many entries each stream lost before the group read them; alarms when it grows.

        Called by `read` once in each `claim_period`; see `ingress.trimming` for what can be known.
        """
        found: dict[StreamName, int] = {}
        for name, group in self._groups.items():
            progress = await group.progress()
            gone = trimmed_unread(progress) if progress else 0
            if gone > self._alarmed.get(name, 0):
                _log.error("stream.trimmed_unread", stream=name, entries=gone)
            self._alarmed[name] = found[name] = gone
        return found

    async def aclose(self) -> None:
        """Leave the group if nothing is pending for this consumer, and close the connections."""
        with suppress(TimeoutError, RedisError, OSError):
            async with asyncio.timeout(CLOSE_WITHIN.total_seconds()):
                await self._leave()
        for client in (self._reader, self._acknowledger):
            with suppress(RedisError, OSError):
                await client.aclose()

    async def _read_once(self) -> Reading:
        if not self._prepared:
            await self._prepare()
        if self._clock() >= self._next_round:
            await self._begin_round()
        while not self._holding and (self._own or self._claims):
            await (self._step_own() if self._own else self._step_claims())
        if not self._holding:
            if (alone := await self._suspects.try_next()) is not None:
                if not alone.reading:
                    self._holding.forget(alone.position)
                return alone.reading
            await self._wait_for_new()
        return self._holding.hand_out()

    async def _prepare(self) -> None:
        """After (re)connecting: the groups exist, and replies that were lost are read again."""
        for name, group in self._groups.items():
            if await group.ensure():
                _log.info("group.created", stream=name, group=self._reading.group)
        self._own = dict.fromkeys(self._groups, FIRST)
        self._prepared = True
        if self._status is NOT_YET_CONNECTED:
            self._status = CONNECTED

    async def _begin_round(self) -> None:
        await self.check_trimming()
        for name, group in self._groups.items():
            if await group.has_more_pending_than(self._holding.held_of(name)):
                self._own.setdefault(name, FIRST)
            for consumer in await group.idle_consumers(self._reading.consumer_idle):
                await self._remove_consumer(group, consumer)
        self._claims = dict.fromkeys(self._groups, FIRST)
        self._next_round = self._clock() + self._reading.claim_period.total_seconds()

    async def _step_own(self) -> None:
        """Read on in what is pending for this consumer, and keep what is not held.

        As far as the next suspect; of several that follow one another only the ids are taken.
        """
        name, after = next(iter(self._own.items()))
        group, held = self._groups[name], self._holding.held
        delivered = await group.own_deliveries(after, self._asking)
        suspected = [
            count >= self._reading.alone_after and (name, entry_id) not in held
            for entry_id, count in delivered
        ]
        alike = len(list(takewhile(lambda each: each == suspected[0], suspected)))
        if not any(suspected[:1]):
            found = await group.own_pending(after, alike) if alike else Found((), (), None)
        else:
            ids = [entry_id for entry_id, _ in delivered[:alike]]
            found = Found((), (), ids[-1], ids)
        await self._keep_found(name, found, held)
        _go_on(self._own, name, found)

    async def _step_claims(self) -> None:
        name, cursor = next(iter(self._claims.items()))
        held, reading = self._holding.held, self._reading
        found = await self._groups[name].claim(
            cursor, self._asking, reading.claim_idle, reading.alone_after
        )
        await self._keep_found(name, found, held)
        _go_on(self._claims, name, found)

    async def _keep_found(self, name: StreamName, found: Found, held: frozenset[Position]) -> None:
        """Keep what was not held when Redis was asked; what was may be acknowledged meanwhile."""
        suspects = [each for each in found.suspects if (name, each) not in held]
        await self._suspects.add(name, suspects)
        self._holding.hold((name, each) for each in suspects)
        entries = [entry for entry in found.entries if (entry.stream, entry.entry_id) not in held]
        trimmed = [entry for entry in found.trimmed if (entry.stream, entry.entry_id) not in held]
        if entries or trimmed:
            _log.info("entry.claimed", entries=len(entries), trimmed=len(trimmed))
        self._holding.keep(entries, trimmed)
        self._ask_for_what_fits(found.entries)

    async def _wait_for_new(self) -> None:
        started = self._clock()
        block = self._reading.block
        entries = await read_new(list(self._groups.values()), self._asking, block)
        self._holding.keep(entries)
        self._ask_for_what_fits(entries)
        if not entries and self._clock() - started < block.total_seconds() / 2:
            await self._sleep(min(EARLY_PAUSE, block).total_seconds())

    def _ask_for_what_fits(self, entries: Sequence[Entry]) -> None:
        """Let the next reply hold about what is handed out at once, if entries stay as they are.

        Redis bounds a reply by the entries of each stream alone, of which a thousand may be a
        gigabyte. A reply that was not full says too little to ask for more than before.
        """
        size = sum(entry.size for entry in entries)
        if size:
            fitting = self._reading.max_bytes * len(entries) // size // len(self._groups)
            growth = 2 if len(entries) >= self._asking else 1
            self._asking = max(1, min(self._reading.count, growth * self._asking, fitting))

    async def _recover_from(self, error: RedisError | OSError) -> None:
        self._failures += 1
        self._prepared = False
        if is_group_gone(error):
            _log.warning("group.lost", error=str(error))
            if self._failures == 1:
                return
        else:
            if self._status.connected or self._status is NOT_YET_CONNECTED:
                _log.warning("stream.lost", error=f"{type(error).__name__}: {error}")
            self._status = lost(error)
            await _drop_connections(self._reader)
        pause = self._back_off.pause(self._failures, self._fraction())
        await self._sleep(pause.total_seconds())

    def _note_success(self) -> None:
        if not self._status.connected and self._status is not NOT_YET_CONNECTED:
            _log.info("stream.recovered", failures=self._failures)
        self._status = CONNECTED
        self._failures = 0

    async def _until_done(self, command: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await command()
            except (RedisError, OSError):
                failures += 1
                await _drop_connections(self._acknowledger)
                pause = self._back_off.pause(failures, self._fraction())
                await self._sleep(pause.total_seconds())
            else:
                return

    async def _acknowledge_once(self, entries: Sequence[Pending]) -> None:
        async with self._acknowledger.pipeline(transaction=False) as pipeline:
            for stream in dict.fromkeys(entry.stream for entry in entries):
                ids = [entry.entry_id for entry in entries if entry.stream == stream]
                pipeline.xack(stream, self._reading.group, *ids)
            await pipeline.execute()

    async def _leave(self) -> None:
        # Whoever comes as far as this did not die of what it tried.
        for name, entry_id in self._suspects.under_way:
            await self._group_of(self._acknowledger, name).end_tries([entry_id])
        for name in self._groups:
            await self._remove_consumer(
                self._group_of(self._acknowledger, name), self._reading.consumer
            )

    async def _remove_consumer(self, group: StreamGroup, consumer: str) -> None:
        """Remove a consumer if it is empty; that it cannot be done is no reason to stop reading."""
        try:
            if await group.remove_consumer(consumer):
                _log.info("consumer.removed", stream=group.stream, consumer=consumer)
        except (RedisError, OSError) as error:
            _log.info("consumer.kept", stream=group.stream, consumer=consumer, error=str(error))

    def _group_of(self, client: Redis, stream: StreamName) -> StreamGroup:
        return StreamGroup(client, stream, self._reading.group, self._reading.consumer)


def _go_on(cursors: dict[StreamName, str], name: StreamName, found: Found) -> None:
    if found.go_on is None:
        del cursors[name]
    else:
        cursors[name] = found.go_on


async def _drop_connections(client: Redis) -> None:
    with suppress(RedisError, OSError):
        await client.connection_pool.disconnect()
