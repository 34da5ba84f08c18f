"""The matcher as a plain program: lists and loops, one thing after another.

It is the service's promise without its machinery. The suite in `tests/contract/test_matching.py`
holds it and the real matcher to the same behaviour, and random histories with crashes on a real
Postgres must end as they do here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pointsman.contract import Disposition, WaitKind
from pointsman.correlation.closing import Closing, without_taken_back
from pointsman.correlation.event import Event
from pointsman.correlation.exact_equality import equal_json
from pointsman.correlation.reason import Reason
from pointsman.correlation.resolution import resolve
from pointsman.correlation.rules import NO_RULES, Rules
from pointsman.testing.records import DeliveryState, EventState, WaitState, WaitTerms

TICK: Final = timedelta(microseconds=1)
BUFFER_TTL: Final = timedelta(days=7)
"""How long an event stays available to look-backs, unless the service is set up otherwise."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing did. Of a conflict, `state` is the event that came first and stands."""

    state: EventState
    duplicate: bool = False
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """How a wait stands after it was registered."""

    state: WaitState
    matched_events: int
    """Events taken by the look-back."""
    conflict: bool = False
    """Another wait is registered under this id; nothing was changed."""


class MatcherTwin:
    """Events, waits and deliveries of all tenants, in memory."""

    def __init__(
        self,
        rules: Rules = NO_RULES,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        buffer_ttl: timedelta = BUFFER_TTL,
    ) -> None:
        self.rules = rules
        self.events: dict[tuple[str, str], EventState] = {}
        """By (tenant, event id), in order of arrival."""
        self.waits: dict[tuple[str, str], WaitState] = {}
        """By (tenant, wait id), in order of registration."""
        self.deliveries: dict[tuple[str, str, str], DeliveryState] = {}
        """By (tenant, event id, wait id), in the order in which a workflow is signalled."""
        self._now = now
        self._last = datetime.min.replace(tzinfo=UTC)
        self._buffer_ttl = buffer_ttl

    def now(self) -> datetime:
        """The time; later at each call, as nothing in a database happens at once."""
        self._last = max(self._now(), self._last + TICK)
        return self._last

    def publish(self, event: Event) -> Publication:
        """Record an event: every open wait of its keys gets it, of exclusive ones the oldest."""
        now, resolution = self.now(), resolve(event, self.rules)
        state = EventState(event, resolution, now, now + self._buffer_ttl)
        known = self.events.setdefault((event.tenant, event.event_id), state)
        if known is state:
            candidates = [
                wait
                for wait in self.waits.values()
                if wait.receives(now) and _is_for(wait.terms, state)
            ]
            self._hand_out(state, candidates, looked_back=False)
            return Publication(state)
        if _same_content(known, state):
            known.redeliveries += 1
            return Publication(known, duplicate=True)
        known.conflicts += 1
        return Publication(known, conflict=True)

    def register(self, waits: Sequence[WaitTerms]) -> list[Registration]:
        """Register waits together; each takes what its look-back finds. In the order given."""
        now = self.now()
        unique = {(terms.tenant, terms.wait_id): terms for terms in waits}
        new = [self._add(terms, now) for pair, terms in unique.items() if pair not in self.waits]
        for event in list(self.events.values()):
            takers = [wait for wait in new if self._may_look_back(wait, event, now)]
            self._hand_out(event, takers, looked_back=True)
        return [self._registration(terms) for terms in waits]

    def close(self, closings: Sequence[Closing]) -> list[str]:
        """Apply what is said of waits together: `waiting`, `closed` or `unknown` for each."""
        now = self.now()
        known = [
            each
            for each in without_taken_back(closings)
            if (each.tenant, each.wait_id) in self.waits
        ]
        for closing in known:
            self._take_back(closing)
        for closing in known:
            self._dispose(closing)
        # Of what is said of one wait at once the word that ends a stream, too, comes first.
        for closing in sorted(known, key=lambda each: not each.closes_streams):
            self._close(closing, now)
        waits = [self.waits[each.tenant, each.wait_id] for each in known]
        self._settle_closed(waits)
        self._give_back(waits, now)
        states = [self.waits.get((each.tenant, each.wait_id)) for each in closings]
        return ["unknown" if state is None else state.status for state in states]

    def expire_waits(self) -> int:
        """Close the waits whose time is over; how many those were."""
        now = self.now()
        over = [wait for wait in self.waits.values() if wait.open and not wait.receives(now)]
        self.close(
            [
                Closing(
                    tenant=wait.terms.tenant,
                    wait_id=wait.terms.wait_id,
                    reason=Reason.WAIT_EXPIRED,
                )
                for wait in over
            ]
        )
        return len(over)

    def pending(self) -> list[DeliveryState]:
        """What is still to be signalled, in order."""
        return [each for each in self.deliveries.values() if each.status == "pending"]

    def delivered(self, delivery: DeliveryState) -> None:
        """Temporal has the signal. If the wait was closed meanwhile, it came late."""
        if delivery.status == "withdrawn":
            delivery.disposition = Disposition.LATE
        if delivery.status in {"pending", "withdrawn"}:
            delivery.status = "delivered"

    def refused(self, delivery: DeliveryState, run_is_gone: Reason | None = None) -> None:
        """Temporal will never take the signal; a wait whose run is gone is closed with it."""
        if delivery.status != "pending":
            return
        delivery.status = "dead"
        if run_is_gone is None:
            self._give_back([delivery.wait], self.now())
            return
        terms = delivery.wait.terms
        self.close([Closing(tenant=terms.tenant, wait_id=terms.wait_id, reason=run_is_gone)])

    def deliveries_of(self, event: EventState) -> list[DeliveryState]:
        """Whom an event was handed to."""
        return [each for each in self.deliveries.values() if each.event is event]

    def deliveries_to(self, wait: WaitState) -> list[DeliveryState]:
        """What a wait was handed."""
        return [each for each in self.deliveries.values() if each.wait is wait]

    def _add(self, terms: WaitTerms, now: datetime) -> WaitState:
        state = WaitState(terms, len(self.waits), now, terms.expires_at)
        self.waits[terms.tenant, terms.wait_id] = state
        return state

    def _registration(self, terms: WaitTerms) -> Registration:
        state = self.waits[terms.tenant, terms.wait_id]
        taken = sum(each.looked_back for each in self.deliveries_to(state))
        return Registration(state, taken, conflict=state.terms.content != terms.content)

    def _may_look_back(self, wait: WaitState, event: EventState, now: datetime) -> bool:
        """Not what an exclusive wait holds, nor what this run has accepted already."""
        return (
            bool(wait.terms.lookback)
            and wait.receives(now)
            and event.available_until > now
            and event.received_at >= now - wait.terms.lookback
            and _is_for(wait.terms, event)
            and not any(
                each.holds
                or (
                    each.disposition is Disposition.ACCEPTED
                    and _same_run(each.wait.terms, wait.terms)
                )
                for each in self.deliveries_of(event)
            )
        )

    def _hand_out(
        self, event: EventState, candidates: Iterable[WaitState], *, looked_back: bool
    ) -> None:
        waits = sorted(candidates, key=lambda wait: wait.position)
        first_exclusive = next((wait for wait in waits if wait.exclusive), None)
        for wait in waits:
            if not wait.exclusive or wait is first_exclusive:
                pair = (wait.terms.tenant, event.event.event_id, wait.terms.wait_id)
                self.deliveries[pair] = DeliveryState(event, wait, looked_back)
                event.matched = True

    def _take_back(self, closing: Closing) -> None:
        """Take the acceptance of an event back: the wait that ended with it is open again."""
        delivery = self._spoken_of(closing) if closing.returns else None
        if delivery is None or delivery.disposition not in {None, Disposition.ACCEPTED}:
            return
        accepted, wait = delivery.disposition is not None, delivery.wait
        delivery.disposition, delivery.status = None, "delivered"
        if accepted and not wait.open and wait.disposition is Disposition.ACCEPTED:
            wait.open = wait.terms.kind is not WaitKind.STREAM
            if wait.open:
                wait.closed_at = wait.disposition = None

    def _dispose(self, closing: Closing) -> None:
        """What a workflow speaks of has arrived, whoever sent it; the first word stands."""
        delivery = None if closing.returns else self._spoken_of(closing)
        if delivery is not None and delivery.disposition is None:
            delivery.disposition, delivery.status = closing.disposition, "delivered"
            delivery.detail = closing.detail

    def _spoken_of(self, closing: Closing) -> DeliveryState | None:
        if closing.disposition is None or closing.event_id is None:
            return None
        return self.deliveries.get((closing.tenant, closing.event_id, closing.wait_id))

    def _close(self, closing: Closing, now: datetime) -> None:
        wait = self.waits[closing.tenant, closing.wait_id]
        is_stream = wait.terms.kind is WaitKind.STREAM
        if wait.open and (closing.closes_streams if is_stream else closing.closes):
            wait.open, wait.closed_at = False, now
            wait.disposition, wait.reason = closing.disposition, closing.reason

    def _settle_closed(self, waits: Sequence[WaitState]) -> None:
        """What a closed wait had been handed: not yet signalled, it is withdrawn; signalled, late.

        An exclusive event that may be under way stays pending while the workflow has said nothing,
        or it would have two holders.
        """
        for each in self.deliveries.values():
            wait = each.wait
            if wait not in waits or wait.open or each.disposition is not None:
                continue
            if each.status == "pending":
                unspoken = wait.disposition is None and wait.exclusive
                if not (unspoken and each.may_have_arrived):
                    each.status = "withdrawn"
            elif each.status == "delivered" and wait.disposition is not None:
                each.disposition = Disposition.LATE

    def _give_back(self, waits: Sequence[WaitState], now: datetime) -> None:
        """What exclusive waits gave back goes to the next exclusive one in line."""
        deliveries = self.deliveries.values()
        given_back = [
            each.event for each in deliveries if each.wait in waits and each.is_given_back
        ]
        for event in dict.fromkeys(given_back):
            had = self.deliveries_of(event)
            if any(each.holds for each in had):
                continue
            heirs = [
                wait
                for wait in self.waits.values()
                if wait.exclusive
                and wait.receives(now)
                and _is_for(wait.terms, event)
                and event.received_at >= wait.registered_at - wait.terms.lookback
                and all(each.wait is not wait for each in had)
            ]
            self._hand_out(event, heirs, looked_back=False)


def _is_for(terms: WaitTerms, state: EventState) -> bool:
    event = state.event
    return (terms.tenant, terms.event_name) == (
        event.tenant,
        event.name,
    ) and terms.correlation_key in state.keys


def _same_run(one: WaitTerms, other: WaitTerms) -> bool:
    """Of the same workflow, and not certainly of two of its runs."""
    return one.workflow_id == other.workflow_id and (
        one.run_id == other.run_id or one.run_id is None or other.run_id is None
    )


def _same_content(one: EventState, other: EventState) -> bool:
    """Equal content, in whatever words: white space, member order and 1 for 1.0 do not count."""
    return (
        one.event.name == other.event.name
        and one.envelope_key == other.envelope_key
        and equal_json(one.event.payload.value, other.event.payload.value)
    )
