"""Streams that are bound to one tenant: what names another is rejected, under the bound one."""

from __future__ import annotations

from dataclasses import replace

from correlation.reason import Outcome, Reason
from routing.incoming import IncomingEvent, RejectedEntry


def kept_within(
    tenant: str | None, content: IncomingEvent | RejectedEntry
) -> IncomingEvent | RejectedEntry:
    """What is recorded of an entry whose stream is bound to `tenant` (None: to no one).

    Nothing of it reaches another tenant's waits, events or audit, whatever the entry says.
    """
    if tenant is None:
        return content
    if isinstance(content, RejectedEntry):
        return replace(content, tenant=tenant)
    event = content.event
    if event.tenant == tenant:
        return content
    return RejectedEntry(
        origin=content.origin,
        outcome=Outcome.REJECTED,
        reason=Reason.FOREIGN_TENANT,
        detail="the entry names another tenant than the one that its stream is bound to",
        raw=content.raw(),
        tenant=tenant,
        event_id=event.event_id,
        event_name=event.name,
    )
