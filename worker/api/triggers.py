"""`/v1/triggers`: which events start which workflows."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from correlation.triggers import Trigger, TriggersError, compile_trigger
from routing.triggers import (
    FROM_THE_BEGINNING,
    TriggerLine,
    apply_triggers,
    disable_trigger,
    list_triggers,
)
from worker.api.answers import ONE, READING, documented
from worker.api.authentication import Operator, PartsOf, Reader
from worker.api.correlation_warnings import WarningShown, warnings_of
from worker.api.cursors import cursor_text, damaged_cursor, read_cursor
from worker.api.exact_bodies import api_router
from worker.api.exact_writing import as_mapping
from worker.api.owned import check_launch
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem
from worker.api.reading import (
    OneTenant,
    PageParameters,
    Tenant,
    Text,
    answer,
    not_found,
    the_one,
)
from worker.redaction import HIDDEN
from worker.trigger_secrets import is_hidden, without_secrets

router = api_router("triggers")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TriggerShown(_Answer):
    """One trigger."""

    tenant: str
    trigger_id: str
    event: str
    workflow: str
    task_queue: str
    input: dict[str, Any] | str = Field(
        description="Member (dotted within another) → {path, default?}, {event} or {value}; "
        "a path that begins with $: what stands there; empty: the whole event."
    )
    where: dict[str, Any] = Field(description="Path → the values of which one has to stand there.")
    only_without_wait: bool
    enabled: bool
    version: int
    updated_at: datetime


class TriggerPage(_Answer):
    """Triggers by tenant and id."""

    triggers: list[TriggerShown]
    next: str | None


class TriggerApplied(_Answer):
    """What applying a trigger did."""

    tenant: str
    trigger_id: str
    change: str = Field(description="`created`, `changed` or `unchanged`.")
    version: int
    warnings: list[WarningShown]


class TriggerParameters(PageParameters):
    """Which triggers, and which page of them."""

    tenant: Tenant = None
    name: Annotated[Text | None, Field(description="The name of the event.")] = None


class ApplyParameters(OneTenant):
    """Whose trigger, and whether only to check it."""

    dry_run: Annotated[bool, Field(description="Only say what would change.")] = False
    reason: Annotated[Text | None, Field(description="Stands in the audit.")] = None


class TriggerDefinition(BaseModel):
    """What a trigger is made of; the file that `pointsman triggers apply` reads has the same."""

    model_config = ConfigDict(extra="allow", frozen=True)

    event: Any = Field(description="The event's name.")
    workflow: Any = Field(description="The workflow's type.")
    task_queue: Any
    input: Any = None
    where: Any = None
    only_without_wait: Any = False
    enabled: Any = True


class DisableOrder(BaseModel):
    """Why it is disabled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[Text, Field(description="Stands in the audit beside who disabled it.")]


TriggerId = Annotated[str, Field(max_length=100)]


@router.get("/triggers", summary="List triggers", responses=documented(TriggerPage, "", *READING))
async def show_triggers(
    parts: PartsOf, caller: Reader, wanted: Annotated[TriggerParameters, Query()]
) -> Response:
    """Triggers by tenant and id, disabled ones, too."""
    tenants = caller.reach(wanted.tenant)
    after = trigger_cursor(wanted.cursor)
    async with parts.reading(tenants) as connection:
        lines = await list_triggers(
            connection, tenants, event_name=wanted.name, after=after, limit=wanted.limit + 1
        )
    shown = lines[: wanted.limit]
    more = len(lines) > len(shown)
    following = cursor_text((shown[-1].tenant, shown[-1].trigger_id)) if more else None
    hidden = [without_secrets(line, parts.redaction) for line in shown]
    return answer({"triggers": hidden, "next": following})


