"""`pointsman run`, `migrate`, `dev` and `demo`: the commands that start something."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from worker.cli.reading import settings_with_warnings
from worker.setting_values import parse_duration
from worker.settings import PREFIX, Settings, load_settings
from worker.settings_error import known_variables, unknown_variables

TERMINATED: Final = 143
"""What shells report for a program that SIGTERM ended."""

# Beside the packages: the service is always installed from its own checkout.
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"


def run_command(
    roles: Annotated[
        str | None,
        typer.Option(
            "--roles", help="What this process does: consumer,delivery,worker,sweeper,api."
        ),
    ] = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C; what is in hand is finished first."""
    # Imported on use: the Temporal client loads a native library, which other commands never need.
    import structlog

    from worker.logs import configure_logs
    from worker.running import run

    settings = load_settings(roles=roles)
    configure_logs(log_level=settings.log_level, log_format=settings.log_format)
    log = structlog.get_logger("pointsman")
    for stranger in unknown_variables(os.environ, known_variables(Settings, PREFIX), PREFIX):
        log.warning("setting.ignored", variable=stranger.name, nearest=stranger.nearest)
    asyncio.run(run(settings))


def migrate_command(
    contract: Annotated[
        bool,
        typer.Option(
            "--contract",
            help="Also take away what only older programs use: after the last of them has ended.",
        ),
    ] = False,
    statement_timeout: Annotated[
        str,
        typer.Option(
            "--statement-timeout",
            help="Longest time of one statement, such as the building of an index.",
        ),
    ] = "1h",
) -> None:
    """Bring the database's schema up to date; harmless when it is already."""
    from routing.migrations import MigrationLimits, migrate

    try:
        longest = parse_duration(statement_timeout)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error), param_hint="--statement-timeout") from error
    settings = settings_with_warnings()
    limits = MigrationLimits(settings.lock_timeout, longest)
    url = settings.database_url.get_secret_value()
    namespace = settings.temporal_namespace
    before, after = migrate(url, contract=contract, limits=limits, namespace=namespace)
    if before == after:
        typer.echo(f"the schema is at version {after} already")
    else:
        typer.echo(f"migrated the schema from {before or 'nothing'} to version {after}")


def dev_command(
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="Keep the servers' data there; without it none is kept."),
    ] = None,
    exports: Annotated[
        Path | None,
        typer.Option("--exports", help="Write what another terminal has to export to this file."),
    ] = None,
) -> None:
    """Start Redis, Postgres, Temporal and the service on this machine, until Ctrl-C."""
    from worker.dev import dev

    if exports is not None and not exports.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"{exports.parent} is no folder; make it first", param_hint="--exports"
        )
    raise typer.Exit(_run_to_the_end(dev(folder, exports)))


def demo_command(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")
    ] = False,
    examples: Annotated[
        Path,
        typer.Option(
            "--examples", help="Folder of the example events and workflows.", show_default=False
        ),
    ] = EXAMPLES,
) -> None:
    """Send a file of example events through real servers and show whom each one woke.

    Exits with 0 only when everything went as the file says it should.
    """
    from worker.demo import demo

    raise typer.Exit(_run_to_the_end(demo(examples, keep=keep)))


def _run_to_the_end(program: Coroutine[Any, Any, int]) -> int:
    """Run it; SIGTERM, like Ctrl-C, lets it stop whatever it has started."""

    async def stoppable() -> int:
        task = asyncio.ensure_future(program)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await task

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        return TERMINATED
