"""`pointsman status`: are the servers there, how far behind is the stream, what is under way?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.printing import print_json, print_table
from worker.cli.reading import settings_with_warnings
from worker.redaction import redact_urls
from worker.setting_values import format_duration

if TYPE_CHECKING:
    from worker.settings import Settings

PATIENCE = timedelta(seconds=5)


def status_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show whether the servers answer, the lag of each stream and what is under way.

    Exits with 1 when a server does not answer.
    """
    settings = settings_with_warnings()
    found = asyncio.run(_status(settings))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not all(server["ready"] for server in found["servers"].values()):
        raise typer.Exit(1)


async def _status(settings: Settings) -> dict[str, Any]:
    redis, postgres, temporal = await asyncio.gather(
        _asked(_streams(settings)), _asked(_tables(settings)), _asked(_temporal(settings))
    )
    return {
        "servers": {
            "redis": redis["server"],
            "postgres": postgres["server"],
            "temporal": temporal["server"],
        },
        "streams": redis["answer"] or [],
        "backlog": postgres["answer"],
    }


async def _asked(question: Any) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            answer = await question
    except TimeoutError:
        return _absent(f"no answer within {format_duration(PATIENCE)}")
    except Exception as error:  # noqa: BLE001 - whatever keeps a server from answering is shown
        lines = str(error).splitlines()
        return _absent(redact_urls(lines[0] if lines else type(error).__name__))
    return {"server": {"ready": True, "detail": None}, "answer": answer}


def _absent(detail: str) -> dict[str, Any]:
    return {"server": {"ready": False, "detail": detail}, "answer": None}


async def _streams(settings: Settings) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from ingress.backlog import StreamBacklogs
    from ingress.entry import StreamName
    from ingress.redis_connection import connect_redis

    url = settings.redis_url.get_secret_value()
    connect = partial(connect_redis, url, block=settings.block)
    backlogs = StreamBacklogs(connect, [StreamName(s) for s in settings.stream], settings.group)
    try:
        return [asdict(backlog) for backlog in await backlogs.measure()]
    finally:
        await backlogs.aclose()


async def _tables(settings: Settings) -> dict[str, Any]:
    from dataclasses import asdict

    from routing.backlog import measure_backlog
    from routing.database import DatabaseLimits, open_database

    limits = DatabaseLimits(connections=1, connect_timeout=PATIENCE)
    async with open_database(settings.database_url.get_secret_value(), limits) as database:
        await database.verify_schema()
        return asdict(await measure_backlog(database))


async def _temporal(settings: Settings) -> None:
    from worker.observe.temporal_check import temporal_check
    from worker.temporal_worker import connect_lazily

    await temporal_check(await connect_lazily(settings))()


def _print(found: dict[str, Any]) -> None:
    servers = found["servers"].items()
    rows = [(name, "ready" if s["ready"] else "away", s["detail"]) for name, s in servers]
    print_table(("server", "state", ""), rows)
    typer.echo()
    if found["streams"]:
        columns = ("stream", "length", "unread", "pending", "oldest", "trimmed", "dead letters")
        print_table(
            columns,
            [
                (
                    each["stream"],
                    each["length"],
                    "?" if each["unread"] is None else each["unread"],
                    each["pending"],
                    _age(each["oldest_pending"] or each["oldest_unread"]),
                    each["trimmed_unread"],
                    each["dead_letters"],
                )
                for each in found["streams"]
            ],
        )
        typer.echo()
    if found["backlog"] is not None:
        backlog = found["backlog"]
        print_table(
            ("open waits", "buffered events", "pending deliveries", "oldest of them"),
            [
                (
                    backlog["open_waits"],
                    backlog["available_events"],
                    backlog["pending_deliveries"],
                    _age(backlog["oldest_pending"]),
                )
            ],
        )


def _age(age: timedelta | None) -> str:
    return "" if age is None else format_duration(age)
