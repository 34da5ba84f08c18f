"""Launches: what an event starts through a trigger, and the port to Temporal that starts it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias
from uuid import UUID, uuid5

from correlation.event import EventId, EventName, TenantId
from correlation.reason import Reason
from routing.incoming import DEFAULT_NAMESPACE, RunId, WorkflowId
from routing.signalling import Refused, TryAgain

LAUNCH_NAMESPACE: Final = UUID("0d0c5f8e-3b1f-5a7b-8a53-6f5f0a4c9d21")


def launch_id(tenant: str, event_id: str, trigger_id: str) -> str:
    """The same for every attempt of one launch, different for any other: a version 5 UUID."""
    parts = json.dumps([tenant, event_id, trigger_id], ensure_ascii=False)
    return str(uuid5(LAUNCH_NAMESPACE, parts))


def launched_workflow_id(tenant: str, event_id: str, trigger_id: str) -> WorkflowId:
    """The workflow id that a launch gets: told by the trigger's name, unique by the launch's id."""
    return WorkflowId(f"{trigger_id}-{launch_id(tenant, event_id, trigger_id)}")


@dataclass(frozen=True, slots=True)
class Launch:
    """One workflow on its way to being started. (tenant, event, trigger) identifies it."""

    tenant: TenantId
    event_id: EventId
    trigger_id: str
    workflow_id: WorkflowId
    workflow_type: str
    task_queue: str
    input_text: str | None
    """The workflow's argument as JSON; None: the whole event."""
    event_name: EventName
    correlation_key: str | None
    payload_text: str
    received_at: datetime
    attempts: int = 0
    traceparent: str | None = None
    tracestate: str | None = None
    namespace: str = DEFAULT_NAMESPACE

    @property
    def identity(self) -> tuple[str, str, str]:
        """(tenant, event id, trigger id)."""
        return self.tenant, self.event_id, self.trigger_id

    @property
    def argument(self) -> str:
        """The workflow's one argument as JSON; a payload goes in as its publisher wrote it."""
        if self.input_text is not None:
            return self.input_text
        fields: Mapping[str, Any] = {
            "tenant": self.tenant,
            "eventId": self.event_id,
            "eventName": self.event_name,
            "correlationKey": self.correlation_key,
            "receivedAt": self.received_at.isoformat(),
        }
        return f'{json.dumps(fields, ensure_ascii=False)[:-1]}, "payload": {self.payload_text}}}'


@dataclass(frozen=True, slots=True)
class Launched:
    """Temporal runs the workflow (now, or from an earlier attempt of the same launch)."""

    run_id: RunId | None
    by_another: bool = False
    """True when the workflow id was taken by a start that was not this launch's."""


LaunchResult: TypeAlias = Launched | TryAgain | Refused


class Starter(Protocol):
    """Starts workflows. Never raises for anything that Temporal answers or fails to answer."""

    async def start(self, launch: Launch) -> LaunchResult:
        """Start the launch's workflow within a bounded time; repeating it starts nothing twice."""
        ...


class LaunchStatus(StrEnum):
    """The states of a launch; all but `pending` are final."""

    PENDING = "pending"
    LAUNCHED = "launched"
    DEAD = "dead"
    SKIPPED = "skipped"
    """The trigger was considered and launches nothing."""


@dataclass(frozen=True, slots=True)
class LaunchEnd:
    """What became of one attempt to launch."""

    launch: Launch
    status: LaunchStatus
    reason: Reason | None = None
    detail: str | None = None
    run_id: RunId | None = None
    delay: timedelta = timedelta(0)
    """How long it may not be claimed, when it stays pending."""
