"""Joining calls that come at the same time into one: no waiting for more, no call left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from routing.faults import RecordRefused, StatementFailed

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class Batcher(Generic[Request, Answer]):
    """Passes requests on in batches: whatever came while the previous batch was under way.

    A lone request goes through at once. When a batch is refused each of its requests is tried
    alone, so that a bad one costs its neighbours nothing.
    """

    def __init__(
        self, execute: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]], limit: int = 200
    ) -> None:
        self._execute = execute
        self._limit = limit
        self._waiting: list[tuple[Request, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def call(self, request: Request) -> Answer:
        """The answer to one request; raises what executing it raised."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._answer(batch)
        finally:
            self._working = None

    async def _answer(self, batch: Sequence[tuple[Request, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._execute([request for request, _ in batch])
        except (RecordRefused, StatementFailed) as error:
            if len(batch) > 1:
                for single in batch:
                    await self._answer([single])
                return
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001  each caller gets it, as if it had called alone
            _fail(batch, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _fail(batch: Sequence[tuple[Request, asyncio.Future[Answer]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
