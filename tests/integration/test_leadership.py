"""Leases of duties in the database, and two processes of which one dies."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

from routing.database import Database
from routing.maintenance.leadership import Lease, following, leaders
from tests.acceptance.program import Pointsman, ask_to_stop
from tests.rows import execute, one_row
from tests.waiting import wait_until

SPAN: Final = timedelta(seconds=30)
DUTY: Final = "sweeping"
EXPIRED_WAIT: Final = """
INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key, workflow_id,
    signal_name, kind, cardinality, lookback, status, registered_at, expires_at)
VALUES ('acme', '{wait_id}', 'PAID', '7', 'w', 's', 'event', 'all', '0', 'waiting', now(), now())
"""


async def test_one_process_has_a_lease_and_may_renew_it(database: Database) -> None:
    one, another = (Lease(database, DUTY, owner, SPAN) for owner in ("one", "another"))

    taken = [await one.take(), await another.take(), await one.take()]

    assert taken == [True, False, True]


async def test_duties_are_led_apart(database: Database) -> None:
    one = Lease(database, following("alpha"), "one", SPAN)
    another = Lease(database, following("beta"), "another", SPAN)

    assert [await one.take(), await another.take()] == [True, True]
    async with database.transaction() as connection:
        led = {leader.duty: leader.owner for leader in await leaders(connection)}
    assert led == {"following/alpha": "one", "following/beta": "another"}


async def test_a_lease_that_is_given_back_is_free_at_once(database: Database) -> None:
    one, another = (Lease(database, DUTY, owner, SPAN) for owner in ("one", "another"))
    await one.take()

    await another.release()
    still_held = await another.take()
    await one.release()

    assert (still_held, await another.take()) == (False, True)


async def test_a_lease_that_has_run_out_is_taken_over_and_not_renewed(
    database: Database, database_url: str
) -> None:
    one, another = (Lease(database, DUTY, owner, SPAN) for owner in ("one", "another"))
    await one.take()
    execute(database_url, "UPDATE workflow_leases SET expires_at = now()")

    taken_over = await another.take()

    assert (taken_over, await one.take()) == (True, False)


async def test_of_two_processes_one_sweeps_and_the_other_takes_over_when_it_dies(
    database_url: str, tmp_path: Path
) -> None:
    # Temporal is away: following the runs is no part of this.
    sweeper = Pointsman(
        {
            "POINTSMAN_DATABASE_URL": database_url,
            "POINTSMAN_ROLES": "sweeper",
            "POINTSMAN_SWEEP_PERIOD": "100ms",
            "POINTSMAN_LEADER_LEASE": "1s",
            "POINTSMAN_METRICS_PORT": "0",
            "TEMPORAL_ADDRESS": "127.0.0.1:9",
        }
    )
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(sweeper.running("run", log=tmp_path / name))
            for name in ("first", "second")
        }

        def said(event: str, **facts: str) -> list[str]:
            """The processes that wrote such a line."""
            return [name for name in running if _has(tmp_path / name, event, facts)]

        def leading() -> list[str]:
            return said("duty.taken", duty="sweeping")

        await wait_until(lambda: len(said("service.started")) == 2, description="both run")
        [leader] = await wait_until(leading, description="one of them leads")
        [follower] = running.keys() - {leader}
        await _closed(database_url, "before")
        led_before = leading()

        running[leader].kill()
        running[leader].wait()
        await wait_until(lambda: follower in leading(), description="the other one took over")
        await _closed(database_url, "after")

        assert led_before == [leader]
        assert ask_to_stop(running[follower]) == 0
    duty = "SELECT count(*) FROM workflow_leases WHERE duty = 'sweeping'"
    assert one_row(database_url, duty) == (0,)


async def _closed(database_url: str, wait_id: str) -> None:
    execute(database_url, EXPIRED_WAIT.format(wait_id=wait_id))
    status = f"SELECT status FROM workflow_run_waits WHERE wait_id = '{wait_id}'"
    await wait_until(
        lambda: one_row(database_url, status) == ("closed",), description="somebody swept"
    )


def _has(log: Path, event: str, facts: dict[str, str]) -> bool:
    wanted = {"event": event, **facts}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return any(wanted.items() <= line.items() for line in lines)
