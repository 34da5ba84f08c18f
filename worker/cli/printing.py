"""How the commands print: tables for a person, one JSON object per line for a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from correlation.exact_writing import line_of_json

Cell: TypeAlias = str | int | float | datetime | timedelta | None

OUTCOME_STYLES: Mapping[str, str] = {
    "matched": "green",
    "delivered": "green",
    "no_wait": "yellow",
    "pending": "yellow",
    "unresolved": "yellow",
    "malformed": "red",
    "rejected": "red",
    "dead": "red",
}


def print_json(record: Any) -> None:
    """One record as one line of JSON: times in RFC 3339, durations in seconds."""
    plain = record if isinstance(record, Mapping) else asdict(record)
    # Bytes, because JSON is UTF-8 whatever the terminal's locale says.
    typer.echo(line_of_json(plain, _plain).encode())


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str | None = None
) -> None:
    """A table as wide as the terminal; piped into another program nothing is cut off."""
    console().print(make_table(columns, rows, title=title))


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str | None = None
) -> Table:
    """The table itself; numbers stand to the right, outcomes in their colour."""
    cells = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        numeric = all(isinstance(row[position], int | float | None) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(_shown, row))
    return table


def console() -> Console:
    """Standard output; a pipe counts as a wide terminal without colours."""
    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=250)


def clock(moment: datetime | None) -> str:
    """A moment in UTC, to the millisecond."""
    if moment is None:
        return ""
    return moment.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """Text from outside without what would steer the terminal."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _shown(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case datetime():
            return clock(cell)
        case float():
            return f"{cell:,.1f}"
        case _:
            text = escape(printable(str(cell)))
            style = OUTCOME_STYLES.get(str(cell))
            return f"[{style}]{text}[/]" if style else text


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case frozenset() | set():
            return sorted(value)
        case _:
            return str(value)
