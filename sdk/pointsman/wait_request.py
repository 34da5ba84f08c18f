"""What a workflow asks for: an event's name, key and tenant, and how to wait for it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from uuid import UUID

from pointsman.received_event import ReceivedEvent

if TYPE_CHECKING:
    from pointsman.contract import Cardinality

CardinalityName: TypeAlias = "Cardinality | Literal['all', 'exclusive']"
"""How many waits one event may reach; as text, so that workflow code needs no import for it."""

Key: TypeAlias = str | int | float | bool | Decimal | UUID
"""A correlation key; numbers equal their exact shortest decimal text (42, 42.0 and "42")."""

Filter: TypeAlias = Callable[[ReceivedEvent], bool]
"""Decides, in the workflow and thus deterministically, whether an event is the awaited one."""

MAX_DIGITS: Final = 64
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


@dataclass(frozen=True, slots=True)
class TaskTerms:
    """The terms of a human task, as JSON carries them."""

    title: str
    form: dict[str, Any] | None
    assignees: tuple[str, ...]
    due_at: str | None


def wire_key(key: object) -> str | int | float | bool:
    """The key as it travels in JSON, exactly. Raises ValueError on what JSON cannot carry."""
    match key:
        case bool():
            return key
        case int() if abs(key) >= 10**MAX_DIGITS:
            raise ValueError(f"key has more than {MAX_DIGITS} digits")
        case float() if not math.isfinite(key):
            raise ValueError(f"key {key} is not a finite number")
        case str():
            return _encodable(key)
        case UUID():
            return str(key)
        case Decimal():
            return _plain_text(key)
        case int() | float():
            return key
        case _:
            raise ValueError(f"key is of type {type(key).__name__}; text or a number is needed")


def registration(
    wait: WaitFor,
    *,
    kind: str,
    wait_id: str,
    workflow_id: str,
    run_id: str,
    deadline: datetime | None,
    task: TaskTerms | None = None,
) -> dict[str, Any]:
    """The argument of `pointsman.register_wait`. Raises ValueError on what cannot be sent."""
    request: dict[str, Any] = {
        "tenant": wait.tenant,
        "wait_id": wait_id,
        "event_name": wait.name,
        "correlation_key": wire_key(wait.key),
        "workflow_id": workflow_id,
        "run_id": run_id,
        "kind": str(kind),
        "cardinality": str(wait.cardinality),
        "lookback_seconds": wait.lookback.total_seconds(),
    }
    if wait.filter is not None:
        request["filter"] = _described(wait.filter)
    if deadline is not None:
        request["expires_at"] = (deadline + EXPIRY_MARGIN).isoformat()
    if task is not None:
        request["task"] = {**asdict(task), "assignees": list(task.assignees)}
    return request


def deadline_after(now: datetime, timeout: timedelta | None) -> datetime | None:
    """When a wait that begins now is over; None for never, and for beyond the calendar."""
    if timeout is None:
        return None
    try:
        return now + timeout + EXPIRY_MARGIN - EXPIRY_MARGIN
    except OverflowError:
        return None


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("key holds characters that UTF-8 cannot encode") from None
    return text


def _plain_text(number: Decimal) -> str:
    """Plain notation without trailing zeros: as text it is the number's canonical key."""
    if not number.is_finite():
        raise ValueError(f"key {number} is not a finite number")
    if number and (abs(number.adjusted()) > MAX_DIGITS or len(number.as_tuple().digits) > 512):
        raise ValueError(f"key has more than {MAX_DIGITS} digits")
    text = format(number, "f") if number else "0"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    if sum(character.isdigit() for character in text) > MAX_DIGITS:
        raise ValueError(f"key has more than {MAX_DIGITS} digits")
    return text


def _described(accepts: Filter) -> str:
    """What the audit shows of a filter: the first line of its docstring, or else its name."""
    if inspect.iscoroutinefunction(accepts):
        raise ValueError("filter is a coroutine function; a plain function is needed")
    name = getattr(accepts, "__name__", type(accepts).__name__)
    documented = inspect.isfunction(accepts) or inspect.ismethod(accepts)
    text = inspect.getdoc(accepts) if documented else None
    return (text.splitlines()[0] if text else name)[:MAX_FILTER_TEXT]
