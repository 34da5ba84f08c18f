"""`make race`: 100,000 pairs, each with a key of its own, from several processes.

    python -m tests.race --pairs 100000 --processes 4 --connections 16

Uses the Postgres of POINTSMAN_DATABASE_URL, in a database of its own, or starts one. Exit code 0
only when no pair is lost, doubled or crossed. With --without-lock it shows what the lock is for.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from pointsman.contract import Cardinality
from tests.databases import create_template, drop_database
from tests.race.findings import Findings, look
from tests.race.pairs import Race, run_race_here
from worker.embedded import Part, embedded_servers


def run_everywhere(url: str, races: list[Race]) -> None:
    """All shares at once, each in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(races), mp_context=context) as pool:
        for share in [pool.submit(run_race_here, url, race) for race in races]:
            share.result()


def shares(options: argparse.Namespace) -> list[Race]:
    """The pairs dealt out to the processes; on hot keys their numbers meet on the same keys."""
    return [
        Race(
            numbers=range(start, options.pairs, options.processes),
            connections=max(2, options.connections // options.processes),
            hot_keys=options.hot_keys,
            cardinality=Cardinality(options.cardinality),
            locked=not options.without_lock,
            seed=options.seed,
        )
        for start in range(options.processes)
    ]


async def race_on_a_server(options: argparse.Namespace) -> tuple[Findings, float]:
    """Start or find Postgres, race, and look at what is left."""
    with tempfile.TemporaryDirectory(prefix="pointsman-race-") as name:
        folder = Path(name)
        # Postgres runs under another account when this is run by root.
        folder.chmod(0o711)  # noqa: ASYNC240  a folder of our own, before anything runs
        async with embedded_servers(folder, parts=[Part.POSTGRES], announce=say) as servers:
            url = await asyncio.to_thread(create_template, servers.database_url)
            try:
                started = time.monotonic()
                await asyncio.to_thread(run_everywhere, url, shares(options))
                seconds = time.monotonic() - started
                return await asyncio.to_thread(look, url), seconds
            finally:
                await asyncio.to_thread(drop_database, url, servers.database_url)


def say(line: str) -> None:
    """One line to the terminal."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make race", description="Races events against waits.")
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16, help="of all processes together")
    parser.add_argument("--hot-keys", type=int, help="all pairs share so many keys")
    parser.add_argument("--cardinality", choices=list(Cardinality), default=Cardinality.ALL)
    parser.add_argument("--without-lock", action="store_true", help="the known-wrong variant")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found, seconds = asyncio.run(race_on_a_server(options))
    say(
        f"{options.pairs} pairs, {options.connections} connections, {options.processes} processes,"
        f" {seconds:.0f} s: {found.deliveries} deliveries, {found.looked_back} of them by look-back"
    )
    say(f"{found.lost} lost, {found.doubled} doubled, {found.crossed} crossed")
    return 0 if found.flawless and found.events == found.waits == options.pairs else 1


if __name__ == "__main__":
    sys.exit(main())
