"""`pointsman metrics`: every metric that the service shows, and what it means."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from worker.cli.printing import print_json, print_table
from worker.observe.catalogue import CATALOGUE, metrics_markdown


def metrics_command(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page of the documentation.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
) -> None:
    """Show every metric with its labels and its meaning; their values are at /metrics."""
    if markdown:
        typer.echo(metrics_markdown(), nl=False)
        return
    if as_json:
        for metric in CATALOGUE.values():
            print_json(asdict(metric))
        return
    print_table(
        ("metric", "type", "labels", "meaning"),
        [
            (metric.name, metric.kind.value, ", ".join(metric.labels), metric.meaning)
            for metric in CATALOGUE.values()
        ],
    )
