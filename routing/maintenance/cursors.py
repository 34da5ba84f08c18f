"""Where walks through tables stand, kept in the database: a new leader goes on where one ended.

A place is written with the page that it ends, or after it, and never before: whoever goes on from
it misses nothing. Two leaders at once (see `leadership`) may set each other back by some pages, and
then do them again. A place that is gone is no harm either: the walk begins at the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from psycopg.types.json import Jsonb

from routing.database import Connection

Place: TypeAlias = tuple[str, ...]
"""The columns that a walk is ordered by, of the last row that is done with."""

# Index: the primary key.
PLACE: Final = """
SELECT place FROM workflow_walk_cursors
WHERE tenant_id = %(tenant)s AND walk = %(walk)s AND namespace = %(namespace)s
"""

# One probe of the primary key for each tenant.
PLACES: Final = """
SELECT c.tenant_id, c.place
FROM unnest(%(tenants)s::text[]) AS i (tenant_id)
JOIN workflow_walk_cursors AS c USING (tenant_id)
WHERE c.walk = %(walk)s AND c.namespace = ''
  AND c.began_at > statement_timestamp() - %(anew)s::interval
"""

KEEP_PLACE: Final = """
INSERT INTO workflow_walk_cursors AS c (tenant_id, walk, namespace, place, began_at, updated_at)
VALUES (%(tenant)s, %(walk)s, %(namespace)s, %(place)s, statement_timestamp(),
        statement_timestamp())
ON CONFLICT (tenant_id, walk, namespace) DO UPDATE
SET place = EXCLUDED.place, updated_at = EXCLUDED.updated_at,
    began_at = CASE WHEN %(begins)s THEN EXCLUDED.began_at ELSE c.began_at END
"""

# Of tenants that have no rows any more. The table is small: a row for each tenant and walk.
FORGET_PLACES: Final = """
DELETE FROM workflow_walk_cursors
WHERE updated_at < statement_timestamp() - %(unused)s::interval
"""

UNUSED_FOR: Final = timedelta(days=30)
NEVER: Final = timedelta(days=36500)


@dataclass(frozen=True, slots=True)
class Walk:
    """Which walk; of one tenant, or through all of them; in one namespace, or in none."""

    name: str
    tenant: str = ""
    namespace: str = ""

    @property
    def terms(self) -> dict[str, object]:
        """The parameters that name it."""
        return {"walk": self.name, "tenant": self.tenant, "namespace": self.namespace}


async def place_of(connection: Connection, walk: Walk) -> Place | None:
    """Where the walk stands; None: at its beginning."""
    cursor = await connection.execute(PLACE, walk.terms)
    row = await cursor.fetchone()
    return None if row is None else tuple(row[0])


async def places_of(
    connection: Connection, walk: str, tenants: list[str], *, anew: timedelta = NEVER
) -> Mapping[str, Place]:
    """Where a walk stands that each of the tenants has its own of.

    One that began longer than `anew` ago is left out: it is to begin again.
    """
    terms = {"walk": walk, "tenants": tenants, "anew": anew}
    cursor = await connection.execute(PLACES, terms)
    return {str(row[0]): tuple(row[1]) for row in await cursor.fetchall()}


async def keep_place(
    connection: Connection, walk: Walk, place: Place, *, begins: bool = False
) -> None:
    """Say where the walk stands now, in the caller's transaction; `begins` with its first page."""
    terms = {**walk.terms, "place": Jsonb(list(place)), "begins": begins}
    await connection.execute(KEEP_PLACE, terms)


async def forget_places(connection: Connection, unused: timedelta = UNUSED_FOR) -> None:
    """Remove the places that nobody has come to for long."""
    await connection.execute(FORGET_PLACES, {"unused": unused})
