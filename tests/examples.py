"""The example files played on a database alone: their workflows' waits, their entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from correlation.closing import Closing
from correlation.event import Event
from correlation.reason import Outcome
from correlation.resolution import resolve
from correlation.rules import Rules
from ingress.envelope import decode, raw_bytes
from pointsman.contract import Disposition
from routing.incoming import IncomingEvent, Origin, RejectedEntry
from routing.matching import Matcher
from routing.waits import Wait, Waits
from tests.builders import a_wait
from worker.demo.examples import Examples, ExampleWorkflow, read_examples
from worker.rules_source import rules_from_file

FOLDER: Final = Path(__file__).parents[1] / "examples"
STREAM: Final = "examples"

AWAITED: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "OrderWorkflow": ("invoice_id", ["INVOICE_PAID"]),
    "TicketWorkflow": ("ticket_id", ["TICKET_COMMENT_ADDED"]),
    "QuoteWorkflow": ("quote_id", ["QUOTE_ACCEPTED", "QUOTE_REJECTED"]),
    "ProjectWorkflow": ("project_id", ["PROJECT_APPROVED", "PROJECT_STAFFED"]),
    "AppointmentsWorkflow": ("client_id", ["APPOINTMENT_BOOKED"]),
}
"""What each example workflow waits for: the member of its input with the key, and the names."""


def examples() -> Examples:
    return read_examples(FOLDER)


def example_rules() -> Rules:
    return rules_from_file(FOLDER / "rules.toml")


def entry_id(line: int) -> str:
    return f"{line}-0"


def waits_of(workflow: ExampleWorkflow) -> Iterator[Wait]:
    member, names = AWAITED[workflow.workflow_type]
    for name in names:
        yield a_wait(
            key=workflow.input[member],
            event_name=name,
            tenant=workflow.input["tenant"],
            workflow_id=workflow.workflow_id,
            wait_id=f"{workflow.workflow_id}/{name}",
            lookback=timedelta(minutes=10),
        )


async def play(matcher: Matcher, waits: Waits, *, then_close: bool) -> None:
    """Register the waits, record every entry, start the late workflows, close what timed out."""
    played = examples()
    early = [wait for each in played.starting("before") for wait in waits_of(each)]
    late = [wait for each in played.starting("after") for wait in waits_of(each)]
    await waits.register(early)
    rules = example_rules()
    for entry in played.entries:
        content = _content(entry.fields, entry_id(entry.line), rules)
        if isinstance(content, IncomingEvent):
            await matcher.record([content])
        else:
            await matcher.record([], [content])
    await waits.register(late)
    if then_close:
        await waits.close([_timed_out(wait) for wait in early + late])


def _content(fields: Mapping[bytes, bytes], entry: str, rules: Rules) -> Any:
    decoded = decode(fields)
    origin = Origin(STREAM, entry)
    if isinstance(decoded, Event):
        return IncomingEvent(decoded, resolve(decoded, rules), origin, rules.version)
    return RejectedEntry(
        origin=origin,
        outcome=Outcome.MALFORMED,
        reason=decoded.reason,
        detail=decoded.detail,
        raw=raw_bytes(fields)[:1000],
        tenant=decoded.tenant or "",
        event_id=decoded.event_id,
        event_name=decoded.event_name,
    )


def _timed_out(wait: Wait) -> Closing:
    return Closing(wait.tenant, wait.wait_id, Disposition.TIMED_OUT)
