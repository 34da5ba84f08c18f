"""Why did my event not wake my workflow? A dry run through the live code, and a look around it.

Nothing here writes. One tenant's event is explained behind the wall of row-level security; whether
another tenant waits for the same is asked apart, and answered with yes or no.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import assert_never

from correlation.event import Event
from correlation.near_misses import Findings, named, near_misses_of
from correlation.places import places_of
from correlation.reason import Outcome, Reason
from correlation.resolution import Resolution, Resolved, Unresolved, resolve
from correlation.rules import Rules
from correlation.wait_seen import NearMissKind, WaitSeen
from routing.audit import event_story
from routing.audit_records import DeliveryRecord, EventStory
from routing.audit_sentences import starts_something, what_was_read, without_key
from routing.database import Database
from routing.explain_advice import advice_on
from routing.explain_launches import disabled_triggers, launch_prospects
from routing.explain_records import EventExplanation
from routing.explain_search import Search, another_tenant_waits, search
from routing.stored_event import StoredEvent, keys_of_resolution


@dataclass(frozen=True, slots=True)
class _Case:
    """An event with everything that was found out about it."""

    event: Event
    resolution: Resolution
    search: Search
    story: EventStory | None
    """None of a hypothetical event."""
    launching: tuple[str, ...] = ()
    """Of a hypothetical event: what its triggers would do now; of any: which are disabled."""

    @property
    def found(self) -> Findings:
        return self.search.findings

    @property
    def open_waits(self) -> Sequence[WaitSeen]:
        """The waits that the event meets now, or met when it came."""
        keys = keys_of_resolution(self.resolution)
        return [
            wait
            for wait in self.found.exact
            if wait.correlation_key in keys
            and (wait.status == "waiting" or wait.open_at(self.found.received_at))
        ]

    @property
    def passed_over(self) -> Sequence[WaitSeen]:
        """Of those, the waits that the event was never handed to."""
        return [wait for wait in self.open_waits if wait.wait_id not in self.found.met]


async def explain_stored(
    database: Database,
    rules: Rules,
    event_id: str,
    *,
    tenant: str | None = None,
    behind_wall: bool = False,
    across_tenants: bool = False,
) -> Sequence[EventExplanation]:
    """Explain a recorded event or rejected entry, once for each tenant that has the id.

    With a `tenant` only that one's; `behind_wall` reads as that tenant. Empty when there is none.
    `across_tenants` as for a hypothetical event: whoever may publish could record one in order to
    ask. Raises DatabaseUnavailable.
    """
    wall = tenant if behind_wall else None
    async with database.transaction(tenant=wall) as connection:
        stories = await event_story(connection, event_id, tenant)
    return [
        await _explain_story(
            database, rules, story, behind_wall=behind_wall, across_tenants=across_tenants
        )
        for story in stories
    ]


async def explain_hypothetical(
    database: Database,
    rules: Rules,
    event: Event,
    *,
    behind_wall: bool = False,
    across_tenants: bool = False,
    launches_held: str | None = None,
) -> EventExplanation:
    """Explain what an event would do if it came now; nothing is recorded.

    `launches_held` says why it would start nothing, whatever its triggers say.
    `across_tenants` says, too, whether another tenant waits for it: only for whoever may see every
    tenant, or anybody could ask for the keys of others. Raises DatabaseUnavailable.
    """
    resolution = resolve(event, rules)
    case = await _case(
        database,
        event,
        resolution,
        None,
        behind_wall=behind_wall,
        across_tenants=across_tenants,
        launches_held=launches_held,
    )
    return _explanation(case, rules)


async def _explain_story(
    database: Database,
    rules: Rules,
    story: EventStory,
    *,
    behind_wall: bool,
    across_tenants: bool,
) -> EventExplanation:
    if story.event is None:
        return _of_rejected(story, rules)
    stored = StoredEvent.of_record(story.event)
    case = await _case(
        database,
        stored.event(),
        stored.resolved_by(rules),
        story,
        behind_wall=behind_wall,
        across_tenants=across_tenants,
    )
    return _explanation(case, rules)


async def _case(
    database: Database,
    event: Event,
    resolution: Resolution,
    story: EventStory | None,
    *,
    behind_wall: bool,
    across_tenants: bool,
    launches_held: str | None = None,
) -> _Case:
    record = None if story is None else story.event
    recorded = () if record is None else record.keys
    keys = list(dict.fromkeys((*recorded, *keys_of_resolution(resolution))))
    another = across_tenants and await another_tenant_waits(database, event, keys)
    met = frozenset(d.wait_id for d in story.deliveries) if story is not None else frozenset[str]()
    wall = event.tenant if behind_wall else None
    async with database.transaction(tenant=wall) as connection:
        found = await search(
            connection,
            event,
            keys,
            datetime.now(UTC) if record is None else record.received_at,
            met,
            another_tenant=another,
        )
        case = _Case(event, resolution, found, story)
        if story is not None:
            said = await disabled_triggers(
                connection,
                event,
                came_at=found.findings.received_at,
                considered={launch.trigger_id for launch in story.launches},
            )
        else:
            key = next(iter(keys_of_resolution(resolution)), None)
            taken = bool(case.open_waits)
            said = await launch_prospects(connection, event, key, taken=taken, held=launches_held)
    return replace(case, launching=tuple(said))


def _explanation(case: _Case, rules: Rules) -> EventExplanation:
    record = None if case.story is None else case.story.event
    outcome, reason, detail = _end(case)
    explanation = EventExplanation(
        tenant=case.event.tenant,
        event_id=case.event.event_id,
        name=case.event.name,
        hypothetical=record is None,
        outcome=outcome.value,
        reason=reason,
        detail=detail,
        received_at=case.found.received_at,
        rules_version=rules.version,
        recorded_rules_version=None if record is None else record.rules_version,
        keys=tuple(keys_of_resolution(case.resolution)),
        recorded_keys=() if record is None else record.keys,
        places=places_of(case.event, rules),
        waits=tuple(case.found.exact),
        deliveries=() if case.story is None else case.story.deliveries,
        rejected=() if case.story is None else case.story.rejected,
        near_misses=near_misses_of(case.found),
        sentences=(),
        what_to_do=(),
        truncated=case.search.truncated,
        launches=() if case.story is None else case.story.launches,
    )
    return replace(
        explanation,
        sentences=tuple(_sentences(case, explanation)),
        what_to_do=tuple(dict.fromkeys(_what_to_do(case, explanation))),
    )


def _end(case: _Case) -> tuple[Outcome, str | None, str | None]:
    """How the event ended or, if it is hypothetical, how it would end now."""
    if case.story is not None and case.story.event is not None:
        record = case.story.event
        return record.outcome, record.reason, record.detail
    match case.resolution:
        case Unresolved(reason, detail):
            return Outcome.UNRESOLVED, reason.value, detail
        case Resolved() if case.open_waits:
            return Outcome.MATCHED, None, None
        case Resolved():
            return Outcome.NO_WAIT, Reason.NO_OPEN_WAIT.value, None
        case _:
            assert_never(case.resolution)


def _sentences(case: _Case, explanation: EventExplanation) -> Iterator[str]:
    if case.story is not None:
        yield from case.story.sentences
    else:
        yield from _prospects(case)
    yield from case.launching
    if explanation.recorded_rules_version not in {None, explanation.rules_version}:
        yield from _changed_rules(explanation)
    if not case.search.awaited_now:
        ever = "" if case.event.name in case.found.names else " or is recorded to have done so"
        yield f"No run of tenant {case.event.tenant} waits for {case.event.name} now{ever}."
    for delivery in explanation.deliveries:
        if delivery.disposition == "filtered":
            yield from _described_filter(delivery, case.found.exact)
    if not explanation.hypothetical:
        yield from (_passed_over(wait) for wait in case.passed_over)
    yield from (miss.sentence for miss in explanation.near_misses)
    if case.search.truncated:
        yield "There are more waits of this tenant than were compared."


def _prospects(case: _Case) -> Iterator[str]:
    if isinstance(case.resolution, Unresolved):
        yield f"It would wake nobody: {without_key(case.resolution.reason)}."
        yield what_was_read(case.resolution.detail)
        return
    keys = ", ".join(f"'{key}'" for key in case.resolution.keys)
    if not case.open_waits:
        yield f"It would wake nobody: no run waits for {case.event.name} with {keys} now."
    for wait in case.open_waits:
        yield f"It would wake {named(wait)}, which waits for the key '{wait.correlation_key}'."
        if wait.filter:
            yield f"The workflow's own filter may still refuse it: {wait.filter}."


def _changed_rules(explanation: EventExplanation) -> Iterator[str]:
    if explanation.keys == explanation.recorded_keys:
        yield "The rules have changed since; they give it the same keys."
        return
    now = ", ".join(f"'{key}'" for key in explanation.keys) or "no key at all"
    yield f"The rules have changed since: those in force give it {now}."


def _described_filter(delivery: DeliveryRecord, waits: Sequence[WaitSeen]) -> Iterator[str]:
    for wait in waits:
        if wait.wait_id == delivery.wait_id and wait.filter:
            yield f"The filter of {named(wait)} is described as: {wait.filter}."


def _passed_over(wait: WaitSeen) -> str:
    why = (
        "an exclusive wait before it took the event, or the rules have changed"
        if wait.cardinality == "exclusive"
        else "it was registered later without reaching back, or the rules have changed"
    )
    return (
        f"{named(wait)} has the key '{wait.correlation_key}', which the event has under the rules "
        f"in force, and was not handed it: {why}."
    )


def _what_to_do(case: _Case, explanation: EventExplanation) -> Iterator[str]:
    for delivery in explanation.deliveries:
        if delivery.status in {"dead", "pending", "withdrawn"} and delivery.reason:
            yield from filter(None, [advice_on(delivery.reason)])
        elif delivery.disposition == "filtered":
            yield "Compare the payload with the workflow's filter."
    for launch in explanation.launches:
        yield from filter(None, [advice_on(launch.reason)])
    if explanation.outcome == Outcome.MATCHED.value:
        return
    open_now = any(wait.status == "waiting" for wait in case.passed_over)
    if open_now and not explanation.hypothetical:
        yield "A wait with its key is open now: replay the event to wake it."
    kinds = {miss.kind for miss in explanation.near_misses}
    started = starts_something(explanation.launches)
    if not kinds and not started and case.event.name not in case.found.names:
        yield f"Nothing, unless a workflow should wait for {case.event.name}: none ever did."
    if not kinds and started:
        return
    # A plain answer to the reason comes first unless something more particular was found.
    if not kinds - {NearMissKind.OTHER_TENANT}:
        yield from filter(None, [advice_on(explanation.reason)])
    yield from (miss.what_to_do for miss in explanation.near_misses)


def _of_rejected(story: EventStory, rules: Rules) -> EventExplanation:
    entry = story.rejected[0]
    advice = dict.fromkeys(filter(None, (advice_on(each.reason) for each in story.rejected)))
    return EventExplanation(
        tenant=story.tenant,
        event_id=entry.event_id,
        name=entry.name,
        hypothetical=False,
        outcome=entry.outcome.value,
        reason=entry.reason,
        detail=entry.detail,
        received_at=entry.received_at,
        rules_version=rules.version,
        recorded_rules_version=None,
        keys=(),
        recorded_keys=(),
        places=(),
        waits=(),
        deliveries=(),
        rejected=story.rejected,
        near_misses=(),
        sentences=story.sentences,
        what_to_do=tuple(advice),
        truncated=False,
    )
