"""The steps of a random history, each done to a real database and to the plain model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from correlation.closing import Closing
from correlation.reason import Reason
from correlation.rules import compile_rules
from pointsman.contract import Cardinality, Disposition, WaitKind
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.waits import Wait
from tests.builders import a_wait, an_event, incoming
from tests.integration.faulty_database import Fault
from tests.integration.model_machine import LEASE, BesideTheModel, Pair, step
from tests.model import ModelWait

LOOKBACK: Final = timedelta(hours=1)
RULES: Final = compile_rules({"*": ["first", "second"]})


@dataclass(frozen=True, slots=True)
class WaitTerms:
    """What is drawn of a wait."""

    key: str
    exclusive: bool
    stream: bool
    lookback: bool
    workflow: str
    run: str | None

    def wait(self, tenant: str, wait_id: str) -> Wait:
        """As it is registered."""
        return a_wait(
            tenant=tenant,
            wait_id=wait_id,
            key=self.key,
            workflow_id=self.workflow,
            run_id=self.run,
            cardinality=Cardinality.EXCLUSIVE if self.exclusive else Cardinality.ALL,
            kind=WaitKind.STREAM if self.stream else WaitKind.EVENT,
            lookback=LOOKBACK if self.lookback else timedelta(0),
        )

    def model(self, wait_id: str) -> ModelWait:
        """As the model knows it."""
        return ModelWait(
            wait_id, self.key, self.exclusive, self.stream, self.lookback, self.workflow, self.run
        )


tenants = st.sampled_from(["acme", "acme", "acme", "globex"])
keys = st.sampled_from(["one", "one", "two"])
runs = st.sampled_from([None, "first-run", "second-run"])
faults = st.sampled_from([Fault.NONE, Fault.NONE, Fault.KILLED, Fault.UNANSWERED])
moments = st.integers(0, 1)
key_lists: Final = st.sampled_from(
    [("one",), ("one",), ("two",), ("one", "two"), ("two", "one"), ()]
)
wait_terms = st.builds(
    WaitTerms,
    keys,
    exclusive=st.booleans(),
    stream=st.booleans(),
    lookback=st.booleans(),
    workflow=st.sampled_from(["order", "ticket"]),
    run=runs,
)


class Histories(BesideTheModel):
    """Every rule does one step to the database, at the worst moment, and to the model."""

    @initialize(
        waits=st.lists(wait_terms, min_size=1, max_size=3),
        batch=st.lists(key_lists, min_size=1, max_size=2),
        said=st.sampled_from([Disposition.ACCEPTED, Disposition.ACCEPTED, None]),
    )
    def begin(
        self, waits: list[WaitTerms], batch: list[tuple[str, ...]], said: Disposition | None
    ) -> None:
        """Left to chance, few histories would have a match early enough to do much with it."""
        self.take_on("acme", waits, Fault.NONE)
        self.bring("acme", batch, delivers=True, fault=Fault.NONE)
        if said is not None and self.speakable():
            self.say(self.speakable()[0], said, Fault.NONE)

    @step(
        weight=3,
        tenant=tenants,
        batch=st.lists(key_lists, min_size=1, max_size=3),
        delivers=st.booleans(),
        fault=faults,
    )
    def publish(
        self, tenant: str, batch: list[tuple[str, ...]], delivers: bool, fault: Fault
    ) -> None:
        self.bring(tenant, batch, delivers=delivers, fault=fault)

    def bring(
        self, tenant: str, batch: list[tuple[str, ...]], *, delivers: bool, fault: Fault
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
        recorded = self.insist(lambda: self.matcher(delivers=delivers).record(events), fault)
        self.send(recorded.deliveries)

    @step(when=lambda self: self.published, data=st.data(), fault=faults)
    def publish_again(self, data: st.DataObject, fault: Fault) -> None:
        event = self.published[data.draw(st.sampled_from(sorted(self.published)))]

        recorded = self.insist(lambda: self.matcher().record([event, event]), fault)

        assert recorded.deliveries == []
        assert all(each.duplicate for each in recorded.events)

    @step(when=lambda self: self.published, data=st.data(), fault=faults)
    def publish_other_content_under_the_same_id(self, data: st.DataObject, fault: Fault) -> None:
        tenant, event_id = data.draw(st.sampled_from(sorted(self.published)))
        other = an_event(tenant=tenant, event_id=event_id, payload={"first": "other"})
        conflicting = incoming(other, rules=RULES)

        recorded = self.insist(lambda: self.matcher().record([conflicting]), fault)

        assert [each.reason for each in recorded.events] == [Reason.CONFLICTING_DUPLICATE]
        self.conflicts += 1

    @step(
        weight=2, tenant=tenants, batch=st.lists(wait_terms, min_size=1, max_size=3), fault=faults
    )
    def register(self, tenant: str, batch: list[WaitTerms], fault: Fault) -> None:
        self.take_on(tenant, batch, fault)

    @step(
        weight=3,
        when=lambda self: self.registered,
        data=st.data(),
        exclusive=st.booleans(),
        run=runs,
        fault=faults,
    )
    def wait_anew(
        self, data: st.DataObject, exclusive: bool, run: str | None, fault: Fault
    ) -> None:
        """As a workflow does in a loop: the same key, and a look-back over what it has had."""
        earlier_ones = self.heard_of("accepted") or sorted(self.registered)
        tenant, wait_id = data.draw(st.sampled_from(earlier_ones))
        earlier = self.models[tenant].waits[wait_id]
        terms = WaitTerms(
            earlier.key,
            exclusive=exclusive,
            stream=False,
            lookback=True,
            workflow=earlier.workflow,
            run=run,
        )

        self.take_on(tenant, [terms], fault)

    def take_on(self, tenant: str, batch: list[WaitTerms], fault: Fault) -> None:
        waits, expected = [], []
        for terms in batch:
            wait_id = f"wait-{next(self.numbers):04}"
            waits.append(terms.wait(tenant, wait_id))
            expected.append(terms.model(wait_id))
            self.registered[tenant, wait_id] = waits[-1]

        self.insist(lambda: self.waits.register(waits), fault)

        self.models[tenant].register(expected)

    @step(when=lambda self: self.registered, data=st.data(), fault=faults)
    def register_again(self, data: st.DataObject, fault: Fault) -> None:
        tenant, wait_id = data.draw(st.sampled_from(sorted(self.registered)))

        [answer] = self.insist(
            lambda: self.waits.register([self.registered[tenant, wait_id]]), fault
        )

        assert not answer.conflict
        assert answer.status == ("waiting" if self.models[tenant].waits[wait_id].open else "closed")

    @step(weight=2, count=st.integers(1, 5), fault=faults)
    def claim_and_send(self, count: int, fault: Fault) -> None:
        self.send(self.insist(lambda: self.store.claim(count), fault))

    @step(weight=2, when=lambda self: self.leased, data=st.data(), fault=faults)
    def settle(self, data: st.DataObject, fault: Fault) -> None:
        pairs = data.draw(st.lists(st.sampled_from(sorted(self.leased)), min_size=1, unique=True))
        settlements = [Settlement(self.leased[pair], DeliveryStatus.DELIVERED) for pair in pairs]

        self.insist(lambda: self.store.settle(settlements), fault)

        for tenant, event_id, wait_id in pairs:
            del self.leased[tenant, event_id, wait_id]
            self.models[tenant].delivered(event_id, wait_id)

    @step(when=lambda self: self.leased, data=st.data(), run_is_gone=st.booleans())
    def refuse(self, data: st.DataObject, run_is_gone: bool) -> None:
        tenant, event_id, wait_id = pair = data.draw(st.sampled_from(sorted(self.leased)))
        reason = Reason.RUN_CLOSED if run_is_gone else Reason.PAYLOAD_TOO_LARGE
        settlement = Settlement(self.leased.pop(pair), DeliveryStatus.DEAD, reason, "refused")
        self.arrived.discard(pair)
        self.tell_what_was_in_hand()

        self.run(self.store.settle([settlement]))

        self.models[tenant].refused(event_id, wait_id, run_is_gone=run_is_gone)

    @step()
    def restart_the_dispatcher(self) -> None:
        self.begin_anew()

    @step(when=lambda self: self.zombies, data=st.data())
    def refuse_to_a_zombie(self, data: st.DataObject) -> None:
        """What a paused process has to say counts while nobody has taken over from it."""
        tenant, event_id, wait_id = pair = data.draw(st.sampled_from(sorted(self.zombies)))
        owner, delivery = self.zombies.pop(pair)
        settlement = Settlement(delivery, DeliveryStatus.DEAD, Reason.PAYLOAD_TOO_LARGE, "refused")
        in_its_hands = self.lease_owners().get(pair) == owner

        self.run(DeliveryStore(self.database, owner, LEASE).settle([settlement]))

        if in_its_hands:
            self.arrived.discard(pair)
            self.models[tenant].refused(event_id, wait_id, run_is_gone=False)

    @step(
        weight=4,
        when=lambda self: self.speakable(),
        data=st.data(),
        disposition=st.sampled_from(
            [Disposition.ACCEPTED, Disposition.ACCEPTED, Disposition.FILTERED, Disposition.LATE]
        ),
        fault=faults,
    )
    def speak_of_an_event(
        self, data: st.DataObject, disposition: Disposition, fault: Fault
    ) -> None:
        unspoken = [pair for pair in self.speakable() if self.disposition(pair) is None]
        again = data.draw(st.integers(0, 3)) == 0
        pairs = self.speakable() if again or not unspoken else unspoken
        self.say(data.draw(st.sampled_from(pairs)), disposition, fault)

    def say(self, pair: Pair, disposition: Disposition, fault: Fault) -> None:
        tenant, event_id, wait_id = pair
        wait = self.registered[tenant, wait_id]
        closing = Closing(wait.tenant, wait.wait_id, disposition, event_id)

        self.insist(lambda: self.waits.close([closing]), fault)

        self.models[tenant].say(event_id, wait_id, disposition.value)

    @step(
        when=lambda self: self.registered,
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

    @step(when=lambda self: self.registered, data=st.data())
    def let_a_wait_run_out(self, data: st.DataObject) -> None:
        tenant, wait_id = data.draw(st.sampled_from(sorted(self.registered)))
        self.reader.execute(
            "UPDATE workflow_run_waits SET expires_at = now()"
            " WHERE (tenant_id, wait_id) = (%s, %s)",
            (tenant, wait_id),
        )
        self.models[tenant].waits[wait_id].expired = True

    @step(fault=faults, transactions_before=moments)
    def sweep(self, fault: Fault, transactions_before: int) -> None:
        self.tell_what_was_in_hand()

        self.insist(self.sweeper.expire_waits, fault, transactions_before)

        for model in self.models.values():
            over = [wait for wait in model.waits.values() if wait.open and wait.expired]
            model.close(over, None, Reason.WAIT_EXPIRED.value)

    @step(when=lambda self: self.published, data=st.data())
    def let_an_events_buffer_time_end(self, data: st.DataObject) -> None:
        tenant, event_id = data.draw(st.sampled_from(sorted(self.published)))
        self.reader.execute(
            "UPDATE workflow_runtime_events SET available_until = now()"
            " WHERE (tenant_id, event_id) = (%s, %s)",
            (tenant, event_id),
        )
        self.models[tenant].events[event_id].available = False
