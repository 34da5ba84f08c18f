"""The public contract between publishers, workflows and the Pointsman service.

Everything here is language-neutral: each model is a JSON object that any Temporal SDK can send or
receive, and its JSON Schema is generated from this module. Field names are the wire names. Unknown
fields in a request are refused, so that a misspelt `expires_at` is an error and not a wait that
never ends.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from pointsman import keys

TASK_QUEUE: Final = "pointsman"
REGISTER_WAIT: Final = "pointsman.register_wait"
CLOSE_WAIT: Final = "pointsman.close_wait"
CLOSE_WAITS: Final = "pointsman.close_waits"
EVENT_SIGNAL: Final = "pointsman.event"
HUMAN_TASK_SIGNAL: Final = "pointsman.human_task"
HUMAN_TASK_COMPLETED: Final = "HUMAN_TASK_COMPLETED"
ANSWER_ID_PREFIX: Final = "human-task-"
"""With a UUID behind it, the event id of an answer that the service itself recorded."""
"""The name of the event that completes a human task: its `taskId` is the correlation key."""

STREAM: Final = "workflow:events:global"
CONSUMER_GROUP: Final = "workflow-runtime-v2"

_RESERVED_ID: Final = re.compile(ANSWER_ID_PREFIX + r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

MAX_TENANT_BYTES: Final = 255
MAX_EVENT_NAME_BYTES: Final = 255
MAX_EVENT_ID_BYTES: Final = 512
MAX_WAIT_ID_BYTES: Final = 512
MAX_KEY_BYTES: Final = keys.MAX_KEY_BYTES
MAX_KEYS_PER_EVENT: Final = 64
MAX_TITLE_CHARACTERS: Final = 300
MAX_ASSIGNEES: Final = 100
MAX_ASSIGNEE_BYTES: Final = 255
MAX_CLOSINGS: Final = 500
"""How many reports one call of `pointsman.close_waits` may bring."""
MAX_CLOSING_DETAIL: Final = 2000
# Temporal's own default limit for workflow ids and signal names (measured: longer is refused).
MAX_TEMPORAL_NAME_CHARACTERS: Final = 1000
MAX_LOOKBACK_SECONDS: Final = 365_250 * 86_400
"""A thousand years; events are kept for less."""


class Cardinality(StrEnum):
    """How many waits one event may reach."""

    ALL = "all"
    """Every matching wait of this cardinality receives the event."""
    EXCLUSIVE = "exclusive"
    """Of the matching exclusive waits only the oldest receives the event."""


class WaitKind(StrEnum):
    """What a wait does once a run has accepted an event."""

    EVENT = "event"
    """One-shot: accepting an event closes the wait."""
    STREAM = "stream"
    """Accepting an event is recorded on that event; the wait stays open until it is closed."""
    HUMAN = "human"
    """A task that a person completes, once; as one-shot as `event`."""


class Disposition(StrEnum):
    """What a workflow says became of an event that it was signalled with, or of a wait."""

    ACCEPTED = "accepted"
    FILTERED = "filtered"
    LATE = "late"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    """An event that was `accepted` is given back: whoever should have had it is gone."""


def is_reserved_id(event_id: str) -> bool:
    """Whether an event id is one that the service gives; no publisher may use it."""
    return event_id.startswith(ANSWER_ID_PREFIX) and bool(_RESERVED_ID.fullmatch(event_id))


def _printable(value: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        raise ValueError("must not contain control characters")
    if value != value.strip() or not value:
        raise ValueError("must not be blank or begin or end with white space")
    return value


def _at_most(limit: int) -> Any:
    def check(value: str) -> str:
        size = len(_printable(value).encode())
        if size > limit:
            raise ValueError(f"is {size} bytes of UTF-8 long; at most {limit} are allowed")
        return value

    return AfterValidator(check)


def _shown_as(limit: int) -> Any:
    """The bound as far as JSON Schema can say it: in characters, never more than UTF-8 bytes."""
    pattern = "^[^\\u0000-\\u001f\\u007f]*$"
    return WithJsonSchema(
        {"type": "string", "minLength": 1, "maxLength": limit, "pattern": pattern}
    )


def _scalar(value: object) -> str | bool | int | float | Decimal:
    if isinstance(value, str | bool | int | float | Decimal):
        return value
    raise ValueError("must be a text, a number or a boolean")


KeyValue = Annotated[
    str | bool | int | float | Decimal,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "boolean", "number"]}),
]
Tenant = Annotated[str, _at_most(MAX_TENANT_BYTES), _shown_as(MAX_TENANT_BYTES)]
EventName = Annotated[str, _at_most(MAX_EVENT_NAME_BYTES), _shown_as(MAX_EVENT_NAME_BYTES)]
EventIdText = Annotated[str, _at_most(MAX_EVENT_ID_BYTES), _shown_as(MAX_EVENT_ID_BYTES)]
WaitIdText = Annotated[str, _at_most(MAX_WAIT_ID_BYTES), _shown_as(MAX_WAIT_ID_BYTES)]
Assignee = Annotated[str, _at_most(MAX_ASSIGNEE_BYTES), _shown_as(MAX_ASSIGNEE_BYTES)]
TemporalName = Annotated[
    str, _at_most(MAX_TEMPORAL_NAME_CHARACTERS), _shown_as(MAX_TEMPORAL_NAME_CHARACTERS)
]


class HumanTask(BaseModel):
    """What a person is asked for by a wait of kind `human`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, _at_most(4 * MAX_TITLE_CHARACTERS)] = Field(
        max_length=MAX_TITLE_CHARACTERS, description="One line that says what is to be done."
    )
    form: dict[str, Any] | None = Field(
        default=None,
        description="JSON Schema of the answer, an object of at most 32 KiB; references lead only "
        "to places within it.",
    )
    assignees: tuple[Assignee, ...] = Field(
        default=(),
        max_length=MAX_ASSIGNEES,
        description="Who may complete it; empty: anybody of the tenant who may operate.",
    )
    due_at: AwareDatetime | None = Field(
        default=None, description="Shown to people; reminding them is the workflow's business."
    )


