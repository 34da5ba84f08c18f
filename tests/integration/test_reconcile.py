"""Waits whose run is gone, found by asking a stand-in for Temporal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import astuple
from datetime import timedelta

import psycopg
import pytest

from correlation.closing import Closing
from correlation.reason import Reason
from pointsman.contract import Cardinality, Disposition
from routing.chains import Chain, Gone, Lives, Standing
from routing.database import Database, DatabaseLimits, open_database
from routing.delivery_store import DeliveryStore
from routing.matching import Matcher, Matching
from routing.reconcile import BEGINNING, Ghost, Reconciler
from routing.waits import Waits
from tests.builders import a_wait, incoming

NO_GRACE = timedelta(0)


LIVES = Lives("run", "run")
CLOSED = Gone(Reason.RUN_CLOSED, "completed")
NOT_FOUND = Gone(Reason.RUN_NOT_FOUND, "never heard of")


class FakeRuns:
    def __init__(self) -> None:
        self.known: dict[str, Standing | None] = {}
        self.asked: list[list[str]] = []

    async def standings(self, chains: Sequence[Chain]) -> Sequence[Standing | None]:
        self.asked.append([chain.workflow_id for chain in chains])
        return [self.known.get(chain.workflow_id, LIVES) for chain in chains]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, DatabaseLimits(connections=2)) as database:
        yield database


@pytest.fixture
def waits(database: Database) -> Waits:
    return Waits(database)


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def reconciler(database: Database, runs: FakeRuns) -> Reconciler:
    return Reconciler(database, runs, page=3, grace=NO_GRACE)


async def walk(reconciler: Reconciler) -> tuple[list[Ghost], int, int]:
    """The ghosts of all pages, how many waits were checked, and how many pages there were."""
    ghosts: list[Ghost] = []
    checked = pages = 0
    after: tuple[str, str] | None = BEGINNING
    while after is not None:
        page = await reconciler.look(after)
        ghosts += page.ghosts
        checked, pages, after = checked + page.checked, pages + 1, page.next_after
    return ghosts, checked, pages


async def test_a_wait_whose_run_is_gone_is_retired_with_its_reason(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler, database_url: str
) -> None:
    await waits.register(
        [
            a_wait(wait_id=state, workflow_id=state)
            for state in ("running", "closed", "not_found", "unknown")
        ]
    )
    runs.known = {"closed": CLOSED, "not_found": NOT_FOUND, "unknown": None}

    ghosts, _, _ = await walk(reconciler)
    await reconciler.retire(ghosts)

    assert _rows(database_url) == [
        ("closed", "closed", "run_closed"),
        ("not_found", "closed", "run_not_found"),
        ("running", "waiting", None),
        ("unknown", "waiting", None),
    ]


async def test_looking_changes_nothing(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler, database_url: str
) -> None:
    wait = a_wait(wait_id="w", workflow_id="gone")
    await waits.register([wait])
    runs.known = {"gone": CLOSED}

    page = await reconciler.look()

    assert page.ghosts == [Ghost(wait.tenant, wait.wait_id, wait.workflow_id, *astuple(CLOSED))]
    assert _rows(database_url) == [("w", "waiting", None)]


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (2, 1), (3, 2), (7, 3), (9, 4)])
async def test_every_open_wait_is_checked_once_a_page_at_a_time(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler, count: int, pages: int
) -> None:
    tenants = ("acme", "globex")
    waiting = [a_wait(tenant=tenants[n % 2], wait_id=f"w-{n}") for n in range(count)]
    if waiting:
        await waits.register(waiting)

    _, checked, walked = await walk(reconciler)

    assert (checked, walked) == (count, pages)
    asked = [workflow for page in runs.asked for workflow in page]
    assert sorted(asked) == sorted(wait.workflow_id for wait in waiting)
    assert max(map(len, runs.asked)) <= 3


async def test_retiring_on_the_way_skips_no_wait(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler, database_url: str
) -> None:
    waiting = [a_wait(wait_id=f"w-{n}") for n in range(10)]
    await waits.register(waiting)
    runs.known = {wait.workflow_id: CLOSED for wait in waiting}

    after: tuple[str, str] | None = BEGINNING
    while after is not None:
        page = await reconciler.look(after)
        await reconciler.retire(page.ghosts)
        after = page.next_after

    assert {row[1:] for row in _rows(database_url)} == {("closed", "run_closed")}


async def test_a_run_with_several_waits_is_asked_for_once(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler
) -> None:
    await waits.register([a_wait(workflow_id="order") for _ in range(3)])

    await reconciler.look()

    assert runs.asked == [["order"]]


async def test_a_young_wait_is_left_alone(database: Database, waits: Waits, runs: FakeRuns) -> None:
    await waits.register([a_wait()])

    ghosts, checked, _ = await walk(Reconciler(database, runs, grace=timedelta(seconds=60)))

    assert (ghosts, checked) == ([], 0)


async def test_a_closed_wait_is_not_checked(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler
) -> None:
    wait = a_wait()
    await waits.register([wait])
    await waits.close([Closing(wait.tenant, wait.wait_id, Disposition.CANCELLED)])

    _, checked, _ = await walk(reconciler)

    assert checked == 0


async def test_what_a_gone_run_held_exclusively_goes_to_the_next_in_line(
    database: Database, waits: Waits, runs: FakeRuns, reconciler: Reconciler
) -> None:
    exclusive = Cardinality.EXCLUSIVE
    gone = a_wait(key="7", workflow_id="gone", cardinality=exclusive)
    heir = a_wait(key="7", cardinality=exclusive)
    await waits.register([gone, heir])
    await Matcher(database, Matching(owner="me", delivers=False)).record([incoming(key="7")])
    runs.known = {"gone": CLOSED}

    ghosts, _, _ = await walk(reconciler)
    await reconciler.retire(ghosts)

    store = DeliveryStore(database, "me", timedelta(seconds=60))
    assert [each.wait_id for each in await store.claim(10)] == [heir.wait_id]


async def test_the_waits_of_other_namespaces_are_neither_asked_about_nor_touched(
    database: Database, waits: Waits, runs: FakeRuns, database_url: str
) -> None:
    await waits.register(
        [
            a_wait(wait_id="ours", workflow_id="order-1", namespace="ours"),
            a_wait(wait_id="theirs", workflow_id="order-2", namespace="theirs"),
        ]
    )
    runs.known = {"order-1": CLOSED, "order-2": CLOSED}
    reconciler = Reconciler(database, runs, namespaces=["ours"], grace=NO_GRACE)

    ghosts, checked, _ = await walk(reconciler)
    await reconciler.retire(ghosts)

    assert (checked, runs.asked) == (1, [["order-1"]])
    assert _rows(database_url) == [
        ("ours", "closed", "run_closed"),
        ("theirs", "waiting", None),
    ]


async def test_a_wait_that_did_not_say_whose_it_is_is_bound_to_the_chain_that_runs(
    waits: Waits, runs: FakeRuns, reconciler: Reconciler, database_url: str
) -> None:
    await waits.register([a_wait(workflow_id="order")])
    runs.known = {"order": Lives("newest", "first")}

    page = await reconciler.look()
    await reconciler.bind(page.bonds)

    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT run_id, first_run_id FROM workflow_run_waits").fetchall()
    assert rows == [("newest", "first")]


def _rows(url: str) -> list[tuple[str, str, str | None]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT wait_id, status, reason FROM workflow_run_waits ORDER BY wait_id"
        ).fetchall()
