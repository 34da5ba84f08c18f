"""What a test gets in hand: a published event, and a registered wait."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal

from pointsman.contract import Disposition
from pointsman.correlation.closing import Closing
from pointsman.correlation.exact_number import OutsizeNumber, exact_integer, exact_number
from pointsman.received_event import ReceivedEvent
from pointsman.testing.explaining import event_in_words, wait_in_words
from pointsman.testing.matcher import MatcherTwin, Publication
from pointsman.testing.records import DeliveryState, WaitState


class Published:
    """What became of a published event."""

    def __init__(self, twin: MatcherTwin, publication: Publication) -> None:
        self._twin = twin
        self._publication = publication
        self._state = publication.state

    @property
    def event_id(self) -> str:
        """The event's id."""
        return self._state.event.event_id

    @property
    def outcome(self) -> str:
        """`matched`, `no_wait` or `unresolved`, as it stands now; `rejected` for a conflict."""
        return "rejected" if self._publication.conflict else self._state.outcome.value

    @property
    def reason(self) -> str | None:
        """The audit's word for why it woke nobody."""
        if self._publication.conflict:
            return "conflicting_duplicate"
        return None if self._state.reason is None else self._state.reason.value

    @property
    def duplicate(self) -> bool:
        """Whether it had been published before: then it woke nobody a second time."""
        return self._publication.duplicate

    @property
    def keys(self) -> tuple[str, ...]:
        """Its correlation keys, the primary one first."""
        return self._state.keys

    @property
    def woken(self) -> list[str]:
        """Ids of the workflows that it was handed to until now, by a look-back too."""
        deliveries = self._twin.deliveries_of(self._state)
        return [each.wait.terms.workflow_id for each in deliveries if each.status != "withdrawn"]

    def explain(self) -> str:
        """Whom it woke and, of those that it nearly woke, why not."""
        return event_in_words(self._twin, self._state)

    def assert_woke(self, *workflow_ids: str) -> None:
        """Fail, with the explanation, unless it was handed to exactly these workflows."""
        __tracebackhide__ = True
        if sorted(self.woken) != sorted(workflow_ids):
            wanted = ", ".join(workflow_ids) or "nobody"
            raise AssertionError(
                f"expected to wake {wanted}; woke {', '.join(self.woken) or 'nobody'}\n"
                f"{self.explain()}"
            )

    def assert_woke_nobody(self, reason: str | None = None) -> None:
        """Fail, with the explanation, if it was handed to anybody, or for another reason not."""
        __tracebackhide__ = True
        self.assert_woke()
        if reason is not None and reason != self.reason:
            raise AssertionError(
                f"expected the reason {reason}; it is {self.reason}\n{self.explain()}"
            )


class Wait:
    """A registered wait, and the word of its workflow on what it receives."""

    def __init__(self, twin: MatcherTwin, state: WaitState, deliver: Callable[[], None]) -> None:
        self._twin = twin
        self._state = state
        self._deliver = deliver

    @property
    def wait_id(self) -> str:
        """Its id; unique per tenant."""
        return self._state.terms.wait_id

    @property
    def workflow_id(self) -> str:
        """Whose it is."""
        return self._state.terms.workflow_id

    @property
    def status(self) -> str:
        """`waiting` or `closed`."""
        return self._state.status

    @property
    def ended(self) -> str | None:
        """How it was closed: `accepted`, `timed_out`, `cancelled`, `wait_expired`, …"""
        end = self._state.disposition or self._state.reason
        return None if end is None else end.value

    @property
    def events(self) -> list[ReceivedEvent]:
        """The events that it was handed, in order, as its workflow receives them."""
        handed = self._twin.deliveries_to(self._state)
        return [received(each) for each in handed if each.status != "withdrawn"]

    def accept(self, event_id: str) -> None:
        """The workflow takes an event: a wait that is no stream is closed with it."""
        self._say(Disposition.ACCEPTED, event_id)

    def refuse(self, event_id: str) -> None:
        """The workflow's filter refuses an event; the wait stays open."""
        self._say(Disposition.FILTERED, event_id)

    def time_out(self) -> None:
        """The workflow's time-out is over."""
        self._say(Disposition.TIMED_OUT, None)

    def cancel(self) -> None:
        """The workflow withdraws the wait."""
        self._say(Disposition.CANCELLED, None)

    def explain(self) -> str:
        """What it received, and which events it nearly received."""
        return wait_in_words(self._twin, self._state)

    def assert_woken(self, by: str | None = None) -> None:
        """Fail, with the explanation, unless it was handed an event (of this id)."""
        __tracebackhide__ = True
        received_ids = [event.event_id for event in self.events]
        if not received_ids or (by is not None and by not in received_ids):
            what = "an event" if by is None else f"the event {by!r}"
            raise AssertionError(f"expected {what} to wake a wait\n{self.explain()}")

    def _say(self, disposition: Disposition, event_id: str | None) -> None:
        terms = self._state.terms
        closing = Closing(
            tenant=terms.tenant,
            wait_id=terms.wait_id,
            disposition=disposition,
            event_id=event_id,
        )
        self._twin.close([closing])
        self._deliver()


def received(delivery: DeliveryState) -> ReceivedEvent:
    """A delivery as its workflow receives it."""
    event, terms = delivery.event.event, delivery.wait.terms
    return ReceivedEvent(
        event_id=event.event_id,
        name=event.name,
        correlation_key=terms.correlation_key,
        payload=json.loads(event.payload.text, parse_float=_as_converted, parse_int=exact_integer),
        received_at=delivery.event.received_at,
        wait_id=terms.wait_id,
        delivery_id=f"{event.event_id}/{terms.wait_id}",
    )


def _as_converted(text: str) -> float | Decimal | OutsizeNumber:
    """A float, as converters make of it; exact where there is no such float."""
    number = float(text)
    return number if math.isfinite(number) else exact_number(text)
