"""`pointsman run`, `dev` and `demo`: the commands that start something."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

TERMINATED: Final = 143
"""What shells report for a program that SIGTERM ended."""
INTERRUPTED: Final = {
    signal.SIGTERM: TERMINATED,
    signal.SIGINT: 128 + signal.SIGINT,
    signal.SIGHUP: 128 + signal.SIGHUP,
}
"""For what has a result, and was ended before it: as shells report it."""
STOPPED: Final = dict.fromkeys(INTERRUPTED, 0)
"""For what runs until it is told to stop."""

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
    from worker.settings import PREFIX, Settings, load_settings
    from worker.settings_error import known_variables, unknown_variables

    settings = load_settings(roles=roles)
    configure_logs(log_level=settings.log_level, log_format=settings.log_format)
    log = structlog.get_logger("pointsman")
    for stranger in unknown_variables(os.environ, known_variables(Settings, PREFIX), PREFIX):
        log.warning("setting.ignored", variable=stranger.name, nearest=stranger.nearest)
    asyncio.run(run(settings))


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
    raise typer.Exit(_run_to_the_end(dev(folder, exports), told_to_stop=STOPPED))


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


def _run_to_the_end(
    program: Coroutine[Any, Any, int], *, told_to_stop: Mapping[signal.Signals, int] = INTERRUPTED
) -> int:
    """Run it; the first signal lets it stop whatever it has started, and further ones wait."""
    heard: list[signal.Signals] = []

    async def stoppable() -> int:
        task = asyncio.ensure_future(program)

        def stop(number: signal.Signals) -> None:
            if not heard:
                task.cancel()
            heard.append(number)

        for number in told_to_stop:
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(stoppable())
    except asyncio.CancelledError:
        return told_to_stop[heard[0]] if heard else TERMINATED
