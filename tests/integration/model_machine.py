"""The database and the plain model of a random history, and what must hold after every step."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from routing.database import DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.faults import DatabaseUnavailable
from routing.incoming import Delivery, IncomingEvent
from routing.matching import Matcher, Matching
from routing.sweep import Sweeper
from routing.waits import Wait, Waits
from tests.integration.faulty_database import Fault, FaultyDatabase
from tests.model import Model

LEASE: Final = timedelta(hours=1)
EMPTY: Final = (
    "TRUNCATE workflow_runtime_events, workflow_run_waits, workflow_event_deliveries,"
    " workflow_rejected_entries"
)

Answer = TypeVar("Answer")
Pair = tuple[str, str, str]
"""tenant, event id, wait id"""


Method = TypeVar("Method", bound=Callable[..., None])


@dataclass(frozen=True)
class Step:
    """What may be done next: which method, with what drawn, and whether it can be done now."""

    name: str
    drawn: Mapping[str, st.SearchStrategy[Any]]
    when: Callable[[Any], object]

    def __repr__(self) -> str:
        return self.name


def step(
    *,
    weight: int = 1,
    when: Callable[[Any], object] = lambda _: True,
    **drawn: st.SearchStrategy[Any],
) -> Callable[[Method], Method]:
    """A method is a step of the history, chosen so often among the others.

    Hypothesis' own rules all weigh the same, and it leaves some of them out of each history: few
    of those then get as far as an event that a run has accepted.
    """

    def marked(method: Method) -> Method:
        method.weighed = [Step(method.__name__, drawn, when)] * weight  # type: ignore[attr-defined]
        return method

    return marked


class BesideTheModel(RuleBasedStateMachine):
    """A database and what the model says of it; the rules are `model_steps`' business."""

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
        self.owner = "process-0"
        self.zombies: dict[Pair, tuple[str, Delivery]] = {}
        """Still in the hands of processes that were given up, by the name of each."""
        self.sweeper = Sweeper(self.database, timedelta(days=7), batch=2)

    @rule(data=st.data())
    def do(self, data: st.DataObject) -> None:
        """One step, of those that can be done now."""
        possible = [each for each in self.steps() if each.when(self)]
        chosen = data.draw(st.sampled_from(possible), label="step")
        terms = {
            name: data if name == "data" else data.draw(strategy, label=name)
            for name, strategy in chosen.drawn.items()
        }
        getattr(self, chosen.name)(**terms)

    @classmethod
    def steps(cls) -> Sequence[Step]:
        """All steps, each as often as it weighs."""
        methods = [getattr(cls, name) for name in dir(cls)]
        return [each for method in methods for each in getattr(method, "weighed", ())]

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

    @property
    def store(self) -> DeliveryStore:
        """The deliveries, as the living process sees them."""
        return DeliveryStore(self.database, self.owner, LEASE)

    def matcher(self, *, delivers: bool = True) -> Matcher:
        return Matcher(self.database, Matching(owner=self.owner, delivers=delivers, lease=LEASE))

    def begin_anew(self) -> None:
        """What was in memory is gone; its leases end, and another process takes over."""
        self.zombies |= {pair: (self.owner, each) for pair, each in self.leased.items()}
        self.leased.clear()
        self.owner = f"process-{next(self.numbers)}"
        self.reader.execute(
            "UPDATE workflow_event_deliveries SET due_at = now() WHERE status = 'pending'"
        )

    def send(self, deliveries: Sequence[Delivery]) -> None:
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

    def lease_owners(self) -> dict[Pair, str | None]:
        rows = self.reader.execute(
            "SELECT tenant_id, event_id, wait_id, lease_owner FROM workflow_event_deliveries"
        ).fetchall()
        return {(row[0], row[1], row[2]): row[3] for row in rows}

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

    def disposition(self, pair: Pair) -> str | None:
        tenant, event_id, wait_id = pair
        return self.models[tenant].deliveries[event_id, wait_id].disposition

    def heard_of(self, disposition: str) -> list[tuple[str, str]]:
        """The waits (tenant, wait id) of which a workflow has said this of an event."""
        return sorted(
            {
                (tenant, wait_id)
                for tenant, model in self.models.items()
                for (_, wait_id), each in model.deliveries.items()
                if each.disposition == disposition
            }
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

    @invariant()
    def nothing_in_hand_has_overtaken_what_is_elsewhere(self) -> None:
        row = self.reader.execute(
            "SELECT count(*) FROM workflow_event_deliveries AS mine"
            " JOIN workflow_event_deliveries AS earlier USING (tenant_id, workflow_id)"
            " WHERE mine.status = 'pending' AND mine.lease_owner = %(me)s"
            " AND earlier.status = 'pending' AND earlier.lease_owner IS DISTINCT FROM %(me)s"
            " AND earlier.position < mine.position",
            {"me": self.owner},
        ).fetchone()
        assert row == (0,)

    def teardown(self) -> None:
        """After a restart all that is pending is claimed, and nothing is left behind."""
        try:
            self.begin_anew()
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
