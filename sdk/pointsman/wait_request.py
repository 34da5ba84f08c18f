"""What a workflow asks for: an event's name, key and tenant, and how to wait for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from pointsman.keys import Key, wire_key
from pointsman.received_event import ReceivedEvent

if TYPE_CHECKING:
    from pointsman.contract import Cardinality

CardinalityName: TypeAlias = "Cardinality | Literal['all', 'exclusive']"
"""How many waits one event may reach; as text, so that workflow code needs no import for it."""

Filter: TypeAlias = Callable[[ReceivedEvent], bool]
"""Decides, in the workflow and thus deterministically, whether an event is the awaited one."""

MAX_FILTER_TEXT: Final = 2000

# A wait outlives its deadline in the service for this long: a workflow whose worker is away for a
# while still closes its own wait, and one that never comes back is forgotten in the end.
EXPIRY_MARGIN: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class WaitFor:
    """One of the waits that `first_of` and `all_of` take; see `wait_for_event`."""

    name: str
    key: Key
    tenant: str
    filter: Filter | None = None
    lookback: timedelta = timedelta(0)
    cardinality: CardinalityName = "all"
    payload: Any = None
    """A pydantic model or a dataclass that the event's payload is to be an instance of."""


@dataclass(frozen=True, slots=True)
class TaskTerms:
    """The terms of a human task, as JSON carries them."""

    title: str
    form: dict[str, Any] | None
    assignees: tuple[str, ...]
    due_at: str | None


def registration(
    wait: WaitFor,
    *,
    kind: str,
    wait_id: str,
    workflow_id: str,
    run_id: str,
    first_run_id: str,
    namespace: str,
    deadline: datetime | None,
    task: TaskTerms | None = None,
) -> dict[str, Any]:
    """The argument of `pointsman.register_wait`. Raises ValueError on what cannot be sent."""
    request: dict[str, Any] = {
        "tenant": _text("tenant", wait.tenant),
        "wait_id": wait_id,
        "event_name": _text("name", wait.name),
        "correlation_key": wire_key(wait.key),
        "workflow_id": workflow_id,
        "run_id": run_id,
        "first_run_id": first_run_id,
        "namespace": namespace,
        "kind": str(kind),
        "cardinality": str(wait.cardinality),
        "lookback_seconds": _seconds(wait.lookback),
    }
    if wait.filter is not None:
        request["filter"] = _described(wait.filter)
    if deadline is not None:
        request["expires_at"] = (deadline + EXPIRY_MARGIN).isoformat()
        request["times_out_at"] = deadline.isoformat()
    if task is not None:
        request["task"] = {**asdict(task), "assignees": list(task.assignees)}
    return request


def _text(field: str, value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    raise _of_type(field, value, "text")


def _seconds(lookback: object) -> float:
    if isinstance(lookback, timedelta):
        return lookback.total_seconds()
    raise _of_type("lookback", lookback, "a timedelta")


def _of_type(field: str, value: object, wanted: str) -> ValueError:
    return ValueError(f"{field} is a {type(value).__name__}; give {wanted}")


def deadline_after(now: datetime, timeout: timedelta | None) -> datetime | None:
    """When a wait that begins now is over; None for never, and for beyond the calendar."""
    if timeout is None:
        return None
    try:
        return now + timeout + EXPIRY_MARGIN - EXPIRY_MARGIN
    except OverflowError:
        return None


def _described(accepts: Filter) -> str:
    """What the audit shows of a filter: the first line of its docstring, or else its name."""
    if inspect.iscoroutinefunction(accepts):
        raise ValueError("filter is a coroutine function; a plain function is needed")
    name = getattr(accepts, "__name__", type(accepts).__name__)
    documented = inspect.isfunction(accepts) or inspect.ismethod(accepts)
    text = inspect.getdoc(accepts) if documented else None
    return (text.splitlines()[0] if text else name)[:MAX_FILTER_TEXT]
