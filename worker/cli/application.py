"""The commands of `pointsman`, each loaded from its module when it is named."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final

import typer

COMMANDS: Final[Mapping[str, str]] = {
    "run": "running:run_command",
    "migrate": "migrating:migrate_command",
    "dev": "running:dev_command",
    "demo": "running:demo_command",
    "resolve": "resolve:resolve_command",
    "publish": "publishing:publish_command",
    "tail": "tail:tail_command",
    "status": "status:status_command",
    "settings": "showing_settings:settings_command",
    "metrics": "showing_metrics:metrics_command",
    "contracts": "contracts:contracts_command",
    "openapi": "openapi:openapi_command",
}
GROUPS: Final[Mapping[str, str]] = {
    "explain": "explain:explain_app",
    "rules": "rules:rules_app",
    "events": "audit_commands:events_app",
    "waits": "audit_commands:waits_app",
    "triggers": "triggers:triggers_app",
    "launches": "launches:launches_app",
    "runs": "runs:runs_app",
    "tasks": "tasks:tasks_app",
    "dlq": "dead_letters:dlq_app",
    "tokens": "tokens:tokens_app",
    "reference": "reference:reference_app",
}
ADDED: Final[Mapping[str, Mapping[str, str]]] = {
    "rules": {"shadow": "shadow:shadow_command"},
    "events": {"replay": "replay:replay_command", "export": "tail:export_command"},
    "waits": {"bind": "replay:bind_command", "reconcile": "reconciling:reconcile_command"},
}
"""Commands of a group that other modules carry out."""


def application(words: Sequence[str] = ()) -> typer.Typer:
    """The application that carries these words out: with the named command alone, if one is named.

    All commands together take most of a second to load.
    """
    first = words[0] if words and "_POINTSMAN_COMPLETE" not in os.environ else ""
    if first in COMMANDS or first in GROUPS:
        return _with([first])
    return everything()


@cache
def everything() -> typer.Typer:
    """With every command."""
    return _with([*COMMANDS, *GROUPS])


def _with(names: Sequence[str]) -> typer.Typer:
    app = typer.Typer(
        name="pointsman",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        help="Resumes Temporal workflows on business events.",
    )
    app.callback()(_pointsman)
    for name in names:
        if name in COMMANDS:
            app.command(name)(_loaded(COMMANDS[name]))
        else:
            app.add_typer(_group(name), name=name)
    return app


@cache
def _group(name: str) -> typer.Typer:
    group: typer.Typer = _loaded(GROUPS[name])
    for command, place in ADDED.get(name, {}).items():
        group.command(command)(_loaded(place))
    return group


def _loaded(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(f"worker.cli.{module}"), attribute)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pointsman {version('pointsman-service')}")
        raise typer.Exit


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