class HumanTaskCompleted(BaseModel):
    """Payload of the event `HUMAN_TASK_COMPLETED`, and of the signal that it becomes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    taskId: str = Field(description="The `wait_id` of the task's wait.")
    answer: dict[str, Any] = Field(default={}, description="What fits the task's form.")
    completedBy: str | None = Field(default=None, description="Who says so.")


class RegisterWait(BaseModel):
    """Argument of the activity `pointsman.register_wait`: a run's interest in an event.

    Registering the same wait again (an activity that is tried a second time) changes nothing and
    is answered alike; the same `wait_id` with other content is refused.

    A wait of kind `human` carries a `task`. It waits for `HUMAN_TASK_COMPLETED` with its own
    `wait_id` as the correlation key, for `all` and without a look-back; its signal is
    `pointsman.human_task` where none is named.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Tenant
    wait_id: WaitIdText = Field(description="Unique per tenant; chosen by the workflow.")
    event_name: EventName
    correlation_key: KeyValue = Field(
        description="The business key; a number equals its exact shortest decimal text."
    )
    workflow_id: TemporalName
    run_id: str | None = Field(
        default=None,
        description="The run that registers. Registered by the activity, it is that of the "
        "activity's workflow where none is named.",
    )
    first_run_id: str | None = Field(
        default=None,
        description="The first run of the chain that the run belongs to (continued as new, reset, "
        "retried, by cron). The wait ends with the chain; where none is named, Temporal is asked.",
    )
    namespace: TemporalName | None = Field(
        default=None,
        description="Temporal namespace of the workflow; where none is named, that of the "
        "activity, or over HTTP the first that the service serves.",
    )
    signal_name: TemporalName = EVENT_SIGNAL
    kind: WaitKind = WaitKind.EVENT
    filter: str | None = Field(
        default=None,
        max_length=2000,
        description="What the workflow's own filter accepts, in words; shown by the audit only.",
    )
    lookback_seconds: float = Field(
        default=0,
        ge=0,
        le=MAX_LOOKBACK_SECONDS,
        allow_inf_nan=False,
        description="Take fitting events of this past span.",
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="The wait is retired at this moment, closed or not."
    )
    times_out_at: AwareDatetime | None = Field(
        default=None, description="When the workflow itself gives up; informs people only."
    )
    cardinality: Cardinality = Cardinality.ALL
    task: HumanTask | None = Field(default=None, description="Of a wait of kind `human`.")

    @model_validator(mode="after")
    def _task_fits(self) -> Self:
        if (self.kind is WaitKind.HUMAN) is not (self.task is not None):
            raise ValueError("a wait of kind human, and no other, carries a task")
        if self.task is None:
            return self
        if self.event_name != HUMAN_TASK_COMPLETED or self.correlation_key != self.wait_id:
            raise ValueError(
                f"a human task waits for {HUMAN_TASK_COMPLETED} with its wait_id as the key"
            )
        if self.cardinality is not Cardinality.ALL or self.lookback_seconds:
            raise ValueError("a human task is awaited with cardinality all and without a look-back")
        return self

    @property
    def signal(self) -> str:
        """The signal's name: of a human task its own, where none is named."""
        if self.kind is WaitKind.HUMAN and "signal_name" not in self.model_fields_set:
            return HUMAN_TASK_SIGNAL
        return self.signal_name


