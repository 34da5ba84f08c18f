"""Where a run keeps its waits and the events that arrived for them.

Nothing here talks to Temporal: a signal comes in through `Inbox.receive`, what the service should
hear of goes out through the `Report` given at construction. That makes every rule of receiving
(once per wait and event, unknown waits ignored, late events reported) a matter of plain state, and
the state itself something that continue-as-new can carry.

Memory: within a run every (wait, event) pair and the last 1,000 closed waits are remembered; a run
receives at most 10,000 signals, Temporal's own limit. Carried on are all open waits with their
undelivered events, the last 100 closed waits, the last 1,000 pairs that belong to either, and the
ids of the last 1,000 events that were accepted.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from pointsman.received_event import (
    PayloadInvalid,
    Reading,
    ReceivedEvent,
    read_signal,
    untyped,
    write_signal,
)
from pointsman.wait_request import Filter

CLOSED_WAITS_REMEMBERED: Final = 1000
CLOSED_WAITS_CARRIED: Final = 100
PAIRS_CARRIED: Final = 1000
ACCEPTED_CARRIED: Final = 1000
ENDED_REMEMBERED: Final = 100

STATE_VERSION: Final = 1
INTEREST: Final = ("tenant", "event_name", "correlation_key", "kind", "cardinality")


@dataclass(frozen=True, slots=True)
class WaitAddress:
    """Where a wait stands in the service, and the task queue that reaches it."""

    tenant: str
    wait_id: str
    task_queue: str


class Report(Protocol):
    """Tells the service, in the background, what became of an event."""

    def __call__(
        self, wait: WaitAddress, disposition: str, event_id: str, detail: str | None = None, /
    ) -> asyncio.Task[None] | None:
        """Start to tell it; neither this nor the task raises."""
        ...


@dataclass(slots=True, eq=False)
class OpenWait:
    """A wait of this run that has not ended."""

    request: dict[str, Any]
    address: WaitAddress
    deadline: datetime | None
    filter: Filter | None = None
    reading: Reading | None = None
    """Makes the payload an instance of the model that the wait asks for."""
    claimed: bool = True
    """False while a wait carried over from the previous run has no code waiting on it yet."""
    opened_after: int = 0
    """How many events this run had accepted when the wait was opened; 0 for a carried one."""
    registered: bool = False
    registering: asyncio.Task[None] | None = None
    candidates: deque[tuple[int, ReceivedEvent]] = field(default_factory=deque)
    """Events that passed the filter, each with its place in the order of arrival."""
    failure: Exception | None = None
    reporting: list[asyncio.Task[None]] = field(default_factory=list)
    """Reports under way of events that the filter refused."""

    @property
    def ready(self) -> bool:
        """True when code waiting on it has something to go on with."""
        return bool(self.candidates) or self.failure is not None


class Inbox:
    """The waits of one run. There is exactly one, found through its signal handler."""

    def __init__(self, report: Report, decoded: Callable[[Any], Any] = lambda raw: raw) -> None:
        """`decoded` reads the argument of a signal that came in its raw form."""
        self._report = report
        self._decoded = decoded
        self._open: dict[str, OpenWait] = {}
        self._closed: dict[str, WaitAddress] = {}
        self._seen: dict[tuple[str, str], None] = {}
        self._accepted: dict[tuple[str, str], int] = {}
        self._acceptances = 0
        self._arrivals = 0
        self._ended: dict[str, None] = {}
        self._early: list[ReceivedEvent] | None = None
        self._changes = 0
        self._carried_at: int | None = None

    @property
    def carried(self) -> bool:
        """Whether the state was taken to be carried into the next run."""
        return self._carried_at is not None

    @property
    def fresh(self) -> bool:
        """Whether the run has neither restored its waits yet nor waited for anything."""
        return self._early is not None

    @property
    def has_early(self) -> bool:
        """Whether events came before the run restored its waits."""
        return bool(self._early)

    def keep_early(self) -> None:
        """Keep what arrives until the run restores its waits, or waits for the first time."""
        self._early = []

    def receive(self, signal: Any = None, *others: Any) -> None:
        """Take one signal in. The signal handler: accepts any arguments and never raises."""
        if isinstance(signal, str) and others:
            # As a dynamic handler is called, for which it was meant when the run began.
            signal = self._decoded(others[0])
        event = read_signal(signal)
        if event is None:
            return
        if self._early is not None:
            self._early.append(event)
        else:
            self._take_in(event)

    def _take_in(self, event: ReceivedEvent) -> None:
        pair = (event.wait_id, event.event_id)
        wait = self._open.get(event.wait_id)
        closed = self._closed.get(event.wait_id)
        if pair in self._seen or (wait is None and closed is None):
            return
        self._seen[pair] = None
        self._changes += 1
        if wait is not None:
            self._arrivals += 1
            self._offer(wait, self._arrivals, event)
        elif closed is not None:
            self._report(closed, "late", event.event_id)

    def add(self, wait: OpenWait) -> None:
        """Receive events for this wait from now on."""
        self._early = None
        self._changes += 1
        wait.opened_after = self._acceptances
        self._open[wait.address.wait_id] = wait

    def accept(self, wait: OpenWait, event: ReceivedEvent) -> None:
        """Remember what the run has had: a later wait's look-back must not bring it again."""
        self._changes += 1
        pair = (wait.address.tenant, event.event_id)
        if pair not in self._accepted:
            self._acceptances += 1
            self._accepted[pair] = self._acceptances

    def give_back(self, wait: OpenWait, event: ReceivedEvent) -> None:
        """Forget that the run accepted it: nobody has it."""
        self._changes += 1
        self._accepted.pop((wait.address.tenant, event.event_id), None)

    def waited_before(self, request: Mapping[str, Any]) -> bool:
        """Whether a wait for the same events has ended in this chain of runs."""
        return _events_of(request) in self._ended

    def what_would_be_lost(self) -> list[OpenWait]:
        """The open waits that continue-as-new would forget now."""
        return [] if self._carried_at == self._changes else list(self._open.values())

    def claim(
        self,
        request: Mapping[str, Any],
        accepts: Filter | None,
        *,
        wait_id: str | None = None,
        reading: Reading | None = None,
    ) -> OpenWait | None:
        """Hand out a carried wait for the same interest, if one has no code waiting on it.

        With a `wait_id` none but that.
        """
        for wait in self._open.values():
            if wait_id is not None and wait.address.wait_id != wait_id:
                continue
            if not wait.claimed and _interest(wait.request) == _interest(request):
                wait.claimed, wait.filter, wait.reading = True, accepts, reading
                self._changes += 1
                arrived = list(wait.candidates)
                wait.candidates.clear()
                for number, event in arrived:
                    self._offer(wait, number, event)
                return wait
        return None

    def close(self, wait: OpenWait) -> None:
        """End a wait; what arrived for it unused, or arrives from now on, is reported late."""
        if self._open.pop(wait.address.wait_id, None) is None:
            return
        self._changes += 1
        self._ended[_events_of(wait.request)] = None
        if len(self._ended) > ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        self._closed[wait.address.wait_id] = wait.address
        if len(self._closed) > CLOSED_WAITS_REMEMBERED:
            del self._closed[next(iter(self._closed))]
        for _, event in wait.candidates:
            self._report(wait.address, "late", event.event_id)
        wait.candidates.clear()

    def is_open(self, wait: OpenWait) -> bool:
        """Whether the wait was added and not closed."""
        return wait.address.wait_id in self._open

    def _offer(self, wait: OpenWait, number: int, event: ReceivedEvent) -> None:
        """Let the filter decide. One that raises fails its wait: that is a bug to be seen."""
        if wait.failure is not None:
            return
        why: str | None = None
        read = untyped(event)
        try:
            if wait.reading is not None:
                read = wait.reading(event)
            accepted = not self._had_before(wait, event) and (
                wait.filter is None or bool(wait.filter(read))
            )
        except PayloadInvalid as error:
            accepted, why = False, str(error)
        except Exception as error:  # noqa: BLE001 - the user's code; raised where it is waited
            wait.failure = error
            return
        if accepted:
            wait.candidates.append((number, read))
            return
        reporting = self._report(wait.address, "filtered", event.event_id, why)
        if reporting is not None:
            wait.reporting.append(reporting)

    def _had_before(self, wait: OpenWait, event: ReceivedEvent) -> bool:
        """Whether the run accepted the event before it opened the wait (in this run, or one that
        it continues): the service knows runs by their ids, and continue-as-new and reset change
        those.
        """
        place = self._accepted.get((wait.address.tenant, event.event_id))
        return place is not None and place <= wait.opened_after

    def state(self) -> dict[str, Any]:
        """Everything the next run must know, as plain JSON."""
        self._carried_at = self._changes
        closed = list(self._closed.values())[-CLOSED_WAITS_CARRIED:]
        known = {*self._open, *(address.wait_id for address in closed)}
        pairs = [list(pair) for pair in self._seen if pair[0] in known]
        return {
            "version": STATE_VERSION,
            "open": [_carried(wait) for wait in self._open.values()],
            "closed": [_carried_address(address) for address in closed],
            "seen": pairs[-PAIRS_CARRIED:],
            "accepted": [list(event) for event in self._accepted][-ACCEPTED_CARRIED:],
            "ended": list(self._ended),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take over what the previous run carried. Raises ValueError on a foreign state."""
        if state.get("version") != STATE_VERSION:
            raise ValueError("state: not what carry() returned, or of another version")
        early, self._early = self._early or [], None
        for item in state["open"]:
            self.add(_restored(item))
        for tenant, event_id in state.get("accepted", ()):
            self._acceptances += 1
            self._accepted[tenant, event_id] = self._acceptances
        for item in state["closed"]:
            address = _restored_address(item)
            self._closed[address.wait_id] = address
        self._seen.update(dict.fromkeys((wait_id, event_id) for wait_id, event_id in state["seen"]))
        self._arrivals = max(_numbers(self._open.values()), default=0)
        self._ended.update(dict.fromkeys(state.get("ended", ())))
        for event in early:
            self._take_in(event)


def _events_of(request: Mapping[str, Any]) -> str:
    """Which events a wait is for, as a text."""
    named = [request["tenant"], request["event_name"], request["correlation_key"]]
    return json.dumps(named, default=str)


def _interest(request: Mapping[str, Any]) -> tuple[Any, ...]:
    if (task := request.get("task")) is not None:
        # The key is the task's own id, and when it is due depends on when it was asked for.
        form = json.dumps(task["form"], sort_keys=True)
        return (request["tenant"], request["kind"], task["title"], form, *task["assignees"])
    # True == 1 in Python, while as keys they are "true" and "1".
    is_boolean = isinstance(request["correlation_key"], bool)
    return (is_boolean, *(request[name] for name in INTEREST))


def _numbers(waits: Iterable[OpenWait]) -> list[int]:
    return [number for wait in waits for number, _ in wait.candidates]


def _carried_address(address: WaitAddress) -> list[str]:
    return [address.tenant, address.wait_id, address.task_queue]


def _restored_address(item: list[str]) -> WaitAddress:
    tenant, wait_id, task_queue = item
    return WaitAddress(tenant, wait_id, task_queue)


def _carried(wait: OpenWait) -> dict[str, Any]:
    return {
        "request": wait.request,
        "address": _carried_address(wait.address),
        "deadline": wait.deadline.isoformat() if wait.deadline else None,
        "registered": wait.registered,
        "arrived": [[number, write_signal(event)] for number, event in wait.candidates],
    }


def _restored(item: Mapping[str, Any]) -> OpenWait:
    events = [(number, read_signal(signal)) for number, signal in item["arrived"]]
    return OpenWait(
        request=dict(item["request"]),
        address=_restored_address(item["address"]),
        deadline=datetime.fromisoformat(item["deadline"]) if item["deadline"] else None,
        claimed=False,
        registered=item["registered"],
        candidates=deque((number, event) for number, event in events if event is not None),
    )