@router.get(
    "/triggers/{trigger_id}", summary="One trigger", responses=documented(TriggerShown, "", *ONE)
)
async def show_trigger(
    parts: PartsOf, caller: Reader, trigger_id: TriggerId, wanted: Annotated[OneTenant, Query()]
) -> Response:
    """One trigger as it stands."""
    found = await _one_trigger(parts, caller, trigger_id, wanted.tenant)
    return answer(without_secrets(found, parts.redaction))


@router.put(
    "/triggers/{trigger_id}",
    summary="Create or change a trigger",
    responses=documented(TriggerApplied, "", *ONE),
)
async def put_trigger(
    parts: PartsOf,
    caller: Operator,
    trigger_id: TriggerId,
    definition: TriggerDefinition,
    wanted: Annotated[ApplyParameters, Query()],
) -> Response:
    """Applying the same again changes nothing; who changed it stands in the audit.

    Below `admin` only what POINTSMAN_TENANT_LAUNCHES lists for the tenant may be started.
    """
    tenant = _tenant(caller, wanted.tenant)
    _check_shown_whole(definition)
    trigger = _compiled(trigger_id, definition, tenant)
    check_launch(parts, caller, trigger)
    [applied] = await apply_triggers(
        parts.database,
        [trigger],
        actor=caller.actor,
        reason=wanted.reason,
        dry_run=wanted.dry_run,
        behind_wall=tenant,
        most_per_event=parts.settings.quota_triggers_per_event,
    )
    warnings = await warnings_of(parts, tenant, "trigger", trigger.event_name)
    return answer({**as_mapping(applied), "warnings": warnings})


@router.post(
    "/triggers/{trigger_id}/disable",
    summary="Let a trigger launch nothing any more",
    responses=documented(TriggerShown, "", *ONE),
)
async def post_disable(
    parts: PartsOf,
    caller: Operator,
    trigger_id: TriggerId,
    order: DisableOrder,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """Launches that are under way go on; repeating it changes nothing."""
    found = await _one_trigger(parts, caller, trigger_id, wanted.tenant)
    async with parts.reading([found.tenant]) as connection:
        line = await disable_trigger(
            connection, found.tenant, trigger_id, actor=caller.actor, reason=order.reason
        )
    return answer(without_secrets(line or found, parts.redaction))


def _tenant(caller: Principal, given: str | None) -> str:
    tenant = given or caller.only_tenant
    if tenant is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the request does not say whose trigger it is",
            field="tenant",
            fix="add ?tenant=…",
        )
    if not caller.sees(tenant):
        raise not_found("trigger")
    return tenant


def _check_shown_whole(definition: TriggerDefinition) -> None:
    """Refuse what was read here and sent back: the constant itself would be lost."""
    for field in ("input", "where"):
        if is_hidden(getattr(definition, field)):
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"{field} holds {HIDDEN}, which stands for a constant that is not shown",
                field=field,
                fix="give the constant itself",
            )


def _compiled(trigger_id: str, definition: TriggerDefinition, tenant: str) -> Trigger:
    given = definition.model_dump(exclude_unset=True)
    try:
        if "tenant" in given:
            raise TriggersError(["tenant: unknown; say whose it is with ?tenant=…"])
        return compile_trigger(trigger_id, given, tenant)
    except TriggersError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the trigger cannot be used: {error}",
            field=error.errors[0].partition(":")[0],
            fix="correct what the detail names",
        ) from None


def trigger_cursor(cursor: str | None) -> tuple[str, str]:
    """Where a page of triggers begins; raises Problem for a cursor of another list."""
    read = read_cursor(cursor)
    if read is None:
        return FROM_THE_BEGINNING
    if len(read) != len(FROM_THE_BEGINNING):
        raise damaged_cursor()
    return str(read[0]), str(read[1])


async def _one_trigger(
    parts: Parts, caller: Principal, trigger_id: str, tenant: str | None
) -> TriggerLine:
    tenants = caller.reach_of_object(tenant)
    async with parts.reading(tenants) as connection:
        found = await list_triggers(connection, tenants, trigger_id=trigger_id, limit=2)
    return the_one(found, "trigger", several="a trigger")
