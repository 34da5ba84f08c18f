"""Is each server there that this process needs? Asked once per period, never per request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Final, TypeAlias

import structlog

from worker.cancelling import cancel
from worker.redaction import redact_urls

log = structlog.get_logger(__name__)

Check: TypeAlias = Callable[[], Awaitable[None]]
"""Returns when the server is there and can be worked with; raises otherwise, whatever it likes."""

ANSWER_WITHIN: Final = timedelta(seconds=5)
NOT_ASKED_YET: Final = "not asked yet"
READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class DependencyState:
    """What was last found out about one server."""

    name: str
    ready: bool
    detail: str
    checked: timedelta | None
    """How long ago; None when it was never asked."""


@dataclass(frozen=True, slots=True)
class _Finding:
    ready: bool
    detail: str
    at: float


class Dependencies:
    """The servers of a process, by name, and how they stand."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        period: timedelta,
        clock: Callable[[], float] = monotonic,
        answer_within: timedelta = ANSWER_WITHIN,
    ) -> None:
        self._checks = checks
        self._answer_within = answer_within
        self._stale_after = 3 * (period + ANSWER_WITHIN)
        self._clock = clock
        self._findings: dict[str, _Finding] = {}
        self._notes: dict[str, str] = {}

    def note(self, name: str, text: str) -> None:
        """Something to be said beside how a server stands; empty: nothing any more."""
        self._notes[name] = text

    async def check(self) -> None:
        """Ask all of them, side by side, each for a bounded time; never raises for an answer."""
        await asyncio.gather(*(self._check(name, check) for name, check in self._checks.items()))

    def states(self) -> Sequence[DependencyState]:
        """How each stands; one that was not asked for long counts as not ready."""
        return [self._state(name) for name in self._checks]

    async def _check(self, name: str, check: Check) -> None:
        asked = asyncio.ensure_future(_answer_to(check))
        try:
            # Not by a time-out around it: a client may take long to give up what is cancelled.
            done, _ = await asyncio.wait({asked}, timeout=self._answer_within.total_seconds())
            if done:
                ready, detail = asked.result()
            else:
                ready, detail = False, f"no answer within {self._answer_within.total_seconds():g} s"
            self._note(name, _Finding(ready, detail, self._clock()))
        finally:
            await cancel([asked])

    def _note(self, name: str, finding: _Finding) -> None:
        before = self._findings.get(name)
        self._findings[name] = finding
        if before is not None and before.ready != finding.ready:
            log.info("dependency.changed", dependency=name, ready=finding.ready)

    def _state(self, name: str) -> DependencyState:
        found = self._findings.get(name)
        if found is None:
            return DependencyState(name, ready=False, detail=NOT_ASKED_YET, checked=None)
        age = timedelta(seconds=self._clock() - found.at)
        if age > self._stale_after:
            detail = f"last asked {age.total_seconds():.0f} s ago: {found.detail}"
            return DependencyState(name, ready=False, detail=detail, checked=age)
        detail = "; ".join(filter(None, (found.detail, self._notes.get(name))))
        return DependencyState(name, found.ready, detail, age)


async def _answer_to(check: Check) -> tuple[bool, str]:
    try:
        await check()
    except Exception as error:  # noqa: BLE001  whatever a client raises means: not ready
        return False, _said(error)
    return True, READY


def _said(error: Exception) -> str:
    """The first line of what went wrong, without any password."""
    lines = str(error).strip().splitlines()
    return redact_urls(lines[0] if lines else type(error).__name__)