class RegisteredWait(BaseModel):
    """Result of `pointsman.register_wait`."""

    model_config = ConfigDict(frozen=True)

    wait_id: str
    correlation_key: str = Field(description="The key in its canonical form, as it is matched.")
    status: str = Field(description="`waiting` or `closed`.")
    matched_events: int = Field(description="Events taken by the look-back; they come as signals.")


class CloseWait(BaseModel):
    """Argument of the activity `pointsman.close_wait`.

    `accepted` with an `event_id` closes a wait of kind `event` or `human` and is recorded on the
    event of a wait of kind `stream`; `filtered` and `late` name an event and leave the wait as it
    is; `timed_out`, `cancelled`, and `accepted` without an event close it. Closing twice is
    harmless. `returned` takes the acceptance of an event back, and opens the wait again that was
    closed by it; close that with what really ended it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: Tenant
    wait_id: WaitIdText
    disposition: Disposition
    event_id: EventIdText | None = None
    detail: str | None = Field(
        default=None,
        max_length=MAX_CLOSING_DETAIL,
        description="Why the event was `filtered`, in words; shown by the audit only.",
    )

    @model_validator(mode="after")
    def _names_what_is_returned(self) -> Self:
        if self.disposition is Disposition.RETURNED and self.event_id is None:
            raise ValueError("returned names the event that is given back")
        return self


class CloseWaits(BaseModel):
    """Argument of the activity `pointsman.close_waits`: several reports, applied in this order.

    Each is what `pointsman.close_wait` takes. Repeating the call is harmless.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    closings: tuple[CloseWait, ...] = Field(min_length=1, max_length=MAX_CLOSINGS)


class ClosedWait(BaseModel):
    """Result of `pointsman.close_wait`."""

    model_config = ConfigDict(frozen=True)

    wait_id: str
    status: str = Field(description="`waiting`, `closed` or `unknown`.")


class ClosedWaits(BaseModel):
    """Result of `pointsman.close_waits`."""

    model_config = ConfigDict(frozen=True)

    waits: tuple[ClosedWait, ...] = Field(
        description="One for each report; its status is `refused` where the database refused it."
    )


class EventSignal(BaseModel):
    """The one argument of the signal that brings an event to a workflow.

    Delivered at least once; a receiver ignores a (`waitId`, `eventId`) that it has seen and a
    `waitId` that it does not know.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    waitId: str
    eventId: str
    eventName: str
    correlationKey: str
    payload: dict[str, Any]
    receivedAt: datetime
    deliveryId: str


def problems_in(error: ValidationError) -> str:
    """What is wrong with an argument: each field with its fault, and nothing of their values."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'the argument'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return "; ".join(problems)
