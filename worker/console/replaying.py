"""Routing stored events again, after a preview; and handing one event to a wait by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Final, assert_never

from fastapi import Response
from pydantic import BaseModel, BeforeValidator, ConfigDict

from routing.audit_pages import EventQuery
from routing.binding import Bound, Handing, NotBound, bind
from routing.incoming import Identity
from routing.replay import Replayer, preview, selected
from worker.api.owned import check_wait
from worker.api.problems import Problem
from worker.api.reading import EventParameters, Text, not_found
from worker.console.events import KEPT, one_story, read_filters
from worker.console.lists import narrowing
from worker.console.rendering import page
from worker.console.routes import console_router, go_to
from worker.console.visits import Operating, Visit, Visiting, form_fields

router = console_router()

MOST_REPLAYED: Final = 1000
EXAMPLES: Final = 50


class _Replaying(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[Text | None, BeforeValidator(lambda text: text or None)] = None
    of: Annotated[Text | None, BeforeValidator(lambda text: text or None)] = None
    reason: Text


class _Binding(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Text
    of: Text
    wait_id: Text
    reason: Text


@router.get("/replay")
async def show_preview(visit: Visiting, id: str = "", of: str | None = None) -> Response:  # noqa: A002
    """What replaying would do now: of one event, or of those that the list's filters select."""
    given = narrowing(visit)
    identities, more = await _identities(visit, id, of, given)
    foreseen = await preview(
        lambda: visit.parts.reading(visit.tenants),
        identities,
        visit.parts.rules(),
        truncated=more,
        examples=EXAMPLES,
    )
    filters = {name: given[name] for name in KEPT if name in given}
    return page(
        "replay.html",
        visit,
        preview=foreseen,
        filters=filters,
        id=id,
        of=of or "",
        most=MOST_REPLAYED,
    )


@router.post("/replay")
async def replay(visit: Operating) -> Response:
    """Replay them; who did it, and why, is written down with every event."""
    given = {name: text for name, text in (await form_fields(visit.request)).items() if text}
    wanted = _Replaying.model_validate(given)
    identities, more = await _identities(visit, wanted.id or "", wanted.of, given)
    if more:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the filters select more than {MOST_REPLAYED} events",
            fix="narrow them, by time or by name, and replay the parts one after the other",
        )
    replayer = Replayer(visit.parts.database, visit.parts.settings.buffer_ttl)
    done = await replayer.replay(
        identities,
        visit.parts.rules(),
        actor=visit.principal.actor,
        reason=wanted.reason,
        behind_wall=visit.tenants,
        vouched_only=not visit.principal.sees_every_tenant,
    )
    visit.parts.sink.wake()
    woken = sum(len(each.waits) for each in done)
    if wanted.id and done:
        return go_to(
            "/event", tenant=visit.tenant, id=wanted.id, of=done[0].tenant, routed=1, woken=woken
        )
    filters = {name: given[name] for name in KEPT if name in given}
    return go_to("/events", tenant=visit.tenant, routed=len(done), woken=woken, **filters)


@router.post("/bind")
async def hand_over(visit: Operating) -> Response:
    """Hand an event to a wait, whatever its key; both must be of one tenant."""
    wanted = _Binding.model_validate(await form_fields(visit.request))
    if not visit.principal.sees(wanted.of):
        raise not_found("event")
    await check_wait(visit.parts, visit.principal, wanted.of, wanted.wait_id)
    handing = Handing(
        tenant=wanted.of,
        event_id=wanted.id,
        wait_id=wanted.wait_id,
        actor=visit.principal.actor,
        reason=wanted.reason,
    )
    binding = await bind(visit.parts.database, handing, behind_wall=True)
    match binding:
        case Bound():
            visit.parts.sink.wake()
            return go_to("/event", tenant=visit.tenant, id=wanted.id, of=wanted.of, handed=1)
        case NotBound(why, unknown):
            status = HTTPStatus.NOT_FOUND if unknown else HTTPStatus.CONFLICT
            raise Problem(status, why, fix="look at the event and at the wait again")
        case _:
            assert_never(binding)


async def _identities(
    visit: Visit, event_id: str, tenant: str | None, given: Mapping[str, str]
) -> tuple[Sequence[Identity], bool]:
    if event_id:
        story = await one_story(visit, event_id, tenant)
        if story.event is None:
            raise Problem(
                HTTPStatus.CONFLICT,
                "this entry became no event: there is nothing to route again",
                fix="let the publisher mend it and publish it anew",
            )
        return [(story.tenant, story.event.event_id)], False
    chosen = {name: text for name, text in read_filters(given).items() if name not in _PAGING}
    query: EventQuery = EventParameters.model_validate(chosen).query()
    async with visit.parts.reading(visit.tenants) as connection:
        return await selected(connection, visit.tenants, query, MOST_REPLAYED)


_PAGING: Final = ("cursor", "limit")
