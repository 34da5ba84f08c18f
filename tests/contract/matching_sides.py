"""The matcher on Postgres and its twin in memory, spoken to in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from correlation.closing import Closing
from correlation.event import EventName
from correlation.exact_reading import read_json
from correlation.reason import Reason
from correlation.rules import compile_rules
from pointsman.contract import Cardinality, Disposition, WaitKind
from pointsman.correlation.closing import Closing as TwinClosing
from pointsman.domain_event import DomainEvent, payload_json
from pointsman.testing.events import event_of
from pointsman.testing.matcher import MatcherTwin
from pointsman.testing.records import WaitTerms
from pointsman.testing.rules import rules_of
from routing.database import Database
from routing.matching import Matcher, Matching
from routing.sweep import Sweeper
from routing.waits import Waits
from tests.builders import a_key, a_wait, an_event, incoming
from tests.rows import execute, one_row

RULES: Final = {"INVOICE_PAID": ["invoice.id", "$.lines[*].id"], "*": "ticket"}
NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A wait, as a test asks for it."""

    wait_id: str
    key: object = "7"
    name: str = "INVOICE_PAID"
    tenant: str = "acme"
    workflow: str = "order"
    run: str | None = None
    exclusive: bool = False
    stream: bool = False
    lookback: timedelta = timedelta(0)
    expires_at: datetime | None = None

    @property
    def kind(self) -> WaitKind:
        return WaitKind.STREAM if self.stream else WaitKind.EVENT

    @property
    def cardinality(self) -> Cardinality:
        return Cardinality.EXCLUSIVE if self.exclusive else Cardinality.ALL


@dataclass(frozen=True, slots=True)
class Said:
    """What a workflow says of a wait."""

    wait_id: str
    disposition: Disposition
    event_id: str | None = None
    tenant: str = "acme"


class Side(Protocol):
    """What both do; events are named by their ids, ends are the audit's words."""

    async def publish(
        self,
        event_id: str,
        *,
        key: object = None,
        payload: Mapping[str, Any] = NOTHING,
        name: str = "INVOICE_PAID",
        tenant: str = "acme",
    ) -> tuple[str, str | None, bool]:
        """Outcome, reason, and whether it was a duplicate."""
        ...

    async def register(self, *waits: Asked) -> list[tuple[str, int, bool]]:
        """Of each wait its status, how many events its look-back took, whether it conflicts."""
        ...

    async def close(self, *said: Said) -> list[str]:
        """Of each wait its status."""
        ...

    async def sweep(self) -> None:
        """Close the waits whose time is over."""
        ...

    def handed(self, wait_id: str, tenant: str = "acme") -> list[str]:
        """Ids of the events that a wait was handed, in order, but for those withdrawn."""
        ...

    def end_of(self, event_id: str) -> tuple[str, str | None]:
        """Outcome and reason of an event as it stands."""
        ...

    def end_of_wait(self, wait_id: str) -> tuple[str, str | None, str | None]:
        """Status, disposition and reason of a wait."""
        ...

    def disposition(self, event_id: str, wait_id: str) -> str | None:
        """What became of an event that a wait was handed."""
        ...

    def age(self, event_id: str, by: timedelta) -> None:
        """Let an event have come that much earlier."""
        ...


class InMemory:
    def __init__(self) -> None:
        self.twin = MatcherTwin(rules_of(RULES))

    async def publish(
        self,
        event_id: str,
        *,
        key: object = None,
        payload: Mapping[str, Any] = NOTHING,
        name: str = "INVOICE_PAID",
        tenant: str = "acme",
    ) -> tuple[str, str | None, bool]:
        stated: Any = key
        event = DomainEvent(
            name=name, tenant=tenant, event_id=event_id, correlation_key=stated, payload=payload
        )
        done = self.twin.publish(event_of(event))
        if done.conflict:
            return "rejected", Reason.CONFLICTING_DUPLICATE.value, False
        return (*self.end_of(event_id, tenant), done.duplicate)

    async def register(self, *waits: Asked) -> list[tuple[str, int, bool]]:
        terms = [
            WaitTerms(
                tenant=wait.tenant,
                wait_id=wait.wait_id,
                event_name=wait.name,
                correlation_key=a_key(wait.key),
                workflow_id=wait.workflow,
                run_id=wait.run,
                kind=wait.kind,
                cardinality=wait.cardinality,
                lookback=wait.lookback,
                expires_at=wait.expires_at,
            )
            for wait in waits
        ]
        return [
            (each.state.status, each.matched_events, each.conflict)
            for each in self.twin.register(terms)
        ]

    async def close(self, *said: Said) -> list[str]:
        return self.twin.close(
            [
                TwinClosing(each.tenant, each.wait_id, each.disposition, each.event_id)
                for each in said
            ]
        )

    async def sweep(self) -> None:
        self.twin.expire_waits()

    def handed(self, wait_id: str, tenant: str = "acme") -> list[str]:
        deliveries = self.twin.deliveries_to(self.twin.waits[tenant, wait_id])
        return [each.event.event.event_id for each in deliveries if each.status != "withdrawn"]

    def end_of(self, event_id: str, tenant: str = "acme") -> tuple[str, str | None]:
        state = self.twin.events[tenant, event_id]
        return state.outcome.value, None if state.reason is None else state.reason.value

    def end_of_wait(self, wait_id: str) -> tuple[str, str | None, str | None]:
        state = self.twin.waits["acme", wait_id]
        return state.status, state.disposition, state.reason

    def disposition(self, event_id: str, wait_id: str) -> str | None:
        return self.twin.deliveries["acme", event_id, wait_id].disposition

    def age(self, event_id: str, by: timedelta) -> None:
        self.twin.events["acme", event_id].received_at -= by


