"""Faults of consumers, Redis and Temporal. Each is over, and healed, when its function returns."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos.load import Load
from tests.chaos.site import CLAIM_IDLE, GROUP
from tests.waiting import wait_until
from worker.embedded import Part
from worker.embedded.processes import free_port

Fault: TypeAlias = Callable[[Load, random.Random], Awaitable[None]]

A_WHILE: Final = 3.0
"""Seconds that a server is away: longer than every pause and time-out of a scene's settings."""


async def nothing(load: Load, chance: random.Random) -> None:
    """No fault but the load itself: two consumers race for the same entries."""
    await asyncio.sleep(A_WHILE)


async def consumer_killed(load: Load, chance: random.Random) -> None:
    """SIGKILL for one of the two consumers, again and again."""
    for _ in range(3):
        name = chance.choice(sorted(load.scene.services))
        await wait_until(lambda: _has_pending(load), description="entries are under way")
        load.scene.kill_service(name)
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        load.scene.start_service(name)


async def consumer_zombie(load: Load, chance: random.Random) -> None:
    """SIGSTOP for longer than its entries and deliveries stay its own; then it comes back."""
    name = chance.choice(sorted(load.scene.services))
    await wait_until(lambda: _has_pending(load), description="entries are under way")
    load.scene.services[name].send_signal(signal.SIGSTOP)
    # Beyond the lease of deliveries, too (6 s in IN_A_HURRY).
    await asyncio.sleep(CLAIM_IDLE.total_seconds() + 6)
    load.scene.services[name].send_signal(signal.SIGCONT)


async def redis_killed(load: Load, chance: random.Random) -> None:
    """SIGKILL for Redis; its append-only file brings back what it had acknowledged."""
    await _killed(load, Part.REDIS)


async def redis_stopped(load: Load, chance: random.Random) -> None:
    """SIGSTOP for Redis: sockets stay open, nothing answers."""
    await _suspended(load, Part.REDIS, 2 * A_WHILE)


async def redis_black_holed(load: Load, chance: random.Random) -> None:
    """Nothing passes between the program and Redis, and no connection is closed."""
    load.scene.redis_proxy.black_hole()
    await asyncio.sleep(2 * A_WHILE)
    load.scene.redis_proxy.heal()


async def redis_cut(load: Load, chance: random.Random) -> None:
    """Every connection to Redis is reset, several times."""
    for _ in range(5):
        load.scene.redis_proxy.cut_all()
        await asyncio.sleep(chance.uniform(0.1, 0.5))


async def redis_flushed(load: Load, chance: random.Random) -> None:
    """FLUSHALL: stream and group are gone, while consumers hold entries."""
    await load.lose("FLUSHALL")


async def stream_deleted(load: Load, chance: random.Random) -> None:
    """DEL of the stream."""
    await load.lose("DEL", load.scene.stream)


async def group_deleted(load: Load, chance: random.Random) -> None:
    """XGROUP DESTROY: everything in the stream comes again."""
    await load.scene.redis.xgroup_destroy(load.scene.stream, GROUP)


async def trimmed_while_pending(load: Load, chance: random.Random) -> None:
    """A consumer dies with entries in hand, and they are trimmed before another claims them."""
    name = chance.choice(sorted(load.scene.services))
    load.scene.services[name].send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.3)
    await load.lose("XTRIM", load.scene.stream, "MAXLEN", "0")
    load.scene.services[name].send_signal(signal.SIGCONT)
    load.scene.kill_service(name)
    load.scene.start_service(name)


async def trimmed_while_unread(load: Load, chance: random.Random) -> None:
    """Both consumers stand still, and the stream is trimmed to nothing."""
    for process in load.scene.services.values():
        process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(0.5)
    await load.lose("XTRIM", load.scene.stream, "MAXLEN", "0")
    for process in load.scene.services.values():
        process.send_signal(signal.SIGCONT)


async def redis_out_of_memory(load: Load, chance: random.Random) -> None:
    """Redis refuses to take anything in."""
    await load.scene.redis.config_set("maxmemory", 1)
    await asyncio.sleep(A_WHILE)
    await load.scene.redis.config_set("maxmemory", 0)


async def redis_read_only(load: Load, chance: random.Random) -> None:
    """Redis becomes a replica of nobody: reading for a group is writing."""
    await load.scene.redis.replicaof("127.0.0.1", free_port())
    await asyncio.sleep(A_WHILE)
    await load.scene.redis.replicaof("NO", "ONE")


async def temporal_killed(load: Load, chance: random.Random) -> None:
    """SIGKILL for Temporal; its state survives in a file."""
    await _killed(load, Part.TEMPORAL)


async def temporal_stopped(load: Load, chance: random.Random) -> None:
    """SIGSTOP for Temporal."""
    await _suspended(load, Part.TEMPORAL, 2 * A_WHILE)


async def temporal_black_holed(load: Load, chance: random.Random) -> None:
    """Nothing passes between the program and Temporal."""
    load.scene.temporal_proxy.black_hole()
    await asyncio.sleep(2 * A_WHILE)
    load.scene.temporal_proxy.heal()


async def temporal_slow(load: Load, chance: random.Random) -> None:
    """Half a second on every way to Temporal and back."""
    load.scene.temporal_proxy.delay_seconds = 0.5
    await asyncio.sleep(2 * A_WHILE)
    load.scene.temporal_proxy.heal()


async def temporal_cut(load: Load, chance: random.Random) -> None:
    """Every connection to Temporal is reset, several times: signals stay without an answer."""
    for _ in range(5):
        load.scene.temporal_proxy.cut_all()
        await asyncio.sleep(chance.uniform(0.1, 0.5))


async def _killed(load: Load, part: Part) -> None:
    server = load.scene.site.processes[part]
    await server.kill()
    await asyncio.sleep(A_WHILE)
    await server.start()


async def _suspended(load: Load, part: Part, seconds: float) -> None:
    server = load.scene.site.processes[part]
    server.suspend()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.resume()


async def _has_pending(load: Load) -> bool:
    """Whether the group has entries in hand; true as well when everything is published."""
    redis: Redis = load.scene.redis
    try:
        summary: Any = await redis.xpending(load.scene.stream, GROUP)
    except (RedisError, OSError):
        return False
    return bool(summary["pending"]) or load.is_published


CONSUMER_FAULTS: Final[dict[str, Fault]] = {
    "two_consumers_racing": nothing,
    "consumer_killed": consumer_killed,
    "consumer_zombie": consumer_zombie,
}
REDIS_FAULTS: Final[dict[str, Fault]] = {
    "redis_killed": redis_killed,
    "redis_stopped": redis_stopped,
    "redis_black_holed": redis_black_holed,
    "redis_cut": redis_cut,
    "redis_flushed": redis_flushed,
    "group_deleted": group_deleted,
    "stream_deleted": stream_deleted,
    "trimmed_while_pending": trimmed_while_pending,
    "trimmed_while_unread": trimmed_while_unread,
    "redis_out_of_memory": redis_out_of_memory,
    "redis_read_only": redis_read_only,
}
TEMPORAL_FAULTS: Final[dict[str, Fault]] = {
    "temporal_killed": temporal_killed,
    "temporal_stopped": temporal_stopped,
    "temporal_black_holed": temporal_black_holed,
    "temporal_slow": temporal_slow,
    "temporal_cut": temporal_cut,
}
REDIS_LOSES: Final = frozenset(
    {"redis_flushed", "stream_deleted", "trimmed_while_pending", "trimmed_while_unread"}
)
"""The faults in which Redis itself loses entries that it had acknowledged."""
