"""One course: the program under load, faults on the way, and what was found when all is quiet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from tests.chaos.faults import CONSUMER_FAULTS, REDIS_FAULTS, TEMPORAL_FAULTS, Fault
from tests.chaos.invariants import Findings, check, quiet
from tests.chaos.launches import apply_trigger
from tests.chaos.load import Load
from tests.chaos.plan import make_plan
from tests.chaos.postgres_faults import POSTGRES_FAULTS
from tests.chaos.site import Scene, Site, open_scene
from tests.waiting import wait_until

ALL_FAULTS: Final[dict[str, Fault]] = {
    **CONSUMER_FAULTS,
    **REDIS_FAULTS,
    **POSTGRES_FAULTS,
    **TEMPORAL_FAULTS,
}
IMPORTANT: Final = (
    "consumer_killed",
    "cut_after_commit",
    "redis_flushed",
    "postgres_killed",
    "consumer_zombie",
    "temporal_killed",
)
"""For the short course, in this order."""


async def started(scene: Scene) -> None:
    """Start two services and a worker, and wait until both have joined the group."""
    apply_trigger(scene)
    scene.start_worker()
    for name in ("a", "b"):
        scene.start_service(name)
    await wait_until(
        lambda: (
            all("service.started" in text for _, text in scene.logs())
            and len(list(scene.logs())) == len(scene.services)
        ),
        description="both services run",
        timeout=120,
    )


async def endure(
    site: Site, faults: Sequence[Fault], *, seed: int, entries: int, seconds: float
) -> Findings:
    """Publish `entries` in about `seconds` while these faults happen one after the other.

    What Redis loses by a fault is published again, as a publisher with an outbox does.
    """
    async with open_scene(site) as scene:
        await started(scene)
        chance = random.Random(seed)
        plan = make_plan(scene.queue, entries, chance)
        load = Load(scene, plan, rate=entries / seconds)
        publishing = asyncio.create_task(load.run())
        await wait_until(lambda: load.published > entries // 5, description="half-way", timeout=120)
        for fault in faults:
            await fault(load, chance)
            # A flush also takes what a consumer that was killed before had in hand.
            await load.republish_losses()
        await publishing
        await quiet(load, within=180)
        return await check(load)
