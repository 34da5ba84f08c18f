"""What the triggers of an event's name would do with it now, and which of them are disabled."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, assert_never

from correlation.event import Event
from correlation.launching import Launching, NotLaunching
from routing.audit_sentences import moment
from routing.database import Connection
from routing.launch_recording import foresee_launches


async def launch_prospects(
    connection: Connection,
    event: Event,
    key: str | None,
    *,
    taken: bool,
    held: str | None = None,
) -> list[str]:
    """One sentence for each trigger; `taken` says whether a wait would take the event.

    `held` says why the event would launch nothing at all.
    """
    sentences = []
    for trigger_id, workflow, only_without_wait, decision in await foresee_launches(
        connection, event, key
    ):
        match decision:
            case Launching() if held is not None:
                sentences.append(f"Trigger {trigger_id} would start no {workflow}: {held}.")
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
    return sentences + await disabled_triggers(connection, event)


MOST_DISABLED: Final = 20
# Indexes: the triggers' primary key, whose few rows are filtered by name; of the operators' audit
# workflow_operator_actions_by_target.
DISABLED_TRIGGERS: Final = """
SELECT t.trigger_id, t.workflow_type, t.updated_at, a.actor, a.reason
FROM workflow_event_triggers AS t LEFT JOIN LATERAL (
    SELECT actor, reason FROM workflow_operator_actions
    WHERE tenant_id = t.tenant_id AND target_kind = 'trigger' AND target_id = t.trigger_id
      AND action IN ('disable_trigger', 'apply_trigger')
    ORDER BY at DESC LIMIT 1
) AS a ON true
WHERE t.tenant_id = %(tenant)s AND t.event_name = %(name)s AND NOT t.enabled
ORDER BY t.trigger_id LIMIT %(count)s
"""


async def disabled_triggers(
    connection: Connection,
    event: Event,
    *,
    came_at: datetime | None = None,
    considered: Collection[str] = (),
) -> list[str]:
    """One sentence for each disabled trigger of the event's name that was not considered for it.

    `came_at` is when a recorded event came; None: it has not come.
    """
    parameters = {"tenant": event.tenant, "name": event.name, "count": MOST_DISABLED}
    cursor = await connection.execute(DISABLED_TRIGGERS, parameters)
    return [
        _disabled(*row, came_at=came_at)
        for row in await cursor.fetchall()
        if row[0] not in considered
    ]


def _disabled(
    trigger_id: str,
    workflow: str,
    since: datetime,
    actor: str | None,
    reason: str | None,
    *,
    came_at: datetime | None,
) -> str:
    who = f" by {actor}" if actor else ""
    why = f" ({reason})" if reason else ""
    disabled = f"Trigger {trigger_id} is disabled since {moment(since)}{who}{why}"
    if came_at is None:
        return f"{disabled}: it would start no {workflow}."
    if since <= came_at:
        return f"{disabled}: it started no {workflow}."
    return f"{disabled}, after the event came; it had not started any {workflow}."
