"""Looking at the backlog reads indexes alone, and no more of them than its limit."""

from __future__ import annotations

import psycopg
import pytest

from routing.backlog import BACKLOG, WALK_IN_ORDER
from tests.integration.plans import scans
from tests.integration.test_launch_plans import FILL as FILL_LAUNCHES
from tests.integration.test_plans import ANALYZE, FILL, NO_VACUUM

# A bitmap, which reads all of an index before any limit counts, would stand here without a table.
WALKED = {
    ("workflow_run_waits", "workflow_run_waits_open"),
    ("workflow_runtime_events", "workflow_runtime_events_available"),
    ("workflow_event_deliveries", "workflow_event_deliveries_due"),
    ("workflow_event_launches", "workflow_event_launches_due"),
}


@pytest.mark.parametrize("state", ["empty", "full", "analysed"])
def test_the_backlog_is_measured_on_the_indexes_of_what_is_open(
    database_url: str, state: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(NO_VACUUM)
        if state != "empty":
            connection.execute(FILL.replace("ROWS", "20000").encode())
            connection.execute(FILL_LAUNCHES.encode())
        if state == "analysed":
            connection.execute(ANALYZE)
            connection.execute("ANALYZE workflow_event_launches")
        connection.execute("SET enable_seqscan = off")  # as every transaction of ours has it
        connection.execute(WALK_IN_ORDER)

        found = scans(connection, BACKLOG, {"limit": 100}, "force_custom_plan")

    assert {(scan.table, scan.index) for scan in found if scan.table != "pg_class"} == WALKED
