"""One process leads each duty of a database: the lease of a duty is a row in a table.

An advisory lock would not do. A session's lock is lost behind a pooler in transaction mode, where
the next statement may run on another connection. A transaction's lock would keep a transaction open
for as long as a round takes, and a round asks Temporal. A lease costs one small update per
renewal, and whoever looks can see who leads.

The lease saves work; it is not what makes the work right. A leader that was stopped for longer than
its lease goes on, for a moment, beside its successor. Everything done under a lease bears that:
each step is one transaction that locks the rows it changes and looks at how they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from psycopg.rows import kwargs_row

from routing.database import Connection, Database
from routing.statements import PLAN_ANEW

SWEEPING: Final = "sweeping"
"""Expiry and retention: what concerns the database alone."""
FOLLOWING: Final = "following"
"""Keeping up with the runs of one Temporal namespace; the duty's name ends with the namespace."""

# A look that finds another's lease writes nothing and locks nothing: a follower costs a read.
# Times are the database's own, so the processes' clocks do not matter. Index: the primary key.
TAKE_LEASE: Final = """
INSERT INTO workflow_leases AS l (duty, owner, taken_at, expires_at)
SELECT %(duty)s, %(owner)s, statement_timestamp(), statement_timestamp() + %(span)s::interval
WHERE NOT EXISTS (
    SELECT FROM workflow_leases
    WHERE tenant_id = '' AND duty = %(duty)s AND owner <> %(owner)s
      AND expires_at > statement_timestamp())
ON CONFLICT (tenant_id, duty) DO UPDATE
SET owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at,
    taken_at = CASE l.owner WHEN EXCLUDED.owner THEN l.taken_at ELSE EXCLUDED.taken_at END
WHERE l.owner = EXCLUDED.owner OR l.expires_at <= clock_timestamp()
RETURNING owner
"""

# Index: the primary key.
RELEASE_LEASE: Final = """
DELETE FROM workflow_leases WHERE tenant_id = '' AND duty = %(duty)s AND owner = %(owner)s
"""

LEASES: Final = """
SELECT duty, owner, taken_at, expires_at > statement_timestamp() AS is_held
FROM workflow_leases WHERE tenant_id = '' ORDER BY duty
"""


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads, or led last."""

    duty: str
    owner: str
    taken_at: datetime
    is_held: bool
    """False: the lease has run out, and nobody has taken it over."""


def following(namespace: str) -> str:
    """The duty of keeping up with one namespace."""
    return f"{FOLLOWING}/{namespace}"


def namespace_of(duty: str) -> str | None:
    """The namespace that a duty follows; None for any other duty."""
    kind, _, namespace = duty.partition("/")
    return namespace if kind == FOLLOWING else None


class Lease:
    """One process' claim to one duty. Raises DatabaseUnavailable."""

    def __init__(self, database: Database, duty: str, owner: str, span: timedelta) -> None:
        """`owner` has to be another for each process, and for each start of it."""
        self._database = database
        self._terms = {"duty": duty, "owner": owner, "span": span}
        self.duty = duty
        self.span = span

    async def take(self) -> bool:
        """Take or renew the lease for its span from now; False while another process has it."""
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(TAKE_LEASE, self._terms)
            return await cursor.fetchone() is not None

    async def release(self) -> None:
        """Give the lease back at once, where this process has it."""
        async with self._database.transaction() as connection:
            await connection.execute(RELEASE_LEASE, self._terms)


async def leaders(connection: Connection) -> Sequence[Leader]:
    """Who leads which duty."""
    cursor = connection.cursor(row_factory=kwargs_row(Leader))
    await cursor.execute(LEASES)
    return await cursor.fetchall()
