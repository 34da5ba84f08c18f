"""`/v1/explain`: why an event woke nobody, and why a workflow still waits. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from correlation.exact_reading import NotJson, read_members
from ingress.entry import Malformed
from routing.explain import explain_hypothetical, explain_stored
from routing.explain_records import EventExplanation, RunExplanation
from routing.explain_run import explain_run
from routing.tokens import Scope
from worker.api.answers import ONE, PROBLEMS, documented
from worker.api.authentication import PartsOf, Reader
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem, invalid_body, response_of
from worker.api.reading import OneTenant, Tenant, Text, answer, the_one
from worker.explanations import (
    event_explanation_as_json,
    judged,
    payload_fault,
    read_hypothetical,
    run_explanation_as_json,
)

router = APIRouter(tags=["explain"])


class Explained(BaseModel):
    """An explanation: sentences and advice for a person, and all that they were made from."""

    model_config = ConfigDict(extra="allow")

    tenant: str
    sentences: list[str] = Field(description="In plain words, the most telling first.")
    what_to_do: list[str] = Field(description="In plain words, what mends it.")
    truncated: bool = Field(description="There was more than could be compared.")


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    event_id: Text | None = None
    tenant: Tenant = None


_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "Either the id of a recorded event (or rejected entry), or an event that has "
    "not come: a native event or a structured CloudEvent.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "event_id": {"type": "string"},
                    "tenant": {"type": "string"},
                    "event": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/NativeEvent"},
                            {"$ref": "#/components/schemas/CloudEvent"},
                        ]
                    },
                },
                "additionalProperties": False,
            }
        }
    },
}


@router.post(
    "/explain/event",
    summary="Explain an event",
    responses={**documented(Explained, "", *ONE), 413: PROBLEMS[413]},
    openapi_extra={"requestBody": _BODY},
)
async def explain_event(request: Request, parts: PartsOf, caller: Reader) -> Response:
    """Whom it woke or would wake and, where nobody, why not, near misses included."""
    event, rest = _apart(await request.body())
    try:
        wanted = _Wanted.model_validate(rest)
    except ValidationError as error:
        return response_of(invalid_body(error), str(request.state.request_id))
    if (event is None) == (wanted.event_id is None):
        raise _wrong("body", "exactly one of event_id and event is needed", "give one of the two")
    if event is not None:
        explanation = await _hypothetical(parts, caller, event, wanted.tenant)
    else:
        explanation = await _stored(parts, caller, str(wanted.event_id), wanted.tenant)
    everything = caller.may(Scope.ADMIN)
    return answer(event_explanation_as_json(explanation, parts.redaction, everything=everything))


@router.get(
    "/explain/run/{workflow_id:path}",
    summary="Explain why a workflow is still waiting",
    responses=documented(Explained, "", *ONE),
)
async def explain_workflow(
    parts: PartsOf, caller: Reader, workflow_id: str, wanted: Annotated[OneTenant, Query()]
) -> Response:
    """Its waits, what each was handed, and which events passed it by."""
    found: list[RunExplanation] = []
    for tenant in _walls(caller, wanted.tenant):
        found.extend(
            await explain_run(
                parts.database,
                workflow_id,
                tenant=tenant,
                behind_wall=tenant is not None,
                across_tenants=caller.sees_every_tenant,
            )
        )
    explanation = the_one(found, "workflow with waits", several="waits of a workflow")
    return answer(run_explanation_as_json(explanation))


async def _stored(
    parts: Parts, caller: Principal, event_id: str, tenant: str | None
) -> EventExplanation:
    found: list[EventExplanation] = []
    for one in _walls(caller, tenant):
        found.extend(
            await explain_stored(
                parts.database,
                parts.rules(),
                event_id,
                tenant=one,
                behind_wall=one is not None,
                across_tenants=caller.sees_every_tenant,
            )
        )
    return the_one(found, "event", several="an event")


async def _hypothetical(
    parts: Parts, caller: Principal, event: str, tenant: str | None
) -> EventExplanation:
    decoded = read_hypothetical(
        event.encode("utf-8", "replace"),
        tenant=tenant or caller.only_tenant,
        max_bytes=parts.settings.max_entry_bytes,
    )
    if isinstance(decoded, Malformed):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"such an entry would wake nobody: it is no event: {decoded.detail}",
            field="event",
            fix="correct the event as the detail says",
            reason=decoded.reason.value,
        )
    caller.check_tenant(decoded.tenant)
    held = judged(await payload_fault(decoded, parts.schemas, parts.judge, parts.workers))
    if isinstance(held, Malformed):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"such an event would be rejected: {held.detail}",
            field="event",
            fix="correct the payload as the detail says",
            reason=held.reason.value,
        )
    # Whoever may not see every tenant could otherwise ask which keys the others wait for.
    return await explain_hypothetical(
        parts.database,
        parts.rules(),
        decoded,
        behind_wall=not caller.sees_every_tenant,
        across_tenants=caller.sees_every_tenant,
        launches_held=held,
    )


def _walls(caller: Principal, tenant: str | None) -> Sequence[str | None]:
    """The tenants to look into one by one; a single None for all of them at once."""
    tenants = caller.reach_of_object(tenant)
    return [None] if tenants is None else list(tenants)


def _apart(body: bytes) -> tuple[str | None, dict[str, Any]]:
    """The event's own text, so that its numbers stay exact, and the other members."""
    try:
        members = dict(read_members(body.decode()))
    except (NotJson, UnicodeDecodeError):
        raise _wrong("body", "is no JSON object", "send one JSON object") from None
    event = members.pop("event", None)
    rest = {name: member.value for name, member in members.items()}
    if event is None or event.value is None:
        return None, rest
    if not isinstance(event.value, dict):
        raise _wrong("event", "is no JSON object", "give an event")
    return event.text, rest


def _wrong(field: str, detail: str, fix: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field, fix=fix)
