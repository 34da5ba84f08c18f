"""A process that is paused until another has taken over from it, on a real Postgres."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest

from correlation.reason import Reason
from routing.database import Database
from routing.delivery_store import DeliveryStatus, DeliveryStore, Settlement
from routing.incoming import Delivery
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_wait, incoming
from tests.rows import execute, one_row

LEASE: Final = timedelta(seconds=60)
STANDING: Final = "SELECT status, lease_owner, attempts FROM workflow_event_deliveries"


@pytest.fixture
def paused(database: Database) -> DeliveryStore:
    return DeliveryStore(database, "paused", LEASE)


@pytest.fixture
def successor(database: Database) -> DeliveryStore:
    return DeliveryStore(database, "successor", LEASE)


@pytest.fixture
async def held(database: Database, paused: DeliveryStore, database_url: str) -> Delivery:
    """A delivery that the paused process claimed, and whose lease has run out."""
    await Waits(database).register([a_wait(key="7")])
    await Matcher(database, Matching(owner="paused", delivers=False)).record([incoming(key="7")])
    [delivery] = await paused.claim(1)
    execute(database_url, "UPDATE workflow_event_deliveries SET due_at = now()")
    return delivery


async def test_a_lost_lease_counts_as_an_attempt(
    held: Delivery, successor: DeliveryStore, database_url: str
) -> None:
    [taken_over] = await successor.claim(1)

    assert (held.attempts, taken_over.attempts) == (0, 1)
    assert one_row(database_url, STANDING) == ("pending", "successor", 1)


async def test_what_was_given_back_untried_counts_as_none(
    held: Delivery, paused: DeliveryStore, successor: DeliveryStore
) -> None:
    await paused.settle([Settlement(held, DeliveryStatus.PENDING, tried=False)])

    [claimed] = await successor.claim(1)

    assert claimed.attempts == 0


@pytest.mark.parametrize(
    "terms",
    [
        {"status": DeliveryStatus.DEAD, "reason": Reason.PAYLOAD_TOO_LARGE},
        {"status": DeliveryStatus.DEAD, "reason": Reason.RUN_CLOSED},
        {"status": DeliveryStatus.PENDING, "delay": timedelta(hours=1)},
    ],
    ids=["refused", "its run is closed", "tried in vain"],
)
async def test_nothing_counts_that_a_process_says_after_it_was_succeeded(
    held: Delivery,
    paused: DeliveryStore,
    successor: DeliveryStore,
    database_url: str,
    terms: dict[str, Any],
) -> None:
    await successor.claim(1)

    dead = await paused.settle([Settlement(held, **terms)])

    assert dead == []
    assert one_row(database_url, STANDING) == ("pending", "successor", 1)
    assert one_row(database_url, "SELECT status FROM workflow_run_waits") == ("waiting",)


async def test_a_signal_that_arrived_counts_whoever_says_so(
    held: Delivery, paused: DeliveryStore, successor: DeliveryStore, database_url: str
) -> None:
    await successor.claim(1)

    await paused.settle([Settlement(held, DeliveryStatus.DELIVERED)])

    assert one_row(database_url, "SELECT status FROM workflow_event_deliveries") == ("delivered",)
