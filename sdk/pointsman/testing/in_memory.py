"""Pointsman in memory: what a test publishes to, and waits in."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pointsman.contract import TASK_QUEUE, Cardinality, WaitKind
from pointsman.domain_event import DomainEvent
from pointsman.keys import Key, key_text
from pointsman.testing.events import RecordedEvent, event_of
from pointsman.testing.explaining import all_in_words
from pointsman.testing.handles import Published, Wait
from pointsman.testing.matcher import BUFFER_TTL, MatcherTwin
from pointsman.testing.records import WaitState, WaitTerms
from pointsman.testing.rules import RulesSource, rules_of
from pointsman.wait_request import CardinalityName

if TYPE_CHECKING:
    from temporalio.client import Client

    from pointsman.testing.serving import ServedPointsman


class InvalidWait(ValueError):
    """A wait that the service refuses (error type `InvalidWait`); the message says why."""


class WaitConflict(ValueError):
    """Another wait is registered under this id (error type `WaitConflict`)."""


class InMemoryPointsman:
    """Events and waits of any tenants, matched as the service matches them; nothing is stored.

    Time is the machine's, moved on by `advance`. Not played: triggers, and what the service
    refuses for its form alone (entries over the limit, schemas).
    """

    def __init__(
        self,
        rules: RulesSource = None,
        *,
        buffer_ttl: timedelta = BUFFER_TTL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Under these rules. Raises RulesError."""
        self._ahead = timedelta(0)
        self.served = False
        """Whether a Temporal server has the signals; a wait made by hand has them at once."""
        self.twin = MatcherTwin(
            rules_of(rules), now=lambda: now() + self._ahead, buffer_ttl=buffer_ttl
        )
        self._numbers = itertools.count(1)

    def advance(self, duration: timedelta) -> None:
        """Let time pass: waits expire, and events grow too old for look-backs."""
        self._ahead += duration
        self.twin.expire_waits()
        self.deliver()

    def publish(self, event: DomainEvent | RecordedEvent) -> Published:
        """Publish an event. Raises PublishError, as the publisher does."""
        stated = event_of(event) if isinstance(event, DomainEvent) else event.event
        publication = self.twin.publish(stated)
        self.deliver()
        return Published(self.twin, publication)

    def wait_for(
        self,
        name: str,
        *,
        key: Key,
        tenant: str,
        workflow_id: str | None = None,
        run_id: str | None = None,
        lookback: timedelta = timedelta(0),
        cardinality: CardinalityName = "all",
        stream: bool = False,
        expires_in: timedelta | None = None,
        wait_id: str | None = None,
    ) -> Wait:
        """Register a wait by hand, as a workflow would.

        Raises InvalidWait (an unusable key) and WaitConflict (a `wait_id` used before).
        """
        number = next(self._numbers)
        terms = WaitTerms(
            tenant=tenant,
            wait_id=wait_id or f"wait-{number}",
            event_name=name,
            correlation_key=canonical(key),
            workflow_id=workflow_id or f"workflow-{number}",
            run_id=run_id,
            kind=WaitKind.STREAM if stream else WaitKind.EVENT,
            cardinality=Cardinality(cardinality),
            lookback=lookback,
            expires_at=None if expires_in is None else self.twin.now() + expires_in,
        )
        [registration] = self.twin.register([terms])
        if registration.conflict:
            raise WaitConflict(f"wait_id {terms.wait_id!r} is registered with other content")
        self.deliver()
        return self._in_hand(registration.state)

    def find_wait(self, name: str, *, key: Key, tenant: str) -> Wait | None:
        """The oldest open wait of this name and key."""
        wanted = (tenant, name, canonical(key))
        for state in self.twin.waits.values():
            terms = state.terms
            if state.open and (terms.tenant, terms.event_name, terms.correlation_key) == wanted:
                return self._in_hand(state)
        return None

    def serving(
        self, client: Client, *, task_queue: str = TASK_QUEUE
    ) -> AbstractAsyncContextManager[ServedPointsman]:
        """Serve the workflows of a Temporal server: a block in which they can wait.

        For it a worker answers the two activities on `task_queue`, and what is published to the
        block's value is signalled. Needs the extra `temporal`.
        """
        from pointsman.testing.serving import serving  # only those who have Temporal need it

        return serving(self, client, task_queue)

    def explain(self) -> str:
        """Every event and every open wait in words: whom each woke or missed, and why."""
        return all_in_words(self.twin)

    def deliver(self) -> None:
        """Count what is pending as signalled, where no Temporal server is there to signal."""
        for delivery in () if self.served else self.twin.pending():
            self.twin.delivered(delivery)

    def _in_hand(self, state: WaitState) -> Wait:
        return Wait(self.twin, state, self.deliver)


def canonical(key: object) -> str:
    """A wait's key as it is matched. Raises InvalidWait."""
    try:
        return key_text(key)
    except ValueError as error:
        raise InvalidWait(str(error)) from None
