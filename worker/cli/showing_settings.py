"""`pointsman settings`: every setting, its value now, its default, and what it means."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.printing import print_json, print_table
from worker.cli.reading import settings_with_warnings
from worker.settings_table import settings_markdown, settings_rows


def settings_command(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page of the documentation.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
) -> None:
    """Show every setting with its value now (passwords hidden), and what it means."""
    if markdown:
        typer.echo(settings_markdown(), nl=False)
        return
    rows = settings_rows(settings_with_warnings())
    if as_json:
        for row in rows:
            print_json(row)
        return
    print_table(
        ("variable", "value", "default", "meaning"),
        [(row.variable, row.value, row.default, row.description) for row in rows],
    )
