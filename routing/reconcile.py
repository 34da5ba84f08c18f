"""Comparing open waits with Temporal: a wait whose chain is gone is retired with its reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from correlation.closing import Closing
from correlation.event import TenantId
from correlation.reason import Reason
from routing.chain_statements import BIND_WAITS
from routing.chains import Chain, Gone, Lives, Standing
from routing.database import Database
from routing.incoming import DEFAULT_NAMESPACE, WaitId, WorkflowId
from routing.page_walk import page_walk
from routing.statements import PLAN_ANEW
from routing.waits import Waits

# Walks all open waits in the order of the primary key, a page at a time; young ones are left
# alone, for a wait may be registered before its run is started.
OPEN_WAITS: Final = """
SELECT tenant_id, wait_id, namespace, workflow_id, run_id, first_run_id FROM workflow_run_waits
WHERE (tenant_id, wait_id) > (%(tenant)s, %(wait_id)s) AND status = 'waiting'
  AND namespace = ANY (%(namespaces)s::text[])
  AND registered_at < statement_timestamp() - %(grace)s::interval
ORDER BY tenant_id, wait_id LIMIT %(count)s
"""


class Chains(Protocol):
    """Asks Temporal about chains of runs."""

    async def standings(self, chains: Sequence[Chain]) -> Sequence[Standing | None]:
        """How each stands, in the order given; None: nothing may be concluded. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Ghost:
    """An open wait that nobody can ever be woken by."""

    tenant: TenantId
    wait_id: WaitId
    workflow_id: WorkflowId
    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Bond:
    """An open wait that did not say whose it is, and the chain that it was found to belong to."""

    tenant: str
    wait_id: str
    lives: Lives


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the walk: the ghosts in it, and where the next page begins (None: done)."""

    ghosts: Sequence[Ghost]
    next_after: tuple[str, str] | None
    checked: int
    bonds: Sequence[Bond] = ()
    unanswered: int = 0
    """Of so many of the waits checked Temporal said nothing; they are left as they are."""


BEGINNING: Final = ("", "")
PAUSE: Final = timedelta(seconds=1)
"""Between two pages: with the page's size it bounds the rate at which Temporal is asked."""


class Reconciler:
    """Walks the open waits of some namespaces in a database."""

    def __init__(
        self,
        database: Database,
        chains: Chains,
        *,
        namespaces: Sequence[str] = (DEFAULT_NAMESPACE,),
        page: int = 200,
        grace: timedelta = timedelta(seconds=60),
    ) -> None:
        self._database = database
        self._waits = Waits(database)
        self._chains = chains
        self._namespaces = list(namespaces)
        self._page = page
        self._grace = grace

    def walk(self, pause: timedelta = PAUSE) -> AsyncGenerator[Page]:
        """Check all open waits, a page at a time with a pause between two; changes nothing."""
        return page_walk(self.look, BEGINNING, lambda page: page.next_after, pause=pause)

    async def look(self, after: tuple[str, str] = BEGINNING) -> Page:
        """Check one page of open waits; changes nothing."""
        async with self._database.transaction() as connection:
            await connection.execute(PLAN_ANEW)
            cursor = await connection.execute(
                OPEN_WAITS,
                {
                    "tenant": after[0],
                    "wait_id": after[1],
                    "grace": self._grace,
                    "count": self._page,
                    "namespaces": self._namespaces,
                },
            )
            rows = await cursor.fetchall()
        chains = [Chain(*row[2:]) for row in rows]
        unique = list(dict.fromkeys(chains))
        standings = dict(zip(unique, await self._chains.standings(unique), strict=True))
        found = [(row, chain, standings[chain]) for row, chain in zip(rows, chains, strict=True)]
        full = len(rows) == self._page
        return Page(
            [
                Ghost(row[0], row[1], WorkflowId(chain.workflow_id), how.reason, how.detail)
                for row, chain, how in found
                if isinstance(how, Gone)
            ],
            (rows[-1][0], rows[-1][1]) if full else None,
            checked=len(rows),
            bonds=[
                Bond(row[0], row[1], how)
                for row, chain, how in found
                if isinstance(how, Lives) and chain.first_run_id is None
            ],
            unanswered=sum(how is None for _, _, how in found),
        )

    async def bind(self, bonds: Sequence[Bond]) -> None:
        """Write down whose waits are that did not say so."""
        if bonds:
            await self._database.at_once(BIND_WAITS, bond_columns(bonds))

    async def retire(self, ghosts: Sequence[Ghost]) -> None:
        """Close the ghosts' waits."""
        if ghosts:
            await self._waits.close(
                [
                    Closing(ghost.tenant, ghost.wait_id, reason=ghost.reason, detail=ghost.detail)
                    for ghost in ghosts
                ]
            )


def bond_columns(bonds: Sequence[Bond]) -> dict[str, object]:
    """The parameters of BIND_WAITS."""
    return {
        "tenants": [bond.tenant for bond in bonds],
        "wait_ids": [bond.wait_id for bond in bonds],
        "run_ids": [bond.lives.run_id for bond in bonds],
        "first_run_ids": [bond.lives.first_run_id for bond in bonds],
    }
