"""`pointsman explain`: why did this event wake nobody, and why does that workflow still wait?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ingress.entry import Malformed
from worker.cli.asking import with_database
from worker.cli.failures import CommandFailed
from worker.cli.hiding import redaction
from worker.cli.printing import clock, console, make_table, print_json, printable
from worker.cli.rules import load_or_exit
from worker.explanations import event_explanation_as_json, run_explanation_as_json

if TYPE_CHECKING:
    from correlation.event import Event
    from correlation.wait_seen import WaitSeen
    from routing.database import Database
    from routing.explain_records import EventExplanation, RunExplanation
    from worker.settings import Settings

explain_app = typer.Typer(no_args_is_help=True, help="Ask why somebody was not woken.")

Tenant = Annotated[str | None, typer.Option("--tenant", help="Of this tenant only.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
RulesFile = Annotated[
    Path | None,
    typer.Option("--rules", metavar="FILE", help="Rules; default: those of the environment."),
]
STANDARD_INPUT = Path("-")


@explain_app.callback()
def _explain() -> None:
    """Ask why somebody was not woken."""


@explain_app.command("event")
def explain_event_command(
    event_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="An event's id, or a rejected entry's.")
    ] = None,
    entry: Annotated[
        Path | None,
        typer.Option(
            "--entry",
            metavar="FILE|-",
            help="Instead: an event that has not come, as a JSON object of its fields.",
        ),
    ] = None,
    tenant: Tenant = None,
    rules: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Explain whom an event woke and, where nobody, why not and what to do. Changes nothing."""
    if (event_id is None) == (entry is None):
        raise typer.BadParameter("give either an event's id or --entry")
    in_force = load_or_exit(rules)
    hypothetical = None if entry is None else _event_of(entry)

    async def ask(database: Database, settings: Settings) -> Sequence[EventExplanation]:
        from routing.explain import explain_hypothetical, explain_stored

        if hypothetical is not None:
            explanation = await explain_hypothetical(
                database,
                in_force,
                hypothetical,
                across_tenants=True,
                launches_held=_held(hypothetical, settings),
            )
            return [explanation]
        return await explain_stored(
            database, in_force, event_id or "", tenant=tenant, across_tenants=True
        )

    explanations = with_database(ask)
    if not explanations:
        whose = f" of tenant {tenant}" if tenant else ""
        raise CommandFailed(
            f"no event or rejected entry{whose} has the id {event_id!r}: either it never reached "
            "the stream that is read, or it has not been read yet, or it is no longer kept"
        )
    for explanation in explanations:
        if as_json:
            print_json(event_explanation_as_json(explanation, redaction()))
        else:
            _print_event(explanation)


@explain_app.command("run")
def explain_run_command(
    workflow_id: Annotated[str, typer.Argument(metavar="WORKFLOW_ID")],
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Explain what a workflow waits for, and what passed it by. Changes nothing."""

    async def ask(database: Database, _settings: Settings) -> Sequence[RunExplanation]:
        from routing.explain_run import explain_run

        return await explain_run(database, workflow_id, tenant=tenant, across_tenants=True)

    explanations = with_database(ask)
    if not explanations:
        raise CommandFailed(
            f"no wait of the workflow {workflow_id!r} is recorded: either it has not registered "
            "one yet (see that the worker role runs on its Temporal namespace), or it waits for "
            "something else"
        )
    for explanation in explanations:
        if as_json:
            print_json(run_explanation_as_json(explanation))
        else:
            _print_run(explanation)


def _event_of(path: Path) -> Event:
    from worker.explanations import read_hypothetical

    try:
        body = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}") from None
    decoded = read_hypothetical(body)
    if isinstance(decoded, Malformed):
        raise CommandFailed(
            f"such an entry would wake nobody: it is no event ({decoded.reason}): {decoded.detail}"
        )
    return decoded


def _held(event: Event, settings: Settings) -> str | None:
    """Why the payload schemas would let the event start nothing; raises where they refuse it."""
    if settings.schemas_file is None:
        return None
    from ingress.schemas import schemas_from_file
    from worker.explanations import judged

    found = judged(schemas_from_file(settings.schemas_file).fault_of(event))
    if isinstance(found, Malformed):
        raise CommandFailed(f"such an event would be rejected: {found.detail}")
    return found


def _print_event(explanation: EventExplanation) -> None:
    screen = console()
    rows = [
        ("tenant", explanation.tenant or "(none usable)"),
        ("event", f"{explanation.name or '(no name)'} {explanation.event_id or '(no id)'}"),
        ("outcome", _words(explanation.outcome, explanation.reason)),
        ("received", "" if explanation.hypothetical else clock(explanation.received_at)),
        ("keys", ", ".join(explanation.keys)),
        ("keys as recorded", _if_other(explanation.recorded_keys, explanation.keys)),
        ("rules in force", explanation.rules_version),
        ("rules as recorded", explanation.recorded_rules_version or ""),
    ]
    screen.print(make_table(("", ""), [row for row in rows if row[1]]))
    screen.print()
    if explanation.places:
        places = [(p.place, ", ".join(p.keys) or p.found, p.detail) for p in explanation.places]
        screen.print(make_table(("place", "found there", ""), places))
        screen.print()
    if explanation.waits:
        _print_waits(explanation.waits)
    _print_advice(explanation.sentences, explanation.what_to_do)


def _print_waits(waits: Sequence[WaitSeen]) -> None:
    columns = ("workflow", "wait", "status", "registered", "closed", "look-back", "filter")
    rows = [
        (
            wait.workflow_id,
            wait.wait_id,
            wait.status if wait.status == "waiting" else f"{wait.status} ({wait.end})",
            clock(wait.registered_at),
            clock(wait.closed_at),
            f"{wait.lookback.total_seconds():g} s",
            wait.filter,
        )
        for wait in waits
    ]
    console().print(make_table(columns, rows))
    console().print()


def _print_run(explanation: RunExplanation) -> None:
    screen = console()
    for sentence in explanation.sentences:
        screen.print(f"[bold]{escape(printable(sentence))}[/]", soft_wrap=True)
    screen.print()
    _print_waits([each.wait for each in explanation.waits])
    for each in explanation.waits:
        for sentence in each.sentences:
            screen.print(escape(printable(sentence)), soft_wrap=True)
    _print_advice((), explanation.what_to_do)


def _print_advice(sentences: Sequence[str], what_to_do: Sequence[str]) -> None:
    screen = console()
    for sentence in sentences:
        screen.print(f"[bold]{escape(printable(sentence))}[/]", soft_wrap=True)
    if what_to_do:
        screen.print("\nWhat to do")
        for fix in what_to_do:
            screen.print(f"  - {escape(printable(fix))}", soft_wrap=True)
    screen.print()


def _words(outcome: str, reason: str | None) -> str:
    return f"{outcome} ({reason})" if reason else outcome


def _if_other(recorded: Sequence[str], now: Sequence[str]) -> str:
    return "" if recorded == now else ", ".join(recorded) or "(none)"
