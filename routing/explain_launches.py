"""What the triggers of an event's name would do with it now."""

from __future__ import annotations

from typing import assert_never

from correlation.event import Event
from correlation.launching import Launching, NotLaunching
from routing.database import Connection
from routing.launch_recording import foresee_launches


async def launch_prospects(
    connection: Connection, event: Event, key: str | None, *, taken: bool
) -> list[str]:
    """One sentence for each enabled trigger; `taken` says whether a wait would take the event."""
    sentences = []
    for trigger_id, workflow, only_without_wait, decision in await foresee_launches(
        connection, event, key
    ):
        match decision:
            case Launching() if only_without_wait and taken:
                why = "a wait would take the event"
                sentences.append(f"Trigger {trigger_id} would start no {workflow}: {why}.")
            case Launching():
                sentences.append(f"It would start {workflow} (trigger {trigger_id}).")
            case NotLaunching(reason, detail):
                why = f"{reason.value}: {detail}"
                sentences.append(f"Trigger {trigger_id} would start no {workflow}: {why}.")
            case _:
                assert_never(decision)
    return sentences
