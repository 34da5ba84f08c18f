"""`pointsman rules shadow`: what other rules would have made of the events that have come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.asking import with_database
from worker.cli.printing import print_json, print_table
from worker.cli.rules import load_or_exit

if TYPE_CHECKING:
    from routing.database import Database
    from worker.settings import Settings
    from worker.shadow import Difference


def shadow_command(
    file: Annotated[Path, typer.Argument(help="The proposed rules: .toml, .yaml or .json.")],
    last: Annotated[
        int, typer.Option("--last", min=1, max=100_000, help="Try them on so many events.")
    ] = 1000,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Of this tenant only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Try proposed rules on the newest stored events and tell the difference. Changes nothing."""
    rules = load_or_exit(file)

    async def work(database: Database, _settings: Settings) -> Difference:
        from worker.shadow import shadow

        tenants = None if tenant is None else [tenant]
        return await shadow(database.transaction, rules, last=last, tenants=tenants)

    found = with_database(work)
    if as_json:
        print_json(found)
        return
    typer.echo(found.sentence)
    if found.changed:
        print_table(
            ("tenant", "event", "name", "keys", "keys then", "would wake", "stops matching"),
            [
                (
                    each.tenant,
                    each.event_id,
                    each.name,
                    ", ".join(each.old_keys),
                    ", ".join(each.new_keys),
                    ", ".join(waking.workflow_id for waking in each.would_wake),
                    "yes" if each.would_stop else "",
                )
                for each in found.changed
            ],
        )
