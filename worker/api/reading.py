"""What the reading routes share: parameters, pages, and answers in exact JSON."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from correlation.key import CanonicalKey, canonical_key
from correlation.reason import Outcome, Reason
from routing.audit_pages import EventQuery
from routing.reach import EventState
from worker.api.exact_writing import write_json
from worker.api.problems import Problem


def _printable(text: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise ValueError("must not contain control characters")
    return text


def _instant(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside the years 1 to 9999 in UTC") from None


def _key(text: str) -> str:
    match canonical_key(text):
        case CanonicalKey(key):
            return key
        case _:
            raise ValueError("is no usable correlation key: give a text of at most 512 bytes")


Found = TypeVar("Found")
Text = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_printable)]
Key = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_key)]
Instant = Annotated[AwareDatetime, AfterValidator(_instant)]
"""A moment with its offset; in UTC from here on."""
Tenant = Annotated[
    Text | None, Field(description="One of the token's tenants; without it all of them.")
]
CursorText = Annotated[
    str | None, Field(max_length=4096, description="`next` of the page before, unchanged.")
]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OneTenant(_Parameters):
    """Where to look for one object."""

    tenant: Tenant = None


class EventParameters(_Parameters):
    """Which events and entries."""

    tenant: Tenant = None
    name: Annotated[Text | None, Field(description="The event's name.")] = None
    key: Annotated[Key | None, Field(description="A correlation key of the event.")] = None
    outcome: Outcome | None = None
    reason: Annotated[
        Reason | None,
        Field(description="Theirs, or that of one of their signals or launches."),
    ] = None
    state: Annotated[
        EventState | None,
        Field(description="Of which a signal or a launch has come so far; `nobody`: of none."),
    ] = None
    workflow_id: Annotated[
        Text | None, Field(description="Events that met a wait of this workflow.")
    ] = None
    run_id: Annotated[Text | None, Field(description="... of this run.")] = None
    since: Annotated[Instant | None, Field(description="Received then or later.")] = None
    until: Annotated[Instant | None, Field(description="Received before then.")] = None
    q: Annotated[
        Text | None, Field(description="A part of the event's or the stream entry's id.")
    ] = None

    def query(self, *, with_payload: bool = False) -> EventQuery:
        """The same for the audit."""
        return EventQuery(
            name=self.name,
            key=self.key,
            outcome=self.outcome,
            reason=None if self.reason is None else self.reason.value,
            state=self.state,
            workflow_id=self.workflow_id,
            run_id=self.run_id,
            since=self.since,
            until=self.until,
            q=self.q,
            with_payload=with_payload,
        )


class PageParameters(_Parameters):
    """How much, and from where on."""

    cursor: CursorText = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


def answer(value: Any, status: int = HTTPStatus.OK) -> Response:
    """A JSON answer with exact numbers."""
    return Response(write_json(value).encode(), status, media_type="application/json")


def not_found(what: str) -> Problem:
    """There is none, or it is not the caller's to see: both are answered alike."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        f"there is no such {what} among the tenants of this token",
        fix="check the id; the list of them shows those that there are",
    )


def the_one(found: Collection[Found], what: str, *, several: str) -> Found:
    """The only one among what the caller's tenants have of an id; raises Problem otherwise.

    `what` is what it is called, `several` the same with its article.
    """
    if not found:
        raise not_found(what)
    if len(found) > 1:
        raise Problem(
            HTTPStatus.CONFLICT,
            f"several tenants have {several} with this id",
            field="tenant",
            fix="add ?tenant=… to say whose is meant",
        )
    [one] = found
    return one