class InPostgres:
    def __init__(self, database: Database, url: str) -> None:
        self._url = url
        self._rules = compile_rules(RULES)
        self._matcher = Matcher(database, Matching(owner="me", delivers=False))
        self._waits = Waits(database)
        self._sweeper = Sweeper(database, timedelta(days=7))

    async def publish(
        self,
        event_id: str,
        *,
        key: object = None,
        payload: Mapping[str, Any] = NOTHING,
        name: str = "INVOICE_PAID",
        tenant: str = "acme",
    ) -> tuple[str, str | None, bool]:
        # As its publisher writes it, so that both sides are given the same text.
        decoded = read_json(payload_json(payload))
        event = an_event(
            name=EventName(name), key=key, payload=decoded, tenant=tenant, event_id=event_id
        )
        [end] = (await self._matcher.record([incoming(event, rules=self._rules)])).events
        return end.outcome.value, None if end.reason is None else end.reason.value, end.duplicate

    async def register(self, *waits: Asked) -> list[tuple[str, int, bool]]:
        registered = await self._waits.register(
            [
                a_wait(
                    key=wait.key,
                    event_name=wait.name,
                    tenant=wait.tenant,
                    wait_id=wait.wait_id,
                    workflow_id=wait.workflow,
                    run_id=wait.run,
                    kind=wait.kind,
                    cardinality=wait.cardinality,
                    lookback=wait.lookback,
                    expires_at=wait.expires_at,
                )
                for wait in waits
            ]
        )
        return [(each.status, each.matched_events, each.conflict) for each in registered]

    async def close(self, *said: Said) -> list[str]:
        return await self._waits.close(
            [Closing(each.tenant, each.wait_id, each.disposition, each.event_id) for each in said]
        )

    async def sweep(self) -> None:
        await self._sweeper.expire_waits()

    def handed(self, wait_id: str, tenant: str = "acme") -> list[str]:
        [found] = one_row(
            self._url,
            "SELECT coalesce(array_agg(event_id ORDER BY position), '{}')"
            " FROM workflow_event_deliveries WHERE status <> 'withdrawn'"
            f" AND wait_id = '{wait_id}' AND tenant_id = '{tenant}'",
        )
        assert isinstance(found, list)
        return found

    def end_of(self, event_id: str) -> tuple[str, str | None]:
        outcome, reason = one_row(
            self._url,
            f"SELECT outcome, reason FROM workflow_runtime_events WHERE event_id = '{event_id}'",
        )
        return str(outcome), _word(reason)

    def end_of_wait(self, wait_id: str) -> tuple[str, str | None, str | None]:
        status, disposition, reason = one_row(
            self._url,
            "SELECT status, disposition, reason FROM workflow_run_waits"
            f" WHERE wait_id = '{wait_id}'",
        )
        return str(status), _word(disposition), _word(reason)

    def disposition(self, event_id: str, wait_id: str) -> str | None:
        [found] = one_row(
            self._url,
            "SELECT disposition FROM workflow_event_deliveries"
            f" WHERE event_id = '{event_id}' AND wait_id = '{wait_id}'",
        )
        return _word(found)

    def age(self, event_id: str, by: timedelta) -> None:
        seconds = by.total_seconds()
        execute(
            self._url,
            f"UPDATE workflow_runtime_events SET received_at = received_at - interval '{seconds} s'"
            f" WHERE event_id = '{event_id}'",
        )


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def _word(column: object) -> str | None:
    return None if column is None else str(column)
