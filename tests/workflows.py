"""Workflows that tests signal, written against the bare contract: no SDK of ours."""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from pointsman.contract import EVENT_SIGNAL


@workflow.defn
class Collector:
    """Collects the event signals that it gets, until it is told to end."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.ending = False
        self.continuing = False

    @workflow.run
    async def run(self, earlier: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.events = earlier + self.events
        await workflow.wait_condition(lambda: self.ending or self.continuing)
        if self.continuing:
            workflow.continue_as_new(self.events)
        return self.events

    @workflow.signal(name=EVENT_SIGNAL)
    def receive(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    @workflow.signal
    def end(self) -> None:
        self.ending = True

    @workflow.signal
    def continue_as_new(self) -> None:
        self.continuing = True

    @workflow.query
    def seen(self) -> list[dict[str, Any]]:
        return self.events


@workflow.defn
class Unmoved:
    """Completes when it is asked to cancel."""

    @workflow.run
    async def run(self) -> str:
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            return "done all the same"
        raise AssertionError("nobody ends the wait")


@workflow.defn
class Chained:
    """Collects event signals, and ends in the way that it is told to."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.told = ""

    @workflow.run
    async def run(self, earlier: list[str]) -> list[str]:
        self.events = earlier + self.events
        await workflow.wait_condition(lambda: bool(self.told))
        if self.told == "continue":
            workflow.continue_as_new(self.events)
        if self.told == "fail":
            raise ApplicationError("told to")
        return self.events

    @workflow.signal(name=EVENT_SIGNAL)
    def receive(self, event: dict[str, Any]) -> None:
        self.events.append(f"{event['waitId']} {event['eventId']}")

    @workflow.signal
    def tell(self, how: str) -> None:
        self.told = how

    @workflow.query
    def seen(self) -> list[str]:
        return self.events
