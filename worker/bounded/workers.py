"""Worker processes for work whose cost depends on what others wrote.

They start with the first piece of work. Each has limits on its address space and, for each piece,
on its processor time, which the kernel enforces: also within a library that never gives up its
thread. A worker that reaches a limit ends, and another one takes its place.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import structlog

from worker.bounded.budgets import Budget, BudgetExceeded, WorkLimits

if TYPE_CHECKING:  # imported with the first piece of work: most processes never need it
    from pebble import ProcessPool

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

log = structlog.get_logger(__name__)

SLACK: Final = 10
"""On a busy machine a piece may take so many times its processor time until it is given up."""
TRIES: Final = 2
"""A worker may be ended by others: the piece is tried with another one, once."""
PRELOADED: Final = ("correlation.judging", "worker.bounded.workers")
_OF_TIME: Final = frozenset({-signal.SIGPROF, -signal.SIGXCPU})
_OF_MEMORY: Final = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS})


class Workers:
    """Runs functions in worker processes; may be used from any thread and any event loop."""

    def __init__(self, limits: WorkLimits | None = None) -> None:
        self._limits = limits or WorkLimits()
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()
        self._in_hand = 0
        self.ran = 0
        """How many pieces were handed to a worker."""

    @property
    def started(self) -> bool:
        """Whether anything was ever handed to a worker."""
        return self._pool is not None

    async def run(
        self,
        work: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> Result:
        """Run a module's function with values that can be pickled. Raises BudgetExceeded.

        Waits as long as it takes until a worker is free.
        """
        for attempt in range(1, TRIES + 1):
            future = self._scheduled(work, arguments, named)
            try:
                return await asyncio.wrap_future(future)
            except (MemoryError, OSError) as error:  # a time-out and an end of a worker are such
                budget = _budget_of(error)
                if budget is Budget.WORKER and attempt < TRIES:
                    continue
                log.warning("work.exceeded", budget=budget.value, work=work.__name__)
                raise BudgetExceeded(budget) from None
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def place(self, tenant: str) -> Generator[None]:
        """Take a place among what this process has in hand; raises BudgetExceeded (queue)."""
        with self._lock:
            full = self._in_hand >= self._limits.queue
            if full or self._taken[tenant] >= max(1, self._limits.queue // 2):
                raise BudgetExceeded(Budget.QUEUE)
            self._taken[tenant] += 1
            self._in_hand += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_hand -= 1
                self._taken[tenant] -= 1
                if not self._taken[tenant]:
                    del self._taken[tenant]

    async def aclose(self) -> None:
        """End the workers, whatever they are at."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(_end, pool)

    def _scheduled(
        self, work: Callable[..., Result], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Future[Result]:
        seconds = self._limits.time.total_seconds()
        with self._lock:
            if self._pool is None:
                self._pool = _pool(self._limits)
            self.ran += 1
            future: Future[Result] = self._pool.schedule(
                _within_time, args=(seconds, work, arguments, named), timeout=seconds * SLACK
            )
        return future


def _pool(limits: WorkLimits) -> ProcessPool:
    from pebble import ProcessPool

    # Not forked from this process: it has threads, whose locks a fork would copy as they are.
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return ProcessPool(
        max_workers=limits.workers,
        initializer=_confine,
        initargs=(limits.memory,),
        context=context,
    )


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble has no types for it
    pool.join()


def _confine(memory: int) -> None:
    # What a library writes while it is ended for its memory is nobody's log line.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statistics = Path("/proc/self/statm")
    if statistics.exists():
        taken = int(statistics.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, taken + memory))


def _within_time(
    seconds: float, work: Callable[..., Result], arguments: tuple[Any, ...], named: dict[str, Any]
) -> Result:
    # Without a handler the signal ends the process, also within a library's own code.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return work(*arguments, **named)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _budget_of(error: Exception) -> Budget:
    if isinstance(error, MemoryError):
        return Budget.MEMORY
    if isinstance(error, TimeoutError):
        return Budget.TIME
    code = getattr(error, "exitcode", None)
    if code in _OF_TIME:
        return Budget.TIME
    return Budget.MEMORY if code in _OF_MEMORY else Budget.WORKER
