"""`pointsman waits reconcile`: comparing open waits with Temporal now, instead of on its period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.asking import with_database
from worker.cli.failures import CommandFailed
from worker.cli.printing import print_json, print_table
from worker.setting_values import parse_duration

if TYPE_CHECKING:
    from routing.database import Database
    from routing.reconcile import Ghost
    from worker.settings import Settings


@dataclass(slots=True)
class _Found:
    """What a walk over the open waits came to."""

    ghosts: list[Ghost] = field(default_factory=list)
    checked: int = 0
    unanswered: int = 0


def reconcile_command(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be retired.")
    ] = False,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            help="Leave younger waits alone: one may be registered before its run is started.",
        ),
    ] = "1m",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per wait and line.")
    ] = False,
) -> None:
    """Retire open waits whose run is gone: once over all of them, at most 200 a second.

    Those of the namespaces in TEMPORAL_NAMESPACE alone. A run that was reset or continued as new
    keeps its waits; one that was retried, or started again by cron or anew, does not.
    """
    try:
        grace = parse_duration(older_than)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--older-than") from error
    found = with_database(partial(_walk, dry_run, grace))
    _print(found.ghosts, as_json=as_json)
    if not as_json:
        done = "would be retired" if dry_run else "retired"
        typer.echo(f"{len(found.ghosts)} of {found.checked} open waits {done}")
    if found.unanswered:
        raise CommandFailed(
            f"of {found.unanswered} waits Temporal did not say how their run stands; they are "
            "left as they are: see that TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE are right and "
            "the server answers, then repeat the command"
        )


async def _walk(dry_run: bool, grace: timedelta, database: Database, settings: Settings) -> _Found:
    # Imported on use, like every client library.
    from routing.reconcile import Reconciler
    from routing.temporal_chains import TemporalChains
    from routing.wakeups import NOTIFY
    from worker.temporal_worker import connect_lazily

    client = await connect_lazily(settings)
    namespaces = settings.temporal_namespaces
    chains = TemporalChains(client, settings.signal_timeout, namespaces=namespaces)
    reconciler = Reconciler(database, chains, namespaces=namespaces, grace=grace)
    found = _Found()
    async for page in reconciler.walk():
        found.ghosts += page.ghosts
        found.checked += page.checked
        found.unanswered += page.unanswered
        if not dry_run:
            await reconciler.bind(page.bonds)
        if page.ghosts and not dry_run:
            await reconciler.retire(page.ghosts)
            async with database.transaction() as connection:
                await connection.execute(NOTIFY)
    return found


def _print(ghosts: Sequence[Ghost], *, as_json: bool) -> None:
    if as_json:
        for ghost in ghosts:
            print_json(ghost)
    elif ghosts:
        rows = [(each.tenant, each.wait_id, each.workflow_id, each.reason) for each in ghosts]
        print_table(("tenant", "wait", "workflow", "why"), rows)
