"""`python -m benchmarks [quick|standard|full] [--only PART ...]`: measure, print, write down."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from temporalio.client import Client

from benchmarks import (
    closings,
    growth,
    latency,
    memory,
    noise,
    resume,
    starting,
    streams,
    variety,
)
from benchmarks.figures import Results
from benchmarks.scale import SCALES, Scale
from benchmarks.stage import Stage
from routing.migrations import migrate
from worker.embedded import embedded_servers

PARTS = (
    "noise",
    "latency",
    "resume",
    "growth",
    "variety",
    "closings",
    "streams",
    "memory",
    "starting",
)
RESULTS = Path(__file__).with_name("results.json")


async def run(scale: Scale, parts: Sequence[str], results: Results) -> None:
    """All parts on one set of servers that nothing else uses, all with the same durability."""
    console = results.console
    with tempfile.TemporaryDirectory(prefix="pointsman-benchmark-") as folder:
        announce = console.print
        # Programs are looked for as ever, and no address of a server is taken from outside.
        programs = {"PATH": os.environ.get("PATH", os.defpath)}
        async with embedded_servers(
            Path(folder), announce=announce, environment=programs
        ) as servers:
            await asyncio.to_thread(migrate, servers.database_url)
            stage = Stage(servers, Path(folder), servers.database_url)
            client = await Client.connect(
                servers.temporal_address, namespace=servers.temporal_namespace
            )
            for part in parts:
                console.rule(part)
                started = time.monotonic()
                await measure(part, stage, client, scale, results)
                console.print(f"  {part}: {time.monotonic() - started:.0f} s")
            stage.close()


async def measure(part: str, stage: Stage, client: Client, scale: Scale, results: Results) -> None:
    match part:
        case "noise":
            await asyncio.to_thread(noise.measure, stage, scale, results)
        case "resume":
            await resume.measure(stage, client, scale, results)
        case "latency":
            await latency.measure(stage, client, scale, results)
        case "variety":
            await variety.prepare(stage, client, scale)
            await asyncio.to_thread(variety.measure, stage, scale, results)
        case "growth":
            stage.clear_waits()
            await asyncio.to_thread(growth.measure, stage, scale, results)
            await growth.registering(stage, scale, results)
        case "closings":
            await closings.measure(stage, client, scale, results)
        case "streams":
            await streams.measure(client, scale, results)
        case "memory":
            await asyncio.to_thread(memory.measure, stage, scale, results)
        case "starting":
            await asyncio.to_thread(starting.measure, stage, results)
        case _:
            raise ValueError(part)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scale", nargs="?", default="standard", choices=sorted(SCALES))
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS, metavar="PART")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    results = Results(arguments.scale, Console(width=110))
    started = time.monotonic()
    try:
        asyncio.run(run(SCALES[arguments.scale], arguments.only, results))
    finally:
        results.show()
        results.write(arguments.output)
    results.console.print(f"{time.monotonic() - started:.0f} s; written to {arguments.output}")


if __name__ == "__main__":
    main()
