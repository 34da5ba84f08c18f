"""Runs that are likely to have ended, where visibility cannot say it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from routing.database import Connection
from routing.run_reconcile import RunKey
from routing.statements import PLAN_ANEW
from routing.visibility.statements import LATELY_ANSWERED

LATELY: Final = timedelta(minutes=1)


async def lately_answered(
    connection: Connection, namespace: str, count: int, within: timedelta = LATELY
) -> Sequence[RunKey]:
    """Open runs of which a wait closed lately, most often because it accepted its event.

    A workflow that has its answer often ends soon. One that accepts an event of a stream goes on
    waiting, so that is no such hint.
    """
    await connection.execute(PLAN_ANEW)
    terms = {"namespace": namespace, "count": count, "within": within}
    cursor = await connection.execute(LATELY_ANSWERED, terms)
    return [
        RunKey(tenant, workflow_id, run_id, namespace)
        for tenant, workflow_id, run_id in await cursor.fetchall()
    ]
