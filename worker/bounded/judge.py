"""Judging by schemas and forms in worker processes: what is too costly beside an event loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from correlation.json_schema import Misfit
from correlation.judging import (
    TOO_LARGE_TO_SAY,
    Schema,
    TooCostly,
    faults_in_worker,
    fits_in_worker,
)
from ingress.schemas import MOST_ERRORS
from routing.incoming import IncomingEvent, RejectedEntry
from worker.bounded.budgets import BudgetExceeded
from worker.bounded.workers import Workers
from worker.schema_checks import UnjudgedEvent, after_judgement


class PayloadJudge(Protocol):
    """Judges the payloads that cannot be judged beside everything else."""

    async def judged(self, event: UnjudgedEvent) -> IncomingEvent | RejectedEntry:
        """The event with its judgement; one that is too costly ends as its mode says."""
        ...


class Judge:
    """Judges in worker processes, within their budgets; never raises for what is judged."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def judged(self, event: UnjudgedEvent) -> IncomingEvent | RejectedEntry:
        """The event with its judgement; one that is too costly ends as its mode says."""
        incoming, unjudged = event.incoming, event.unjudged
        text = incoming.event.payload.text
        found = await self.faults(unjudged.schema, text, MOST_ERRORS + 1)
        return after_judgement(incoming, unjudged.judgement(found))

    async def faults(
        self, schema: Schema, value_text: str, most: int
    ) -> Sequence[Misfit] | TooCostly:
        """Up to `most` faults of a value; at least one where it does not fit."""
        try:
            if await self._workers.run(fits_in_worker, schema.text, schema.formats, value_text):
                return ()
        except BudgetExceeded as exceeded:
            return TooCostly(exceeded.budget.value)
        try:
            found = await self._workers.run(
                faults_in_worker, schema.text, schema.formats, value_text, most
            )
        except BudgetExceeded:
            # That it does not fit is certain; only the place takes too long to find.
            found = ()
        return found or (TOO_LARGE_TO_SAY,)
