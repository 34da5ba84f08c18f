"""Registering waits with their chain, and retiring those that the registration shows to be dead.

A workflow id may be used again by another chain of runs. Whoever registers a wait under it shows
that something was started there; whether the waits of other runs are dead Temporal is asked, and it
is the registration that may be late. An answer that does not come changes nothing: the delivery of
an event and the reconciler ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from correlation.closing import Closing
from pointsman.contract import WaitKind
from routing.chain_statements import CHAINS_OF_WAITS, MOVE_WAIT, SET_ASIDE
from routing.chains import Chain, Gone, Lives, Standing
from routing.database import Database
from routing.faults import ChainUnknown
from routing.incoming import RunId
from routing.waits import Registration, Wait, Waits, close_locked, identity_columns, waits_locked

log = structlog.get_logger(__name__)


class Chains(Protocol):
    """Asks Temporal about chains of runs; never raises."""

    async def standings(self, chains: Sequence[Chain]) -> Sequence[Standing | None]:
        """How each stands, in the order given; None: nothing may be concluded."""
        ...

    async def chain_of(self, chain: Chain) -> Chain:
        """The chain with its run and first run, as far as Temporal knows them now."""
        ...

    def has_passed_on(self, chain: Chain) -> bool:
        """Whether the chain's run is known to have passed its waits on to a later one."""
        ...


class ChainedWaits:
    """The waits of a database, each with its chain. Raises as `Waits` does, and ChainUnknown."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._waits = Waits(database)
        self._chains = chains

    async def register(self, waits: Sequence[Wait]) -> list[Registration]:
        """See `Waits.register`; retires the waits of chains that this one has followed."""
        chained = await asyncio.gather(*(self._with_chain(wait) for wait in waits))
        registrations = await self._waits.register(chained)
        for number, (wait, registration) in enumerate(zip(chained, registrations, strict=True)):
            if registration.held_by is not None:
                held_by = registration.held_by
                registrations[number] = await self._again(wait, registration, held_by)
        rivals = [
            (wait, registration)
            for wait, registration in zip(chained, registrations, strict=True)
            if registration.rivals
        ]
        if rivals:
            await self._retire(rivals)
        return registrations

    async def close(self, closings: Sequence[Closing]) -> list[str]:
        """See `Waits.close`."""
        return await self._waits.close(closings)

    async def _with_chain(self, wait: Wait) -> Wait:
        if wait.run_id is not None and wait.first_run_id is not None:
            return wait
        chain = await self._chains.chain_of(wait.chain)
        if chain == wait.chain:
            return wait
        run_id = None if chain.run_id is None else RunId(chain.run_id)
        first_run_id = None if chain.first_run_id is None else RunId(chain.first_run_id)
        return replace(wait, run_id=run_id, first_run_id=first_run_id)

    async def _retire(self, rivals: Sequence[tuple[Wait, Registration]]) -> None:
        """Close the waits of other runs that are dead; or, should it be so, these themselves."""
        identities = {(wait.tenant, rival) for wait, found in rivals for rival in found.rivals}
        own: dict[tuple[str, str], Chain] = {
            (wait.tenant, wait.wait_id): wait.chain for wait, _ in rivals
        }
        async with self._database.transaction() as connection:
            parameters = identity_columns(sorted(identities))
            cursor = await connection.execute(CHAINS_OF_WAITS, parameters)
            found = {(row[0], row[1]): Chain(*row[2:]) for row in await cursor.fetchall()}
        asked = own | {
            identity: chain
            for identity, chain in found.items()
            if not self._chains.has_passed_on(chain)
        }
        if asked.keys() == own.keys():
            return
        await self.retire_gone(asked)

    async def retire_gone(self, chains: dict[tuple[str, str], Chain]) -> dict[str, Gone]:
        """Ask about waits (tenant, wait id) and close those whose chain is gone; these by id."""
        unique = list(dict.fromkeys(chains.values()))
        standings = dict(zip(unique, await self._chains.standings(unique), strict=True))
        gone = {
            identity: standing
            for identity, chain in chains.items()
            if isinstance(standing := standings[chain], Gone)
        }
        if gone:
            await self._waits.close(
                [_closing(identity, how, chains[identity]) for identity, how in gone.items()]
            )
        for (tenant, wait_id), how in gone.items():
            log.info("wait.retired", tenant=tenant, wait_id=wait_id, reason=how.reason)
        return {wait_id: how for (_, wait_id), how in gone.items()}

    async def _again(self, wait: Wait, registration: Registration, held: Chain) -> Registration:
        """Settle a registration under an id that another run registered before."""
        [standing] = await self._chains.standings([held])
        if held.first_run_id == wait.first_run_id:
            is_older = isinstance(standing, Lives) and standing.run_id == held.run_id
            if registration.status == "waiting" and not is_older:
                target = _target(wait) | {"run_id": wait.run_id, "first_run_id": held.first_run_id}
                async with self._database.transaction() as connection:
                    await connection.execute(MOVE_WAIT, target)
            return registration
        match standing:
            case None:
                raise ChainUnknown(
                    f"wait_id {wait.wait_id!r} is registered by another execution of the workflow, "
                    "and Temporal does not say whether that one has ended"
                )
            case Lives():
                return replace(registration, conflict=True)
            case Gone():
                if wait.kind is WaitKind.HUMAN and registration.status == "closed":
                    return registration
                await self._set_aside(wait, held, standing)
                [anew] = await self._waits.register([wait])
                return anew

    async def _set_aside(self, wait: Wait, held: Chain, gone: Gone) -> None:
        identity = (wait.tenant, wait.wait_id)
        terms = _target(wait) | {
            "first_run_id": held.first_run_id,
            "aside": f"{wait.wait_id} of run {held.run_id}",
        }
        async with waits_locked(self._database, [identity]) as connection:
            await close_locked(connection, [_closing(identity, gone, held)])
            await connection.execute(SET_ASIDE, terms)


def _target(wait: Wait) -> dict[str, object]:
    return {"tenant": wait.tenant, "wait_id": wait.wait_id}


def _closing(identity: tuple[str, str], gone: Gone, chain: Chain) -> Closing:
    tenant, wait_id = identity
    return Closing(
        tenant, wait_id, reason=gone.reason, detail=gone.detail, first_run_id=chain.first_run_id
    )
