"""Publishing a plan as a careful publisher does, whatever happens to Redis meanwhile."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from tests.chaos.plan import Plan, Planned, Waiter
from tests.chaos.site import GROUP, Scene
from tests.chaos.workflows import Waiting
from tests.waiting import wait_until


@dataclass
class Ledger:
    """What the publisher knows: the entries that Redis acknowledged, and what it lost again."""

    entries: dict[str, Planned] = field(default_factory=dict)
    """By entry id."""
    unanswered: int = 0
    """XADDs without an answer, which were repeated: each may have made one entry more."""
    never_delivered: set[str] = field(default_factory=set)
    """Entry ids that Redis lost before the group was given them: nobody can audit these."""
    lost_pending: set[str] = field(default_factory=set)
    """Entry ids that Redis lost while a consumer had them."""
    given_up: set[str] = field(default_factory=set)
    """Of both, entries that are no events, and that nobody publishes again."""


class Load:
    """A plan under way in a scene."""

    def __init__(self, scene: Scene, plan: Plan, rate: float) -> None:
        self.scene, self.plan, self.ledger = scene, plan, Ledger()
        self.published = 0
        self._rate = rate
        self._waiters_to_start = list(plan.waiters)

    @property
    def is_published(self) -> bool:
        return self.published == len(self.plan.entries)

    async def run(self) -> None:
        """Publish everything and start every workflow."""
        client = await self.scene.temporal()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_all())
            for _ in range(4):
                group.create_task(self._start_waiters(client))

    async def republish_losses(self) -> None:
        """What a publisher with an outbox does once it learns of a loss."""
        ledger = self.ledger
        losses = sorted(ledger.never_delivered | ledger.lost_pending, key=_id)
        ledger.never_delivered.clear()
        ledger.lost_pending.clear()
        for entry_id in losses:
            planned = ledger.entries.get(entry_id)
            if planned is not None and planned.is_event:
                del ledger.entries[entry_id]
                await self._publish(planned)
            elif planned is not None:
                ledger.given_up.add(entry_id)

    async def lose(self, *command: Any) -> None:
        """Run a command by which Redis loses entries, and note in the same moment which."""
        stream = self.scene.stream
        # After the fault before, the program may still be about to make its group anew.
        await wait_until(self._group_exists, description="the group exists")
        async with self.scene.redis.pipeline(transaction=True) as transaction:
            transaction.xinfo_groups(stream)
            transaction.xrange(stream)
            transaction.xpending_range(stream, GROUP, "-", "+", 100_000)
            transaction.execute_command(*command)
            transaction.xrange(stream)
            groups, before, pending, _, after = await transaction.execute()
        read_up_to = _id(groups[0]["last-delivered-id"])
        gone = _ids(before) - _ids(after)
        self.ledger.never_delivered |= {entry_id for entry_id in gone if _id(entry_id) > read_up_to}
        self.ledger.lost_pending |= {_text(row["message_id"]) for row in pending} & gone

    async def _publish_all(self) -> None:
        started = time.monotonic()
        for number, planned in enumerate(self.plan.entries):
            await asyncio.sleep(max(0.0, started + number / self._rate - time.monotonic()))
            await self._publish(planned)
            self.published += 1

    async def _publish(self, planned: Planned) -> None:
        while True:
            try:
                entry_id: Any = await self.scene.redis.xadd(self.scene.stream, _fields(planned))
            except (RedisError, OSError):
                self.ledger.unanswered += 1
                await asyncio.sleep(0.05)
            else:
                self.ledger.entries[_text(entry_id)] = planned
                return

    async def _group_exists(self) -> bool:
        try:
            return bool(await self.scene.redis.xinfo_groups(self.scene.stream))
        except (RedisError, OSError):
            return False

    async def _start_waiters(self, client: Client) -> None:
        while self._waiters_to_start:
            if self._waiters_to_start[0].before > self.published:
                await asyncio.sleep(0.05)
                continue
            await self._start(client, self._waiters_to_start.pop(0))

    async def _start(self, client: Client, waiter: Waiter) -> None:
        queue = self.scene.settings["POINTSMAN_TASK_QUEUE"]
        while True:
            try:
                await client.start_workflow(
                    waiter.workflow,
                    Waiting(waiter.tenant, waiter.keys, queue),
                    id=waiter.workflow_id,
                    task_queue=self.scene.queue,
                )
            except WorkflowAlreadyStartedError:
                return
            except (RPCError, RuntimeError, OSError):
                await asyncio.sleep(0.2)
            else:
                return


def _fields(planned: Planned) -> dict[Any, Any]:
    return dict(planned.fields)


def _ids(entries: Any) -> set[str]:
    return {_text(entry_id) for entry_id, _ in entries}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _id(value: bytes | str) -> tuple[int, int]:
    milliseconds, _, number = _text(value).partition("-")
    return int(milliseconds), int(number)
