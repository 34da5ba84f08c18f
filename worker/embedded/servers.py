"""The servers Pointsman needs, started together when nobody provides them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, assert_never

from worker.embedded.ladder import (
    ALL_PARTS,
    Announce,
    Part,
    ServersUnavailable,
    ServerUnavailable,
)
from worker.embedded.postgres_program import REMEDY as POSTGRES_REMEDY
from worker.embedded.postgres_program import find_postgres
from worker.embedded.postgres_server import (
    ROLE,
    PostgresHome,
    create_role_and_database,
    data_of,
    initialise,
    postgres_recipe,
)
from worker.embedded.processes import LOOPBACK, ServerFailed, ServerProcess, free_port
from worker.embedded.reach import folder_for, unprivileged_account
from worker.embedded.redis_server import REMEDY as REDIS_REMEDY
from worker.embedded.redis_server import find_redis, note_writer, redis_recipe
from worker.embedded.temporal_program import REMEDY as TEMPORAL_REMEDY
from worker.embedded.temporal_program import find_temporal
from worker.embedded.temporal_server import NAMESPACE, temporal_recipe

ADDRESS_VARIABLES: Final[Mapping[Part, str]] = {
    Part.REDIS: "POINTSMAN_REDIS_URL",
    Part.POSTGRES: "POINTSMAN_DATABASE_URL",
    Part.TEMPORAL: "TEMPORAL_ADDRESS",
}
REMEDIES: Final[Mapping[Part, str]] = {
    Part.REDIS: REDIS_REMEDY,
    Part.POSTGRES: POSTGRES_REMEDY,
    Part.TEMPORAL: TEMPORAL_REMEDY,
}


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers listen, and how each was had.

    `processes` holds those that were started here, for who wants to stop one on the way.
    """

    addresses: Mapping[Part, str]
    ways: Mapping[Part, str]
    processes: Mapping[Part, ServerProcess] = field(default_factory=dict)
    temporal_namespace: str = NAMESPACE
    temporal_ui_url: str = ""
    """Temporal's own console; "" unless it was asked for and started here."""

    @property
    def redis_url(self) -> str:
        """`redis://host:port/0`, or what POINTSMAN_REDIS_URL says."""
        return self.addresses[Part.REDIS]

    @property
    def database_url(self) -> str:
        """In libpq's form, for a plain role that owns the database and may create roles."""
        return self.addresses[Part.POSTGRES]

    @property
    def temporal_address(self) -> str:
        """`host:port`, or what TEMPORAL_ADDRESS says."""
        return self.addresses[Part.TEMPORAL]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for; the same for every part."""

    folder: Path
    environment: Mapping[str, str]
    announce: Announce
    durable: bool
    ui: bool


@dataclass(frozen=True, slots=True)
class _Provided:
    address: str
    way: str
    ui_url: str = ""


@asynccontextmanager
async def embedded_servers(
    folder: Path,
    *,
    announce: Announce,
    parts: Collection[Part] = ALL_PARTS,
    durable: bool = False,
    ui: bool = False,
    environment: Mapping[str, str] | None = None,
) -> AsyncGenerator[Servers]:
    """The servers of these parts while the block runs, in parallel; all are stopped at its end.

    A part whose address the environment gives is taken from there. `folder` keeps the data;
    `durable` lets it survive the loss of the machine (and Temporal's a restart), without it the
    next run finds no use for it. `ui` starts Temporal's own console, too. One line for each way
    taken, and progress while something is built, goes to `announce`.

    Raises ServerUnavailable, naming what was tried and what to install for all missing parts.
    """
    order = Order(
        folder=folder,
        environment=os.environ if environment is None else environment,
        announce=announce,
        durable=durable,
        ui=ui,
    )
    folder.mkdir(parents=True, exist_ok=True)
    processes: dict[Part, ServerProcess] = {}
    try:
        wanted = sorted(parts)
        provided = await _provide_all(wanted, order, processes)
        addresses = {part: each.address for part, each in zip(wanted, provided, strict=True)}
        ways = {part: each.way for part, each in zip(wanted, provided, strict=True)}
        namespace = order.environment.get("TEMPORAL_NAMESPACE") or NAMESPACE
        if Part.TEMPORAL in processes:
            namespace = NAMESPACE
        ui_url = "".join(each.ui_url for each in provided)
        yield Servers(addresses, ways, processes, namespace, ui_url)
    finally:
        await _stop_all(list(processes.values()))
        if not durable and Part.POSTGRES in processes:
            _remove_stand_in(folder)


async def _provide_all(
    wanted: Sequence[Part], order: Order, processes: dict[Part, ServerProcess]
) -> Sequence[_Provided]:
    tasks = [asyncio.ensure_future(_provide(part, order, processes)) for part in wanted]
    try:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    unavailable = [result for result in results if isinstance(result, ServerUnavailable)]
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, ServerUnavailable):
            raise result
    if unavailable:
        raise unavailable[0] if len(unavailable) == 1 else ServersUnavailable(unavailable)
    return [result for result in results if isinstance(result, _Provided)]


async def _provide(part: Part, order: Order, processes: dict[Part, ServerProcess]) -> _Provided:
    variable = ADDRESS_VARIABLES[part]
    address = order.environment.get(variable, "").strip()
    if address:
        provided = _Provided(address, f"the address in {variable}")
    else:
        try:
            provided = await _start(part, order, processes)
        except ServerFailed as failure:
            remedy = REMEDIES[part]
            raise ServerUnavailable(part, tried=(str(failure),), remedy=remedy) from failure
    order.announce(f"{part.value.capitalize()}: {provided.way}")
    return provided


async def _start(part: Part, order: Order, processes: dict[Part, ServerProcess]) -> _Provided:
    match part:
        case Part.REDIS:
            return await _start_redis(order, processes)
        case Part.POSTGRES:
            return await _start_postgres(order, processes)
        case Part.TEMPORAL:
            return await _start_temporal(order, processes)
        case _:
            assert_never(part)


async def _start_redis(order: Order, processes: dict[Part, ServerProcess]) -> _Provided:
    folder = order.folder / "redis"
    program = await find_redis(order.environment, folder if order.durable else None)
    recipe = redis_recipe(program, folder, durable=order.durable)
    process = processes[Part.REDIS] = ServerProcess(recipe)
    await process.start()
    if order.durable:
        await note_writer(program, folder)
    return _Provided(f"redis://{process.address}/0", program.origin)


async def _start_postgres(order: Order, processes: dict[Part, ServerProcess]) -> _Provided:
    account = unprivileged_account()
    folder = folder_for(account, order.folder / "postgres")
    program = await find_postgres(order.environment, account, data=data_of(folder))
    home = PostgresHome(
        program=program,
        folder=folder,
        account=account,
        durable=order.durable,
    )
    await initialise(home)
    process = processes[Part.POSTGRES] = ServerProcess(postgres_recipe(home))
    await process.start()
    await create_role_and_database(home, process.port)
    return _Provided(home.url(ROLE, process.port), program.origin)


async def _start_temporal(order: Order, processes: dict[Part, ServerProcess]) -> _Provided:
    program = await find_temporal(order.environment, order.announce)
    folder = order.folder / "temporal"
    ui_port = free_port() if order.ui else None
    recipe = temporal_recipe(program, folder, durable=order.durable, ui_port=ui_port)
    process = processes[Part.TEMPORAL] = ServerProcess(recipe)
    await process.start()
    ui_url = "" if ui_port is None else f"http://{LOOPBACK}:{ui_port}"
    return _Provided(process.address, program.origin, ui_url)


async def _stop_all(processes: Sequence[ServerProcess]) -> None:
    try:
        await asyncio.gather(*(process.stop() for process in processes))
    finally:
        # Only when stopping itself was broken off is anything left.
        for process in processes:
            process.kill_now()


def _remove_stand_in(folder: Path) -> None:
    wanted = folder / "postgres"
    actual = folder_for(unprivileged_account(), wanted)
    if actual != wanted:
        shutil.rmtree(actual, ignore_errors=True)
