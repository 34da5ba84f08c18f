"""`/v1/waits`: what is awaited; registering a wait over HTTP, and closing one by hand."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import Field, ValidationError

from ingress.entry import Malformed
from ingress.payload import parse_payload
from pointsman.contract import RegisterWait
from routing.actions_shown import actions_on_waits
from routing.audit_pages import (
    DeliveryQuery,
    WaitQuery,
    find_waits,
    page_of_deliveries,
    page_of_waits,
)
from routing.audit_records import WaitLine
from routing.closing import close_by_hand
from routing.faults import InvalidTask, InvalidWait
from routing.waits import Wait
from worker.activities import to_wait
from worker.api.answers import (
    ONE,
    PROBLEMS,
    READING,
    WaitClosed,
    WaitPage,
    WaitStory,
    documented,
)
from worker.api.authentication import Operator, PartsOf, Reader
from worker.api.correlation_warnings import RegisteredWaitShown, warnings_of
from worker.api.cursors import cursor_text, read_cursor
from worker.api.exact_bodies import api_router
from worker.api.owned import check_wait, owned_wait
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem, invalid_body, response_of
from worker.api.reading import (
    Key,
    OneTenant,
    PageParameters,
    Tenant,
    Text,
    answer,
    the_one,
)
from worker.api.request_bodies import REGISTERED_WAIT

router = api_router("waits")

DELIVERIES_SHOWN = 100


class WaitParameters(PageParameters):
    """Which waits, and which page of them."""

    tenant: Tenant = None
    name: Text | None = None
    key: Key | None = None
    workflow_id: Text | None = None
    closed: Annotated[bool, Field(description="Closed waits, too; the newest first.")] = False


class ClosingParameters(OneTenant):
    """Whose wait, and why it is closed by hand."""

    reason: Annotated[Text, Field(description="Stands in the audit beside who closed it.")]


@router.get("/waits", summary="List waits", responses=documented(WaitPage, "", *READING))
async def list_waits(
    parts: PartsOf, caller: Reader, wanted: Annotated[WaitParameters, Query()]
) -> Response:
    """Open waits by event name and key; with `closed` every wait, the newest first."""
    tenants = caller.reach(wanted.tenant)
    query = WaitQuery(
        name=wanted.name,
        key=wanted.key,
        workflow_id=wanted.workflow_id,
        closed_too=wanted.closed,
    )
    after = read_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        page = await page_of_waits(connection, tenants, query, after=after, limit=wanted.limit)
    return answer({"waits": page.lines, "next": cursor_text(page.next)})


@router.post(
    "/waits",
    summary="Register a wait",
    responses={
        **documented(RegisteredWaitShown, "The wait is registered."),
        **{status: PROBLEMS[status] for status in (401, 403, 409, 413, 415, 422, 429, 503)},
    },
    openapi_extra={"requestBody": REGISTERED_WAIT},
)
async def register_wait(request: Request, parts: PartsOf, caller: Operator) -> Response:
    """Do as the activity `pointsman.register_wait`: repeating it changes nothing.

    The workflow has to be the tenant's: 403 for any other, and for one that does not exist. Below
    `admin` the signal has its default name.
    """
    try:
        wait = _wait_of(
            RegisterWait.model_validate(await _json_object(request)),
            parts.settings.temporal_namespace,
        )
    except ValidationError as error:
        return response_of(invalid_body(error), str(request.state.request_id))
    caller.check_tenant(wait.tenant)
    wait = await owned_wait(parts, caller, wait)
    await parts.wait_quota.admit(wait.tenant, wait.wait_id)
    [registration] = await parts.waits.register([wait])
    if registration.conflict:
        raise Problem(
            HTTPStatus.CONFLICT,
            "a wait with this id is registered with other content",
            field="wait_id",
            fix="give every wait an id of its own; repeat a registration unchanged",
        )
    if registration.matched_events:
        parts.sink.wake()
    warnings = await warnings_of(parts, wait.tenant, "wait", wait.event_name)
    return answer(
        {
            "wait_id": wait.wait_id,
            "correlation_key": wait.correlation_key,
            "status": registration.status,
            "matched_events": registration.matched_events,
            **({"warnings": warnings} if warnings else {}),
        }
    )


@router.get("/waits/{wait_id:path}", summary="One wait", responses=documented(WaitStory, "", *ONE))
async def show_wait(
    parts: PartsOf, caller: Reader, wait_id: str, wanted: Annotated[OneTenant, Query()]
) -> Response:
    """A wait, and the newest hundred events that it was signalled with."""
    wait = await _one_wait(parts, caller, wait_id, wanted.tenant)
    async with parts.reading([wait.tenant]) as connection:
        page = await page_of_deliveries(
            connection, [wait.tenant], DeliveryQuery(wait_id=wait_id), limit=DELIVERIES_SHOWN
        )
        events = [delivery.event_id for delivery in page.lines]
        actions = await actions_on_waits(connection, wait.tenant, [wait_id], events)
    return answer({"wait": wait, "deliveries": page.lines, "actions": actions})


@router.delete(
    "/waits/{wait_id:path}",
    summary="Close a wait by hand",
    responses=documented(WaitClosed, "", *ONE),
)
async def close_wait(
    parts: PartsOf, caller: Operator, wait_id: str, wanted: Annotated[ClosingParameters, Query()]
) -> Response:
    """The wait takes no further event (its workflow is not told); who closed it, and why, stays."""
    wait = await _one_wait(parts, caller, wait_id, wanted.tenant)
    await check_wait(parts, caller, wait.tenant, wait_id)
    closed = await close_by_hand(
        parts.database,
        tenant=wait.tenant,
        wait_id=wait_id,
        actor=caller.actor,
        reason=wanted.reason,
    )
    parts.sink.wake()
    return answer(
        {
            "tenant": wait.tenant,
            "wait_id": wait_id,
            "status": closed.status,
            "action_id": closed.action_id,
        }
    )


async def _one_wait(parts: Parts, caller: Principal, wait_id: str, tenant: str | None) -> WaitLine:
    tenants = caller.reach_of_object(tenant)
    async with parts.reading(tenants) as connection:
        found: Sequence[WaitLine] = await find_waits(connection, tenants, wait_id)
    return the_one(found, "wait", several="a wait")


async def _json_object(request: Request) -> Any:
    """The body, decoded with exact numbers: a key must not pass through a float."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "the content type is not application/json",
            field="Content-Type",
            fix="send application/json",
        )
    try:
        decoded = parse_payload((await request.body()).decode())
    except UnicodeDecodeError:
        raise _no_object("the body is not UTF-8") from None
    if isinstance(decoded, Malformed):
        raise _no_object(decoded.detail.replace("the payload", "the body"))
    return dict(decoded.value)


def _no_object(detail: str) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, detail, field="body", fix="send one JSON object"
    )


def _wait_of(request: RegisterWait, namespace: str) -> Wait:
    for field in ("run_id", "first_run_id", "filter"):
        _check_storable(field, getattr(request, field))
    try:
        return to_wait(request, namespace)
    except InvalidTask as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            str(error),
            field="task.form",
            fix="give a JSON Schema of an object of at most 32 KiB, with references only within it",
        ) from None
    except InvalidWait as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            str(error),
            field="correlation_key",
            fix="give a text, a number or a boolean of at most 512 bytes",
        ) from None


def _check_storable(field: str, text: str | None) -> None:
    try:
        unusable = text is not None and "\0" in text.encode().decode()
    except UnicodeEncodeError:
        unusable = True
    if unusable:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{field} contains a NUL character or a lone surrogate",
            field=field,
            fix=f"take it out of {field}",
        )
