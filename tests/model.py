"""The guarantees of routing as a plain program: lists and loops, one thing after another.

What the database holds after any history of steps, crashes and repetitions must equal what this
holds after the same steps without them. One tenant; two of them are two models.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class ModelEvent:
    event_id: str
    keys: tuple[str, ...]
    """The primary key first; empty: unresolved."""
    after_waits: int
    """How many waits had been registered when it came."""
    available: bool = True
    matched: bool = False

    @property
    def outcome(self) -> str:
        if not self.keys:
            return "unresolved"
        return "matched" if self.matched else "no_wait"


@dataclass
class ModelWait:
    wait_id: str
    key: str
    exclusive: bool
    stream: bool
    lookback: bool
    workflow: str
    run: str | None = None
    position: int = 0
    open: bool = True
    expired: bool = False
    disposition: str | None = None
    reason: str | None = None

    @property
    def receives(self) -> bool:
        return self.open and not self.expired


@dataclass
class ModelDelivery:
    event: ModelEvent
    wait: ModelWait
    status: str = "pending"
    disposition: str | None = None
    may_have_arrived: bool = False
    """Whether a process has had it in hand to send it; which does when is not the model's."""

    @property
    def holds(self) -> bool:
        """Whether an exclusive wait has the event, as far as anybody knows."""
        return (
            self.wait.exclusive
            and self.status in ("pending", "delivered")
            and self.disposition in (None, "accepted")
        )

    @property
    def is_given_back(self) -> bool:
        return self.wait.exclusive and (
            self.status in ("withdrawn", "dead") or self.disposition in ("filtered", "late")
        )


@dataclass
class Model:
    events: dict[str, ModelEvent] = field(default_factory=dict)
    waits: dict[str, ModelWait] = field(default_factory=dict)
    deliveries: dict[tuple[str, str], ModelDelivery] = field(default_factory=dict)

    def publish(self, event_id: str, keys: tuple[str, ...]) -> None:
        """A new event goes to every open wait of its keys, and to the oldest exclusive one."""
        event = ModelEvent(event_id, keys, after_waits=len(self.waits), available=bool(keys))
        self.events[event_id] = event
        candidates = [wait for wait in self.waits.values() if wait.receives and wait.key in keys]
        self._hand_out(event, candidates)

    def register(self, waits: Sequence[ModelWait]) -> None:
        """Waits registered together; each takes what its look-back finds."""
        for wait in waits:
            wait.position = len(self.waits)
            self.waits[wait.wait_id] = wait
        for event in self.events.values():
            if event.available:
                takers = [wait for wait in waits if self._may_look_back(wait, event)]
                self._hand_out(event, takers)

    def say(self, event_id: str, wait_id: str, disposition: str) -> None:
        """A workflow's word on an event that it was signalled with; the first one stands."""
        delivery = self.deliveries.get((event_id, wait_id))
        if delivery is not None and delivery.disposition is None:
            delivery.disposition, delivery.status = disposition, "delivered"
        wait = self.waits[wait_id]
        if disposition == "accepted" and not wait.stream:
            self._close(wait, disposition, None)
        self._give_back([wait])

    def close(
        self, waits: Sequence[ModelWait], disposition: str | None, reason: str | None = None
    ) -> None:
        """Waits end together, by a word of their workflow or for a reason of ours."""
        for wait in waits:
            self._close(wait, disposition, reason)
        self._give_back(waits)

    def delivered(self, event_id: str, wait_id: str) -> None:
        """Temporal has the signal. If the wait was closed meanwhile, it came late."""
        delivery = self.deliveries[event_id, wait_id]
        if delivery.status == "withdrawn":
            delivery.disposition = "late"
        if delivery.status in ("pending", "withdrawn"):
            delivery.status = "delivered"

    def refused(self, event_id: str, wait_id: str, *, run_is_gone: bool) -> None:
        """Temporal will never take the signal."""
        delivery = self.deliveries[event_id, wait_id]
        if delivery.status != "pending":
            return
        delivery.status = "dead"
        if run_is_gone:
            self._close(delivery.wait, None, "run_closed")
        self._give_back([delivery.wait])

    def pending(self) -> set[tuple[str, str]]:
        return {pair for pair, each in self.deliveries.items() if each.status == "pending"}

    def _may_look_back(self, wait: ModelWait, event: ModelEvent) -> bool:
        return (
            wait.lookback
            and wait.key in event.keys
            and not any(
                each.holds or (each.disposition == "accepted" and _same_run(each.wait, wait))
                for each in self._deliveries_of(event)
            )
        )

    def _hand_out(self, event: ModelEvent, candidates: Sequence[ModelWait]) -> None:
        exclusive = sorted(
            (wait for wait in candidates if wait.exclusive), key=lambda wait: wait.position
        )
        for wait in [wait for wait in candidates if not wait.exclusive] + exclusive[:1]:
            self.deliveries[event.event_id, wait.wait_id] = ModelDelivery(event, wait)
            event.matched = True

    def _close(self, wait: ModelWait, disposition: str | None, reason: str | None) -> None:
        if not wait.open:
            return
        wait.open, wait.disposition, wait.reason = False, disposition, reason
        for each in self.deliveries.values():
            if each.wait is not wait or each.disposition is not None:
                continue
            if each.status == "pending":
                unspoken = disposition is None and each.wait.exclusive
                if not (unspoken and each.may_have_arrived):
                    each.status = "withdrawn"
            elif each.status == "delivered" and disposition is not None:
                each.disposition = "late"

    def _give_back(self, waits: Sequence[ModelWait]) -> None:
        """What exclusive waits gave back goes to the next exclusive one in line."""
        given_back = {
            each.event.event_id: each.event
            for each in self.deliveries.values()
            if each.wait in waits and each.is_given_back
        }
        for event in given_back.values():
            if any(each.holds for each in self._deliveries_of(event)):
                continue
            heirs = [
                wait
                for wait in self.waits.values()
                if wait.exclusive
                and wait.receives
                and wait.key in event.keys
                and (wait.lookback or wait.position < event.after_waits)
                and (event.event_id, wait.wait_id) not in self.deliveries
            ]
            self._hand_out(event, heirs)

    def _deliveries_of(self, event: ModelEvent) -> Iterable[ModelDelivery]:
        return [each for each in self.deliveries.values() if each.event is event]


def _same_run(one: ModelWait, other: ModelWait) -> bool:
    """Of the same workflow, and not certainly of two of its runs."""
    return one.workflow == other.workflow and (
        one.run == other.run or one.run is None or other.run is None
    )
