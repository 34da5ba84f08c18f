"""Replaying events, binding them to waits by hand, and trying rules in the shadow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from http import HTTPStatus
from itertools import groupby
from typing import Annotated, Any, Final

from fastapi import Query, Response
from pydantic import BaseModel, ConfigDict, Field

from correlation.exact_writing import exact_json
from correlation.reason import Outcome, Reason
from correlation.rules import RulesError
from routing.audit import event_story
from routing.audit_pages import EventQuery
from routing.binding import Bound, Handing, NotBound, bind
from routing.incoming import Identity
from routing.replay import Replayed, Replayer, preview, selected
from worker.api.answers import ONE, READING, documented
from worker.api.authentication import Operator, PartsOf
from worker.api.exact_bodies import api_router
from worker.api.owned import check_wait
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem
from worker.api.reading import Instant, Key, OneTenant, Tenant, Text, answer, not_found, the_one
from worker.bounded.rules import proposed_rules
from worker.shadow import shadow

router = api_router("replay")

MOST_REPLAYED: Final = 10_000


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="allow")


Why = Annotated[Text, Field(description="Stands in the audit beside who did it.")]


class ReplayOrder(_Body):
    """Why one event is replayed."""

    reason: Why


class ReplayFilter(_Body):
    """Which events to replay, and whether only to count."""

    tenant: Tenant = None
    name: Text | None = None
    key: Key | None = None
    outcome: Outcome | None = None
    why_ended: Annotated[
        Reason | None, Field(description="The reason that the events ended for.")
    ] = None
    since: Instant | None = None
    until: Instant | None = None
    dry_run: Annotated[bool, Field(description="Only count what it would do.")] = True
    reason: Annotated[Text | None, Field(description="Needed unless dry_run.")] = None
    limit: Annotated[int, Field(ge=1, le=MOST_REPLAYED)] = 1000


class BindOrder(_Body):
    """The wait that is handed the event, and why."""

    wait_id: Text
    reason: Why


class ProposedRules(_Body):
    """Rules to try, and on how many events."""

    rules: Annotated[dict[str, Any], Field(description="Event name → path or list of paths.")]
    last: Annotated[int, Field(ge=1, le=100_000)] = 1000
    tenant: Tenant = None


class ReplayedShown(_Answer):
    """How an event ended when it was routed again."""

    tenant: str
    event_id: str
    outcome: Outcome
    reason: str | None
    waits: list[str] = Field(description="Waits that it was newly handed to.")
    action_id: str


class ReplayAnswer(_Answer):
    """What replaying did or, dry, would do."""

    dry_run: bool
    events: int
    truncated: bool = Field(description="The filter selects more than `limit`.")


class BoundShown(_Answer):
    """The event is on its way."""

    tenant: str
    event_id: str
    wait_id: str
    workflow_id: str
    action_id: str


class ShadowAnswer(_Answer):
    """The difference that the rules would make."""

    sentence: str
    rules_version: str
    events: int
    waking_events: int
    woken_runs: int
    stopping: int


@router.post(
    "/events/replay",
    summary="Replay the events that a filter selects",
    responses=documented(ReplayAnswer, "", *READING),
)
async def replay_selected(parts: PartsOf, caller: Operator, wanted: ReplayFilter) -> Response:
    """Count first (`dry_run`), then do; a wait is never handed the same event twice."""
    tenants = caller.reach(wanted.tenant)
    query = EventQuery(
        name=wanted.name,
        key=wanted.key,
        outcome=wanted.outcome,
        reason=None if wanted.why_ended is None else wanted.why_ended.value,
        since=wanted.since,
        until=wanted.until,
    )
    if not wanted.dry_run and wanted.reason is None:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "replaying needs a reason for the audit",
            field="reason",
            fix="say why, or leave dry_run on",
        )
    async with parts.reading(tenants) as connection:
        identities, more = await selected(connection, tenants, query, wanted.limit)
    if wanted.dry_run:
        found = await preview(
            lambda: parts.reading(tenants), identities, parts.rules(), truncated=more
        )
        return answer({"dry_run": True, **asdict(found)})
    replayed = await _replay(parts, caller, identities, wanted.reason)
    return answer(
        {"dry_run": False, "events": len(replayed), "truncated": more, "replayed": replayed}
    )


@router.post(
    "/events/{event_id:path}/replay",
    summary="Replay one event",
    responses=documented(ReplayedShown, "", *ONE),
)
async def replay_event(
    parts: PartsOf,
    caller: Operator,
    event_id: str,
    order: ReplayOrder,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """Route it again under the rules in force; a wait is never handed the same event twice."""
    identity = await _one_event(parts, caller, event_id, wanted.tenant)
    replayed = await _replay(parts, caller, [identity], order.reason)
    if not replayed:
        raise not_found("event")
    return answer(replayed[0])


@router.post(
    "/events/{event_id:path}/bind",
    summary="Hand an event to a wait by hand",
    responses=documented(BoundShown, "", *ONE),
)
async def bind_event(
    parts: PartsOf,
    caller: Operator,
    event_id: str,
    order: BindOrder,
    wanted: Annotated[OneTenant, Query()],
) -> Response:
    """Whatever the event's name and keys are; the wait has to be open."""
    tenant, _ = await _one_event(parts, caller, event_id, wanted.tenant)
    await check_wait(parts, caller, tenant, order.wait_id)
    handing = Handing(
        tenant=tenant,
        event_id=event_id,
        wait_id=order.wait_id,
        actor=caller.actor,
        reason=order.reason,
    )
    match await bind(parts.database, handing, behind_wall=True):
        case Bound() as bound:
            parts.sink.wake()
            return answer(bound)
        case NotBound(unknown=True):
            raise not_found("wait")
        case NotBound(why=why):
            raise Problem(
                HTTPStatus.CONFLICT,
                f"nothing was changed: {why}",
                field="wait_id",
                fix="choose an open wait that has not had the event",
            )


