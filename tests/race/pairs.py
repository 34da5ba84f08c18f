"""Racing pairs: an event and the wait for it, let go at the same moment on two connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from pointsman.contract import Cardinality
from routing import matching, waits
from routing.database import Database, DatabaseLimits, open_database
from routing.incoming import IncomingEvent
from routing.matching import Matcher, Matching
from routing.waits import Wait, Waits
from tests.builders import a_wait, incoming

# On a busy machine many wait for one hot key, and nobody here tries again.
PATIENCE: Final = timedelta(minutes=2)
LOOKBACK: Final = timedelta(hours=1)
# Takes the place of the locks, with the same parameter, and locks nothing.
NO_LOCK: Final = "SELECT %(hashes)s::bigint[] IS NULL"
# A racer takes so many pairs at a time; each of its two lanes cuts them into batches of its own.
ROUND: Final = 8
BATCHES: Final = (1, 1, 1, 2, 3, 5)

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Race:
    """What one process contributes; together all processes cover every number once."""

    numbers: range
    connections: int = 16
    hot_keys: int | None = None
    """None: every pair has a key of its own. Otherwise all pairs share so many keys."""
    cardinality: Cardinality = Cardinality.ALL
    locked: bool = True
    seed: int = 0

    def key(self, number: int) -> str:
        """The key of a pair."""
        return f"key-{number if self.hot_keys is None else number % self.hot_keys}"


async def run_race(url: str, race: Race) -> None:
    """Let the pairs race, each racer with a connection for events and one for waits."""
    if not race.locked:
        # One statement, which two modules have imported by name.
        for module in (matching, waits):
            setattr(module, "LOCK_KEYS", NO_LOCK)  # noqa: B010  no constant to the type-checker
    limits = DatabaseLimits(
        connections=race.connections, statement_timeout=PATIENCE, lock_timeout=PATIENCE
    )
    async with open_database(url, limits) as database:
        rounds = iter(_cut(race.numbers, ROUND))
        await asyncio.gather(
            *(
                _Racer(database, race, random.Random(f"{race.seed}/{race.numbers}/{lane}")).run(
                    rounds
                )
                for lane in range(race.connections // 2)
            )
        )


def run_race_here(url: str, race: Race) -> None:
    """The same, for a process that does nothing else."""
    asyncio.run(run_race(url, race))


class _Racer:
    def __init__(self, database: Database, race: Race, chance: random.Random) -> None:
        self._matcher = Matcher(database, Matching(owner="race"))
        self._waits = Waits(database)
        self._race = race
        self._chance = chance

    async def run(self, rounds: Iterator[Sequence[int]]) -> None:
        for numbers in rounds:
            lanes = [self._record(self._mixed(numbers)), self._register(self._mixed(numbers))]
            self._chance.shuffle(lanes)
            await asyncio.gather(*lanes)

    async def _record(self, batches: Sequence[Sequence[int]]) -> None:
        for numbers in batches:
            await self._matcher.record([self._event(number) for number in numbers])

    async def _register(self, batches: Sequence[Sequence[int]]) -> None:
        for numbers in batches:
            await self._waits.register([self._wait(number) for number in numbers])

    def _mixed(self, numbers: Sequence[int]) -> list[Sequence[int]]:
        """The numbers in batches; usually in a common order, so that partners do meet."""
        mixed = list(numbers)
        if self._chance.random() < 0.25:
            self._chance.shuffle(mixed)
        batches: list[Sequence[int]] = []
        while mixed:
            size = self._chance.choice(BATCHES)
            batches.append(mixed[:size])
            mixed = mixed[size:]
        return batches

    def _event(self, number: int) -> IncomingEvent:
        return incoming(event_id=f"event-{number}", key=self._race.key(number))

    def _wait(self, number: int) -> Wait:
        return a_wait(
            wait_id=f"wait-{number}",
            key=self._race.key(number),
            workflow_id=f"workflow-{number}",
            lookback=LOOKBACK,
            cardinality=self._race.cardinality,
        )


def _cut(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
