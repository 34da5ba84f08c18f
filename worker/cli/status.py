"""`pointsman status`: are the servers there, how far behind is the stream, what is under way?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any

import typer

from worker.cli.printing import print_json, print_table
from worker.cli.reading import settings_with_warnings
from worker.setting_values import format_duration


def status_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show whether the servers answer, the lag of each stream and what is under way.

    Exits with 1 when a server does not answer.
    """
    settings = settings_with_warnings()
    # Imported on use, and before anything is asked: loading the clients must not count as silence.
    from worker.cli.standing import standing

    found = asyncio.run(standing(settings))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not all(server["ready"] for server in found["servers"].values()):
        raise typer.Exit(1)


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
            (
                "open waits",
                "buffered events",
                "pending deliveries",
                "oldest of them",
                "unattempted for",
                "pending launches",
                "oldest of these",
            ),
            [
                (
                    backlog["open_waits"],
                    backlog["available_events"],
                    backlog["pending_deliveries"],
                    _age(backlog["oldest_pending"]),
                    _age(backlog["oldest_unattempted"]),
                    backlog["pending_launches"],
                    _age(backlog["oldest_launch"]),
                )
            ],
        )
        if backlog["unserved"]:
            typer.echo()
            print_table(
                ("namespace that nobody serves", "deliveries", "launches", "oldest"),
                [
                    (each["namespace"], each["deliveries"], each["launches"], _age(each["oldest"]))
                    for each in backlog["unserved"]
                ],
            )


def _age(age: timedelta | None) -> str:
    return "" if age is None else format_duration(age)