@router.post(
    "/rules/shadow",
    summary="Try rules on the events that have come",
    responses=documented(ShadowAnswer, "", *READING),
)
async def shadow_rules(parts: PartsOf, caller: Operator, proposed: ProposedRules) -> Response:
    """The difference that they would have made to the newest events; nothing is changed."""
    try:
        with parts.workers.place(caller.actor):
            rules = await proposed_rules(parts.workers, exact_json(proposed.rules))
    except RulesError as error:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the rules cannot be used: {error}",
            field="rules",
            fix="correct the entries that the detail names",
        ) from None
    tenants = caller.reach(proposed.tenant)
    found = await shadow(lambda: parts.reading(tenants), rules, last=proposed.last, tenants=tenants)
    return answer({"sentence": found.sentence, **asdict(found)})


async def _replay(
    parts: Parts, caller: Principal, identities: Sequence[Identity], reason: str | None
) -> Sequence[Replayed]:
    """Tenant by tenant, each behind its own wall."""
    replayer = Replayer(parts.database, parts.settings.buffer_ttl)
    replayed: list[Replayed] = []
    for tenant, mine in groupby(sorted(identities), key=lambda identity: identity[0]):
        replayed.extend(
            await replayer.replay(
                list(mine),
                parts.rules(),
                actor=caller.actor,
                reason=reason,
                behind_wall=tenant,
                vouched_only=not caller.sees_every_tenant,
            )
        )
    if any(each.waits for each in replayed):
        parts.sink.wake()
    return replayed


async def _one_event(
    parts: Parts, caller: Principal, event_id: str, tenant: str | None
) -> Identity:
    """The recorded event of this id among the caller's tenants; raises Problem."""
    tenants = caller.reach_of_object(tenant)
    found: list[Identity] = []
    for one in [None] if tenants is None else tenants:
        async with parts.reading(None if one is None else [one]) as connection:
            stories = await event_story(connection, event_id, one)
        found.extend((story.tenant, event_id) for story in stories if story.event is not None)
    return the_one(found, "event", several="an event")
