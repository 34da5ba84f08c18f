"""Event names that are waited for, or launch, and whose events nobody will find a key in.

What is known is what was published lately: the newest five thousand events of a tenant.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from correlation.rules import Rules
from routing.database import Connection
from routing.explain_statements import AWAITED_NAMES

CODE: Final = "EVENT_WAIT_UNCORRELATABLE"
RECENT: Final = 5_000
MOST_NAMES: Final = 500

# Index: workflow_runtime_events_listed, read backwards to the limit.
KEYS_SEEN: Final = """
SELECT event_name, bool_or(correlation_key IS NOT NULL) FROM (
    SELECT event_name, correlation_key FROM workflow_runtime_events
    WHERE tenant_id = %(tenant)s ORDER BY tenant_id, received_at DESC LIMIT %(recent)s
) AS recent
GROUP BY event_name
"""

# Index: workflow_event_triggers_enabled.
TRIGGER_NAMES: Final = """
SELECT DISTINCT event_name FROM workflow_event_triggers
WHERE tenant_id = %(tenant)s AND enabled ORDER BY event_name LIMIT %(count)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncorrelatable:
    """A warning: events of this name wake nobody, as things are."""

    code: str
    tenant: str
    event_name: str
    awaited_by: str
    """`wait` or `trigger`."""
    paths: tuple[str, ...]
    """What would be read of the payload, in this order."""
    sentence: str


async def uncorrelatable(
    connection: Connection,
    tenant: str,
    rules: Rules,
    *,
    names: Collection[tuple[str, str]] | None = None,
) -> Sequence[Uncorrelatable]:
    """Warnings about names that a tenant waits for or launches by, in the order of their names.

    `names` are pairs of (`wait` or `trigger`, event name); None: all that the tenant has.
    """
    cursor = await connection.execute(KEYS_SEEN, {"tenant": tenant, "recent": RECENT})
    keyed = {str(name): bool(found) for name, found in await cursor.fetchall()}
    wanted = await _names(connection, tenant) if names is None else names
    return [
        _warning(tenant, kind, name, rules, seen=name in keyed)
        for kind, name in sorted(wanted, key=lambda pair: (pair[1], pair[0]))
        if not keyed.get(name) and (name in keyed or not rules.paths_for(name))
    ]


async def _names(connection: Connection, tenant: str) -> set[tuple[str, str]]:
    terms = {"tenant": tenant, "count": MOST_NAMES}
    cursor = await connection.execute(AWAITED_NAMES, terms)
    waits = {("wait", str(name)) for name, is_open in await cursor.fetchall() if is_open}
    cursor = await connection.execute(TRIGGER_NAMES, terms)
    return waits | {("trigger", str(row[0])) for row in await cursor.fetchall()}


def _warning(tenant: str, kind: str, name: str, rules: Rules, *, seen: bool) -> Uncorrelatable:
    paths = tuple(path.text for path in rules.paths_for(name))
    evidence = (
        f"none of the {name} events that came lately has a correlation key"
        if seen
        else f"no {name} event with a correlation key has come lately"
    )
    reading = f"the rules read {', '.join(paths)}" if paths else "no rule names a path for it"
    effect = (
        "a wait for it is woken by nothing"
        if kind == "wait"
        else "its trigger launches all the same, and no wait is woken"
    )
    return Uncorrelatable(
        code=CODE,
        tenant=tenant,
        event_name=name,
        awaited_by=kind,
        paths=paths,
        sentence=f"{evidence}, and {reading}: {effect}. Add a derivation path to the rules, or let "
        "the publisher send workflow_correlation_key.",
    )
