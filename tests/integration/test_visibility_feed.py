"""Following closings: what visibility says, and what is made of it; Temporal is a stand-in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest

from correlation.closing import Closing
from correlation.reason import Reason
from pointsman.contract import Disposition
from routing.database import Database
from routing.run_records import RunStatus
from routing.visibility.feed import Followed, Outlook, Pace, Verdict, VisibilityFeed, WaitInDoubt
from routing.visibility.hints import lately_answered
from routing.visibility.records import ClosedPage, ClosedRun, VisibilityUnusable
from routing.visibility.statements import FOLLOW_CLOSINGS
from routing.waits import Waits
from tests.builders import a_wait
from tests.integration.plans import scans
from tests.rows import execute

NAMESPACE: Final = "default"
# Long ago by any clock but Temporal's: no other time may matter.
NOON: Final = datetime(2001, 1, 1, 12, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
ON_A_PAGE: Final = 3
PACE: Final = Pace(overlap=10 * SECOND, settled_after=5 * SECOND, pages=2, pages_of_gap=1)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeVisibility:
    """Closings as they become visible, in small pages."""

    def __init__(self) -> None:
        self.runs: list[ClosedRun] = []
        self.open: set[str] = set()
        self.sinces: list[datetime | None] = []
        self.asked_for_open: list[str] = []
        self.failing_calls: set[int] = set()

    async def closed(
        self, since: datetime | None, until: datetime | None = None, token: bytes = b""
    ) -> ClosedPage:
        self.sinces.append(since)
        if len(self.sinces) in self.failing_calls:
            raise VisibilityUnusable("away")
        fitting = [
            run
            for run in sorted(self.runs, key=lambda run: run.closed_at, reverse=True)
            if (since is None or run.closed_at >= since)
            and (until is None or run.closed_at <= until)
        ]
        start, size = int(token or b"0"), 1 if since is None else ON_A_PAGE
        more = str(start + size).encode() if start + size < len(fitting) else b""
        return ClosedPage(fitting[start : start + size], more)

    async def open_among(self, workflow_ids: Sequence[str]) -> Collection[str]:
        self.asked_for_open += workflow_ids
        return self.open & set(workflow_ids)


class FakeChains:
    """What Temporal itself says of waits, by their ids; of any other: it goes on."""

    def __init__(self) -> None:
        self.known: dict[str, Verdict] = {}
        self.asked: list[str] = []

    async def verdicts(self, waits: Sequence[WaitInDoubt]) -> Sequence[Verdict]:
        self.asked += [wait.wait_id for wait in waits]
        return [self.known.get(wait.wait_id, Outlook.GOES_ON) for wait in waits]


class Rig:
    def __init__(self, database: Database, url: str) -> None:
        self.database, self.url = database, url
        self.visibility, self.chains, self.clock = FakeVisibility(), FakeChains(), Clock()
        self.waits = Waits(database)
        self.feed = self.another_feed()

    def another_feed(self) -> VisibilityFeed:
        return VisibilityFeed(
            self.database, NAMESPACE, self.visibility, self.chains, PACE, self.clock
        )

    async def waiting(self, name: str, *, run_id: str | None = None, wait_id: str = "") -> None:
        """An open wait of the workflow `name`, and its run."""
        wait_id, run_id = wait_id or f"wait-{name}", run_id or f"run-{name}"
        await self.waits.register([a_wait(wait_id=wait_id, workflow_id=name, run_id=run_id)])

    def close(
        self, name: str, after: float = 0, status: RunStatus = RunStatus.COMPLETED
    ) -> ClosedRun:
        """The run of the workflow `name` closes so many seconds after noon, and is visible."""
        at = NOON + after * SECOND
        run = ClosedRun(workflow_id=name, run_id=f"run-{name}", status=status, closed_at=at)
        self.visibility.runs.append(run)
        return run

    async def settled(self) -> Followed:
        """Two rounds, between which what was seen has settled."""
        await self.feed.follow()
        self.clock.now += 6
        return await self.feed.follow()

    def statuses(self) -> dict[str, str]:
        return self._pairs("SELECT workflow_id, status FROM workflow_runs")

    def open_waits(self) -> set[str]:
        rows = self._pairs("SELECT wait_id, status FROM workflow_run_waits")
        return {wait_id for wait_id, status in rows.items() if status == "waiting"}

    def _pairs(self, query: str) -> dict[str, str]:
        with psycopg.connect(self.url) as connection:
            return dict(connection.execute(query.encode()).fetchall())


@pytest.fixture
def rig(database: Database, database_url: str) -> Rig:
    return Rig(database, database_url)


async def test_a_closed_run_is_shown_closed_at_once_by_temporals_clock(rig: Rig) -> None:
    await rig.waiting("order")
    rig.close("order", status=RunStatus.FAILED)

    followed = await rig.feed.follow()

    assert [(key.workflow_id, status) for key, status in followed.runs] == [("order", "failed")]
    with psycopg.connect(rig.url) as connection:
        row = connection.execute("SELECT status, closed_at FROM workflow_runs").fetchone()
    assert row == ("failed", NOON)


async def test_the_waits_of_a_closed_run_are_retired_when_nothing_came_after_it(rig: Rig) -> None:
    await rig.waiting("order")
    rig.close("order", status=RunStatus.TERMINATED)

    await rig.feed.follow()
    at_once = rig.open_waits()
    rig.clock.now += 6
    followed = await rig.feed.follow()

    assert (at_once, rig.open_waits()) == ({"wait-order"}, set())
    assert [(each.wait_id, each.reason) for each in followed.ghosts] == [
        ("wait-order", Reason.RUN_CLOSED)
    ]
    assert rig.chains.asked == []


@pytest.mark.parametrize(
    ("verdict", "is_open"),
    [(Outlook.GOES_ON, True), (Outlook.UNKNOWN, True), (Reason.RUN_CLOSED, False)],
)
async def test_temporal_itself_is_asked_where_a_run_is_open_under_the_workflow_id(
    rig: Rig, verdict: Verdict, is_open: bool
) -> None:
    await rig.waiting("order")
    rig.close("order", status=RunStatus.TERMINATED)
    rig.visibility.open = {"order"}
    rig.chains.known = {"wait-order": verdict}

    await rig.settled()
    await rig.feed.follow()

    assert rig.open_waits() == ({"wait-order"} if is_open else set())
    # Until it has answered it is asked again.
    asked = 2 if verdict is Outlook.UNKNOWN else 1
    assert rig.chains.asked == ["wait-order"] * asked


async def test_a_run_that_continued_as_new_keeps_its_waits_and_is_named(rig: Rig) -> None:
    await rig.waiting("order")
    rig.close("order", status=RunStatus.CONTINUED_AS_NEW)

    first = await rig.feed.follow()
    rig.clock.now += 6
    await rig.feed.follow()

    assert [key.run_id for key in first.continued] == ["run-order"]
    assert rig.open_waits() == {"wait-order"}
    # Its row is closed together with that of the run that follows it.
    assert rig.statuses() == {"order": "running"}


async def test_the_waits_of_an_earlier_run_of_a_chain_are_asked_about(rig: Rig) -> None:
    await rig.waiting("order", run_id="continued", wait_id="carried")
    execute(rig.url, "UPDATE workflow_runs SET closed_at = now(), status = 'continued_as_new'")
    rig.close("order")
    rig.chains.known = {"carried": Reason.RUN_CLOSED}

    await rig.settled()

    assert (rig.chains.asked, rig.open_waits()) == (["carried"], set())


async def test_a_wait_of_another_run_that_is_open_is_not_concerned(rig: Rig) -> None:
    await rig.waiting("order", run_id="the next chain", wait_id="next")
    rig.close("order")
    rig.visibility.open = {"order"}

    await rig.settled()

    assert (rig.chains.asked, rig.open_waits()) == ([], {"next"})


async def test_a_wait_that_is_registered_while_its_run_closes_is_retired_too(rig: Rig) -> None:
    rig.close("order")
    await rig.feed.follow()
    await rig.waiting("order")
    rig.clock.now += 6

    await rig.feed.follow()

    assert (rig.open_waits(), rig.statuses()) == (set(), {"order": "completed"})


async def test_closings_of_workflows_that_nobody_knows_ask_temporal_nothing(rig: Rig) -> None:
    await rig.waiting("order")
    for number in range(5):
        rig.close(f"unrelated-{number}")

    followed = await rig.settled()

    assert (followed.runs, followed.ghosts) == ([], [])
    assert (rig.visibility.asked_for_open, rig.chains.asked) == ([], [])
    assert rig.open_waits() == {"wait-order"}


async def test_what_stands_in_another_namespace_is_left_alone(rig: Rig) -> None:
    await rig.waiting("order")
    execute(rig.url, "UPDATE workflow_runs SET namespace = 'another'")
    execute(rig.url, "UPDATE workflow_run_waits SET namespace = 'another'")
    rig.close("order")

    await rig.settled()

    assert (rig.statuses(), rig.open_waits()) == ({"order": "running"}, {"wait-order"})


async def test_a_closing_that_becomes_visible_late_is_seen(rig: Rig) -> None:
    await rig.waiting("late")
    rig.close("first", after=100)
    await rig.feed.follow()
    await rig.feed.follow()
    rig.close("late", after=93)

    await rig.feed.follow()

    assert rig.statuses()["late"] == "completed"


async def test_whoever_leads_next_goes_on_behind_the_last_closing_seen(rig: Rig) -> None:
    rig.close("first", after=7200)
    await rig.feed.follow()
    rig.visibility.sinces.clear()

    await rig.another_feed().follow()

    assert rig.visibility.sinces == [NOON + 7200 * SECOND - PACE.long_overlap]


async def test_a_backlog_is_caught_up_with_behind_the_newest_closings(rig: Rig) -> None:
    rig.close("first")
    await rig.feed.follow()
    names = [f"w-{number:02}" for number in range(1, 21)]
    for number, name in enumerate(names, start=1):
        await rig.waiting(name)
        rig.close(name, after=200 * number)

    await rig.feed.follow()
    newest_first = {name for name, status in rig.statuses().items() if status == "completed"}
    feed = rig.another_feed()  # and it outlives its process
    rounds = [await feed.follow() for _ in range(12)]

    assert newest_first == set(names[-6:])
    assert set(rig.statuses().values()) == {"completed"}
    assert (rounds[0].behind, rounds[-1].behind) == (True, False)


async def test_more_closings_in_one_moment_than_a_page_holds_are_all_seen(rig: Rig) -> None:
    rig.close("first")
    await rig.feed.follow()
    for number in range(20):
        await rig.waiting(f"w-{number}")
        rig.close(f"w-{number}", after=500)

    for _ in range(4):
        await rig.feed.follow()

    assert set(rig.statuses().values()) == {"completed"}


async def test_nothing_is_lost_when_visibility_fails_within_a_round(rig: Rig) -> None:
    rig.close("first")
    await rig.feed.follow()
    for number in range(5):
        await rig.waiting(f"w-{number}")
        rig.close(f"w-{number}", after=1000 * (number + 1))
    rig.visibility.failing_calls = {len(rig.visibility.sinces) + 2}

    with pytest.raises(VisibilityUnusable):
        await rig.feed.follow()
    await rig.feed.follow()

    assert set(rig.statuses().values()) == {"completed"}


async def test_runs_whose_waits_closed_lately_are_hints(rig: Rig) -> None:
    await rig.waiting("answered")
    await rig.waiting("waiting")
    wait = a_wait(wait_id="wait-answered")
    await rig.waits.close([Closing(wait.tenant, "wait-answered", Disposition.ACCEPTED, "e-1")])

    async with rig.database.transaction() as connection:
        hinted = await lately_answered(connection, NAMESPACE, 10)
        elsewhere = await lately_answered(connection, "another", 10)

    assert ([key.workflow_id for key in hinted], list(elsewhere)) == (["answered"], [])


def test_a_page_of_closings_goes_by_indexes(database_url: str) -> None:
    filled = """
        INSERT INTO workflow_runs (tenant_id, workflow_id, run_id, status, started_at, updated_at)
        SELECT 't-' || n % 50, 'w-' || n, 'run-' || n, 'running', now(), now()
        FROM generate_series(1, 5000) AS n;
        INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key,
            workflow_id, run_id, signal_name, kind, cardinality, lookback, status, registered_at)
        SELECT 't-' || n % 50, 'wait-' || n, 'PAID', 'key-' || n, 'w-' || n, 'run-' || n, 's',
               'event', 'all', '0', 'waiting', now()
        FROM generate_series(1, 5000) AS n;
        ANALYZE workflow_runs;
        ANALYZE workflow_run_waits
    """
    names = ("starts", "ends", "workflow_types", "task_queues", "parents", "parent_runs")
    terms: dict[str, Any] = {
        "workflow_ids": [f"w-{number}" for number in range(1000)],
        "run_ids": [f"run-{number}" for number in range(1000)],
        "statuses": ["completed"] * 1000,
        **{name: [None] * 1000 for name in names},
        "namespace": NAMESPACE,
        "most_waits": 1000,
    }
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in filled.split(";"):
            connection.execute(statement.encode())
        connection.execute("SET enable_seqscan = off")  # as every transaction of ours has it
        found = scans(connection, FOLLOW_CLOSINGS, terms, "force_custom_plan")

    assert all(scan.index is not None for scan in found), found
    used = {scan.index: scan.condition for scan in found}
    assert "run_id = " in used["workflow_runs_of_closings"]
    assert "workflow_id = " in used["workflow_run_waits_of_workflows"]
