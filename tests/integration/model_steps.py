"""The steps of a random history, each done to a real database and to the plain model."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from correlation.reason import Reason
from correlation.rules import compile_rules
from pointsman.contract import Cardinality, Disposition, WaitKind
from routing.database import DatabaseLimits, open_database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.faults import DatabaseUnavailable
from routing.incoming import Delivery, IncomingEvent
from routing.matching import Matcher, Matching
from routing.sweep import Sweeper
from routing.waits import Closing, Wait, Waits
from tests.builders import a_wait, an_event, incoming
from tests.integration.faulty_database import Fault, FaultyDatabase
from tests.model import Model, ModelWait

LOOKBACK: Final = timedelta(hours=1)
LEASE: Final = timedelta(hours=1)
RULES: Final = compile_rules({"*": ["first", "second"]})
EMPTY: Final = (
    "TRUNCATE workflow_runtime_events, workflow_run_waits, workflow_event_deliveries,"
    " workflow_rejected_entries"
)

tenants = st.sampled_from(["acme", "acme", "acme", "globex"])
keys = st.sampled_from(["one", "one", "two"])
faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.KILLED, Fault.UNANSWERED])
moments = st.integers(0, 1)
key_lists = st.lists(keys, max_size=2, unique=True).map(tuple)
# key, exclusive, stream, look-back, workflow
wait_terms = st.tuples(
    keys, st.booleans(), st.booleans(), st.booleans(), st.sampled_from(["order", "ticket"])
)

Answer = TypeVar("Answer")
Pair = tuple[str, str, str]
"""tenant, event id, wait id"""


class Histories(RuleBasedStateMachine):
    """Every rule does one step to the database, at the worst moment, and to the model."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.models = {"acme": Model(), "globex": Model()}
        self.published: dict[tuple[str, str], IncomingEvent] = {}
        self.registered: dict[tuple[str, str], Wait] = {}
        self.conflicts = 0
        self.leased: dict[Pair, Delivery] = {}
        """In this dispatcher's hands: sent, but not written back."""
        self.arrived: set[Pair] = set()
        self.reader = psycopg.connect(self.url, autocommit=True)
        self.reader.execute(EMPTY.encode())
        self.loop = asyncio.Runner()
        self.opened = open_database(self.url, DatabaseLimits(connections=2))
        self.database = FaultyDatabase(self.run(self.opened.__aenter__()))
        self.waits = Waits(self.database)
        self.store = DeliveryStore(self.database, "me", LEASE)
        self.sweeper = Sweeper(self.database, timedelta(days=7), batch=2)

    def run(self, awaitable: Awaitable[Answer]) -> Answer:
        async def wait() -> Answer:
            return await awaitable

        return self.loop.run(wait())

    def insist(
        self, act: Callable[[], Awaitable[Answer]], fault: Fault, transactions_before: int = 0
    ) -> Answer:
        """Do it with a fault on the way, and again if it failed, as every caller of ours does."""
        self.database.break_once(fault, transactions_before)
        try:
            return self.run(act())
        except DatabaseUnavailable:
            return self.run(act())
        finally:
            self.database.break_once(Fault.NONE)

    @rule(
        tenant=tenants,
        batch=st.lists(key_lists, min_size=1, max_size=3),
        delivers=st.booleans(),
        fault=faults,
    )
    def publish(
        self, tenant: str, batch: list[tuple[str, ...]], delivers: bool, fault: Fault
    ) -> None:
        events = []
        for found in batch:
            event_id = f"event-{next(self.numbers)}"
            payload = dict(zip(("first", "second"), found, strict=False))
            event = incoming(
                an_event(tenant=tenant, event_id=event_id, payload=payload), rules=RULES
            )
            events.append(event)
            self.published[tenant, event_id] = event
            self.models[tenant].publish(event_id, found)
        matcher = Matcher(self.database, Matching(owner="me", delivers=delivers, lease=LEASE))
        recorded = self.insist(lambda: matcher.record(events), fault)
        self.send(recorded.deliveries)

    @precondition(lambda self: self.published)
    @rule(data=st.data(), fault=faults)
    def publish_again(self, data: st.DataObject, fault: Fault) -> None:
        event = self.published[data.draw(st.sampled_from(sorted(self.published)))]
        matcher = Matcher(self.database, Matching(owner="me", lease=LEASE))

        recorded = self.insist(lambda: matcher.record([event, event]), fault)

        assert recorded.deliveries == []
        assert all(each.duplicate for each in recorded.events)

    @precondition(lambda self: self.published)
    @rule(data=st.data(), fault=faults)
    def publish_other_content_under_the_same_id(self, data: st.DataObject, fault: Fault) -> None:
        tenant, event_id = data.draw(st.sampled_from(sorted(self.published)))
        other = an_event(tenant=tenant, event_id=event_id, payload={"first": "other"})
        conflicting = incoming(other, rules=RULES)
        matcher = Matcher(self.database, Matching(owner="me", lease=LEASE))

        recorded = self.insist(lambda: matcher.record([conflicting]), fault)

        assert [each.reason for each in recorded.events] == [Reason.CONFLICTING_DUPLICATE]
        self.conflicts += 1

    @rule(tenant=tenants, batch=st.lists(wait_terms, min_size=1, max_size=3), fault=faults)
    def register(
        self, tenant: str, batch: list[tuple[str, bool, bool, bool, str]], fault: Fault
    ) -> None:
        waits, expected = [], []
        for key, exclusive, stream, lookback, workflow in batch:
            wait_id = f"wait-{next(self.numbers):04}"
            wait = a_wait(
                tenant=tenant,
                wait_id=wait_id,
                key=key,
                workflow_id=workflow,
                cardinality=Cardinality.EXCLUSIVE if exclusive else Cardinality.ALL,
                kind=WaitKind.STREAM if stream else WaitKind.EVENT,
                lookback=LOOKBACK if lookback else timedelta(0),
            )
            waits.append(wait)
            self.registered[tenant, wait_id] = wait
            expected.append(ModelWait(wait_id, key, exclusive, stream, lookback, workflow))

        self.insist(lambda: self.waits.register(waits), fault)

        self.models[tenant].register(expected)

    @precondition(lambda self: self.registered)
    @rule(data=st.data(), fault=faults)
    def register_again(self, data: st.DataObject, fault: Fault) -> None:
        tenant, wait_id = data.draw(st.sampled_from(sorted(self.registered)))

        [answer] = self.insist(
            lambda: self.waits.register([self.registered[tenant, wait_id]]), fault
        )

        assert not answer.conflict
        assert answer.status == ("waiting" if self.models[tenant].waits[wait_id].open else "closed")

    @rule(count=st.integers(1, 5), fault=faults)
    def claim_and_send(self, count: int, fault: Fault) -> None:
        self.send(self.insist(lambda: self.store.claim(count), fault))

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), fault=faults)
    def settle(self, data: st.DataObject, fault: Fault) -> None:
        pairs = data.draw(st.lists(st.sampled_from(sorted(self.leased)), min_size=1, unique=True))
        settlements = [Settlement(self.leased[pair], DeliveryStatus.DELIVERED) for pair in pairs]

        self.insist(lambda: self.store.settle(settlements), fault)

        for tenant, event_id, wait_id in pairs:
            del self.leased[tenant, event_id, wait_id]
            self.models[tenant].delivered(event_id, wait_id)

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), run_is_gone=st.booleans())
    def refuse(self, data: st.DataObject, run_is_gone: bool) -> None:
        tenant, event_id, wait_id = pair = data.draw(st.sampled_from(sorted(self.leased)))
        reason = Reason.RUN_CLOSED if run_is_gone else Reason.PAYLOAD_TOO_LARGE
        settlement = Settlement(self.leased.pop(pair), DeliveryStatus.DEAD, reason, "refused")
        self.arrived.discard(pair)
        self.tell_what_was_in_hand()

        self.run(self.store.settle([settlement]))

        self.models[tenant].refused(event_id, wait_id, run_is_gone=run_is_gone)

    @rule()
    def restart_the_dispatcher(self) -> None:
        """What was in memory is gone; its leases end."""
        self.leased.clear()
        self.reader.execute(
            "UPDATE workflow_event_deliveries SET due_at = now() WHERE status = 'pending'"
        )

    @precondition(lambda self: self.speakable())
    @rule(
        data=st.data(),
        disposition=st.sampled_from(
            [Disposition.ACCEPTED, Disposition.ACCEPTED, Disposition.FILTERED, Disposition.LATE]
        ),
        fault=faults,
    )
    def speak_of_an_event(
        self, data: st.DataObject, disposition: Disposition, fault: Fault
    ) -> None:
        tenant, event_id, wait_id = data.draw(st.sampled_from(self.speakable()))
        wait = self.registered[tenant, wait_id]
        closing = Closing(wait.tenant, wait.wait_id, disposition, event_id)

        self.insist(lambda: self.waits.close([closing]), fault)

        self.models[tenant].say(event_id, wait_id, disposition.value)

    @precondition(lambda self: self.registered)
    @rule(
        data=st.data(),
        disposition=st.sampled_from([Disposition.TIMED_OUT, Disposition.CANCELLED]),
        fault=faults,
    )
    def close(self, data: st.DataObject, disposition: Disposition, fault: Fault) -> None:
        tenant, wait_id = data.draw(st.sampled_from(sorted(self.registered)))
        wait = self.registered[tenant, wait_id]

        closing = Closing(wait.tenant, wait.wait_id, disposition)
        [status] = self.insist(lambda: self.waits.close([closing]), fault)

        assert status == "closed"
        model = self.models[tenant]
        model.close([model.waits[wait_id]], disposition.value)

    @precondition(lambda self: self.registered)
    @rule(data=st.data())
    def let_a_wait_run_out(self, data: st.DataObject) -> None:
        tenant, wait_id = data.draw(st.sampled_from(sorted(self.registered)))
        self.reader.execute(
            "UPDATE workflow_run_waits SET expires_at = now()"
            " WHERE (tenant_id, wait_id) = (%s, %s)",
            (tenant, wait_id),
        )
        self.models[tenant].waits[wait_id].expired = True

    @rule(fault=faults, transactions_before=moments)
    def sweep(self, fault: Fault, transactions_before: int) -> None:
        self.tell_what_was_in_hand()

        self.insist(self.sweeper.expire_waits, fault, transactions_before)

        for model in self.models.values():
            over = [wait for wait in model.waits.values() if wait.open and wait.expired]
            model.close(over, None, Reason.WAIT_EXPIRED.value)

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def let_an_events_buffer_time_end(self, data: st.DataObject) -> None:
        tenant, event_id = data.draw(st.sampled_from(sorted(self.published)))
        self.reader.execute(
            "UPDATE workflow_runtime_events SET available_until = now()"
            " WHERE (tenant_id, event_id) = (%s, %s)",
            (tenant, event_id),
        )
        self.models[tenant].events[event_id].available = False

    def send(self, deliveries: Any) -> None:
        """What is leased is sent; a repetition is dropped by its request id."""
        order = self.positions()
        for delivery in deliveries:
            pair = (delivery.tenant, delivery.event_id, delivery.wait_id)
            assert pair not in self.leased, "leased twice"
            self.leased[pair] = delivery
            self.arrived.add(pair)
        for target in {(each.tenant, each.workflow_id) for each in deliveries}:
            sent = [
                order[each.tenant, each.event_id, each.wait_id]
                for each in deliveries
                if (each.tenant, each.workflow_id) == target
            ]
            assert sent == sorted(sent), "one workflow's deliveries are out of order"

    def tell_what_was_in_hand(self) -> None:
        """Whose turn it was to send, and when, the model does not say."""
        rows = self.reader.execute(
            "SELECT tenant_id, event_id, wait_id FROM workflow_event_deliveries"
            " WHERE lease_owner IS NOT NULL OR attempts > 0"
        ).fetchall()
        for tenant, event_id, wait_id in rows:
            self.models[tenant].deliveries[event_id, wait_id].may_have_arrived = True

    def speakable(self) -> list[Pair]:
        """What a workflow may speak of: it has come, and the wait is open."""
        return sorted(
            (tenant, event_id, wait_id)
            for tenant, event_id, wait_id in self.arrived
            if self.models[tenant].waits[wait_id].open
        )

    def positions(self) -> dict[Pair, int]:
        rows = self.reader.execute(
            "SELECT tenant_id, event_id, wait_id, position FROM workflow_event_deliveries"
        ).fetchall()
        return {(row[0], row[1], row[2]): row[3] for row in rows}

    @invariant()
    def the_deliveries_are_the_models(self) -> None:
        rows = self.reader.execute(
            "SELECT tenant_id, event_id, wait_id, status, disposition"
            " FROM workflow_event_deliveries"
        ).fetchall()
        assert set(rows) == {
            (tenant, *pair, each.status, each.disposition)
            for tenant, model in self.models.items()
            for pair, each in model.deliveries.items()
        }

    @invariant()
    def the_waits_are_the_models(self) -> None:
        rows = self.reader.execute(
            "SELECT tenant_id, wait_id, status = 'waiting', disposition, reason"
            " FROM workflow_run_waits"
        ).fetchall()
        assert set(rows) == {
            (tenant, wait.wait_id, wait.open, wait.disposition, wait.reason)
            for tenant, model in self.models.items()
            for wait in model.waits.values()
        }

    @invariant()
    def every_event_has_its_one_outcome(self) -> None:
        rows = self.reader.execute(
            "SELECT tenant_id, event_id, outcome FROM workflow_runtime_events"
        ).fetchall()
        assert set(rows) == {
            (tenant, event.event_id, event.outcome)
            for tenant, model in self.models.items()
            for event in model.events.values()
        }
        rejected = self.reader.execute("SELECT count(*) FROM workflow_rejected_entries").fetchone()
        assert rejected == (self.conflicts,)

    @invariant()
    def no_open_wait_rests_beside_an_event_that_nobody_took(self) -> None:
        """Said of the rows alone, whatever the model thinks."""
        row = self.reader.execute(
            "SELECT count(*) FROM workflow_runtime_events AS e"
            " JOIN workflow_run_waits AS w USING (tenant_id, event_name)"
            " WHERE e.outcome = 'no_wait' AND e.available_until > now() AND w.status = 'waiting'"
            " AND (w.expires_at IS NULL OR w.expires_at > now())"
            " AND w.correlation_key = ANY"
            " (coalesce(e.correlation_keys, ARRAY[e.correlation_key]))"
            " AND (w.lookback > interval '0' OR w.registered_at < e.received_at)"
        ).fetchone()
        assert row == (0,)

    @invariant()
    def an_event_is_in_one_exclusive_hand_at_most(self) -> None:
        rows = self.reader.execute(
            "SELECT event_id FROM workflow_event_deliveries WHERE cardinality = 'exclusive'"
            " AND status IN ('pending', 'delivered')"
            " AND (disposition IS NULL OR disposition = 'accepted')"
            " GROUP BY tenant_id, event_id HAVING count(*) > 1"
        ).fetchall()
        assert rows == []

    def teardown(self) -> None:
        """After a restart all that is pending is claimed, and nothing is left behind."""
        try:
            self.restart_the_dispatcher()
            while claimed := self.run(self.store.claim(100)):
                self.send(claimed)
            expected = {
                (tenant, *pair) for tenant, model in self.models.items() for pair in model.pending()
            }
            assert set(self.leased) == expected
        finally:
            self.reader.close()
            self.run(self.opened.__aexit__(None, None, None))
            self.loop.close()
