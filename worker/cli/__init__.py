"""The command `pointsman`: every command says in one line what went wrong, and exits non-zero."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import Annotated, Final

import typer

from worker.cli.audit_commands import events_app, waits_app
from worker.cli.contracts import contracts_command
from worker.cli.dead_letters import dlq_app
from worker.cli.explain import explain_app
from worker.cli.failures import said_of
from worker.cli.openapi import openapi_command
from worker.cli.publishing import publish_command
from worker.cli.reconciling import reconcile_command
from worker.cli.reference import reference_app
from worker.cli.replay import bind_command, replay_command
from worker.cli.resolve import resolve_command
from worker.cli.rules import rules_app
from worker.cli.running import demo_command, dev_command, migrate_command, run_command
from worker.cli.runs import runs_app
from worker.cli.shadow import shadow_command
from worker.cli.showing_metrics import metrics_command
from worker.cli.showing_settings import settings_command
from worker.cli.status import status_command
from worker.cli.tail import export_command, tail_command
from worker.cli.tasks import tasks_app
from worker.cli.tokens import tokens_app
from worker.cli.triggers import triggers_app

INTERRUPTED: Final = 130
"""What shells report for a program that Ctrl-C ended."""

app = typer.Typer(
    name="pointsman",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Resumes Temporal workflows on business events.",
)
app.command("run")(run_command)
app.command("migrate")(migrate_command)
app.command("dev")(dev_command)
app.command("demo")(demo_command)
app.command("resolve")(resolve_command)
rules_app.command("shadow")(shadow_command)
events_app.command("replay")(replay_command)
events_app.command("export")(export_command)
waits_app.command("bind")(bind_command)
waits_app.command("reconcile")(reconcile_command)
app.add_typer(explain_app, name="explain")
app.add_typer(rules_app, name="rules")
app.add_typer(events_app, name="events")
app.add_typer(waits_app, name="waits")
app.add_typer(triggers_app, name="triggers")
app.add_typer(runs_app, name="runs")
app.add_typer(tasks_app, name="tasks")
app.add_typer(dlq_app, name="dlq")
app.command("publish")(publish_command)
app.command("tail")(tail_command)
app.command("status")(status_command)
app.command("settings")(settings_command)
app.command("metrics")(metrics_command)
app.command("contracts")(contracts_command)
app.add_typer(tokens_app, name="tokens")
app.command("openapi")(openapi_command)
app.add_typer(reference_app, name="reference")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pointsman {version('pointsman-service')}")
        raise typer.Exit


@app.callback()
def _pointsman(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Resumes Temporal workflows on business events."""


def main() -> None:
    """The entry point of the program: carries out the command line and ends the process."""
    try:
        carry_out()
    except SystemExit as end:
        _leave_native_threads(end)
        raise


def carry_out() -> None:
    """Carry out the command line; raises SystemExit.

    Its code is 2 for wrong settings or usage, and 1 for any other failure.
    """
    try:
        app()
    except Exception as error:
        failure = said_of(error)
        if failure is None:
            raise
        print(f"pointsman: {failure.message}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _leave_native_threads(end: SystemExit) -> None:
    """End here where threads of Temporal's SDK may be at work; everything of ours is closed.

    One that comes back from a call while the interpreter is taken down aborts the process: seen
    as exit code -6 ("PyGILState_Release") after a command that had said all it had to say.
    """
    if "temporalio.bridge" not in sys.modules or isinstance(end.code, str):
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(end.code or 0)
