"""The service where a server takes every packet and answers none: it says so, and can be ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tests.acceptance.program import Pointsman, ask_to_stop
from tests.chaos.proxy import proxy_to
from tests.conftest import TemporalTarget
from tests.waiting import wait_until


def with_address(url: str, address: str) -> str:
    parts = urlsplit(url)
    credentials, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}{at}{address}"))


async def test_a_temporal_that_swallows_from_the_start_holds_up_no_end(
    pointsman: Pointsman, temporal: TemporalTarget, tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    async with proxy_to(int(temporal.address.rpartition(":")[2])) as proxy:
        proxy.black_hole()
        address = f"127.0.0.1:{proxy.port}"
        command = pointsman.with_settings(TEMPORAL_ADDRESS=address)
        with command.running("run", "--roles", "worker,delivery,sweeper", log=log) as service:
            await wait_until(
                lambda: "service.started" in log.read_text() and proxy.swallowed > 0,
                description="it tries to reach Temporal",
                timeout=90,
            )
            exit_code = await wait_for(lambda: ask_to_stop(service))

    assert exit_code == 0


async def test_a_postgres_that_swallows_holds_up_no_end(
    pointsman: Pointsman, database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "service.log"
    async with proxy_to(urlsplit(database_url).port or 5432) as proxy:
        url = with_address(database_url, f"127.0.0.1:{proxy.port}")
        command = pointsman.with_settings(POINTSMAN_DATABASE_URL=url)
        with command.running("run", "--roles", "consumer", log=log) as service:
            await wait_until(
                lambda: "service.started" in log.read_text(), description="it runs", timeout=90
            )
            proxy.black_hole()
            await wait_until(lambda: proxy.swallowed > 0, description="it asks in vain", timeout=60)
            exit_code = await wait_for(lambda: ask_to_stop(service))

    assert exit_code == 0


async def wait_for(work: Callable[[], int]) -> int:
    """The proxy goes on meanwhile."""
    return await asyncio.to_thread(work)
