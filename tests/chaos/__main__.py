"""All faults together: `make chaos SEED=1 MINUTES=10 EVENTS=20000`, or `python -m tests.chaos`.

While entries are published at an even rate, fault after fault is drawn from the seed. What Redis
loses by a fault is published again, as a publisher with an outbox does. At the end, when all is
quiet, everything is compared with what was published.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter

from tests.chaos.course import ALL_FAULTS, started
from tests.chaos.faults import REDIS_LOSES
from tests.chaos.invariants import Findings, check, kinds_of, quiet
from tests.chaos.load import Load
from tests.chaos.plan import make_plan
from tests.chaos.site import open_scene, open_site

QUIET_WITHIN_SECONDS = 600.0


def main() -> int:
    """0 when every invariant held."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--events", type=int, default=20_000)
    chosen = parser.parse_args()
    findings = asyncio.run(all_together(chosen.seed, chosen.minutes, chosen.events))
    say(str(findings))
    return 0 if findings.clean else 1


async def all_together(seed: int, minutes: float, events: int) -> Findings:
    """Publish `events` entries within these minutes, under all faults in turn."""
    chance = random.Random(seed)
    async with open_site() as site, open_scene(site) as scene:
        await started(scene)
        seconds = minutes * 60
        load = Load(scene, make_plan(scene.queue, events, chance), rate=events / seconds)
        say(f"seed {seed}: {len(load.plan.entries)} entries in {minutes:g} minutes")
        publishing = asyncio.create_task(load.run())
        began = time.monotonic()
        happened: Counter[str] = Counter()
        while not publishing.done():
            for name in chance.sample(sorted(ALL_FAULTS), len(ALL_FAULTS)):
                if publishing.done():
                    break
                say(f"{time.monotonic() - began:5.0f} s, {load.published} published: {name}")
                happened[name] += await one_fault(load, name, chance)
        await publishing
        await quiet(load, within=QUIET_WITHIN_SECONDS)
        say(f"{time.monotonic() - began:5.0f} s: all is quiet")
        say("faults: " + ", ".join(f"{name} {happened[name]}x" for name in sorted(ALL_FAULTS)))
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds_of(load).items()))
        say(f"entries: {kinds}; {load.ledger.unanswered} XADDs had to be repeated")
        return await check(load)


async def one_fault(load: Load, name: str, chance: random.Random) -> bool:
    """Let it happen, then let the program have a moment of peace; False when it did not.

    Some faults take two: a circle of locks with a program that is busy elsewhere does not close.
    """
    happened = True
    try:
        await ALL_FAULTS[name](load, chance)
    except (PermissionError, AssertionError) as error:
        happened = False
        say(f"left out: {error}")
    if name in REDIS_LOSES:
        await load.republish_losses()
    await asyncio.sleep(chance.uniform(0.5, 4))
    return happened


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is what the command prints


if __name__ == "__main__":
    sys.exit(main())
