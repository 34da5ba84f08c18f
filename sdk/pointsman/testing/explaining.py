"""Why an event woke a wait or did not, in the words of the service's own explanations."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from pointsman.correlation.near_misses import Findings, named, near_misses_of
from pointsman.correlation.places import scalars_of
from pointsman.correlation.resolution import Resolved
from pointsman.correlation.wait_seen import NearMiss, WaitSeen
from pointsman.testing.matcher import MatcherTwin
from pointsman.testing.records import DeliveryState, EventState, WaitState


def event_in_words(twin: MatcherTwin, state: EventState) -> str:
    """An event's end, its keys, whom it was handed to and which waits it nearly met."""
    event = state.event
    reason = f" ({state.reason})" if state.reason else ""
    lines = [
        f"{event.name} {event.event_id!r} of tenant {event.tenant!r}: {state.outcome}{reason}",
        f"  {_keys_in_words(state)}",
        *(f"  {line}" for line in _handed(twin, state)),
        *_missed(near_misses(twin, state)),
    ]
    if state.conflicts:
        lines.append(
            f"  something else came under its id {state.conflicts} times and was refused "
            "(conflicting_duplicate): give each event an id of its own"
        )
    if not any(wait.terms.tenant == state.event.tenant for wait in twin.waits.values()):
        lines.append(f"  tenant {state.event.tenant!r} has no wait at all")
    return "\n".join(lines)


def wait_in_words(twin: MatcherTwin, wait: WaitState) -> str:
    """What a wait waits for, how it stands, what it was handed and which events it missed."""
    terms = wait.terms
    ended = "" if wait.open else f"; closed: {wait.disposition or wait.reason}"
    interest = f"{terms.event_name}, key {terms.correlation_key!r}"
    lines = [f"{named(wait.seen())} of tenant {terms.tenant!r} waits for {interest}{ended}"]
    lines += [
        f"  {each.event.event.event_id!r}: {_state(each)}" for each in twin.deliveries_to(wait)
    ]
    misses = [
        f"  missed {state.event.name} {state.event.event_id!r}: {miss.sentence} {miss.what_to_do}"
        for state in twin.events.values()
        for miss in near_misses(twin, state)
        if miss.wait is not None and miss.wait.wait_id == terms.wait_id
    ]
    return "\n".join(lines + (misses or ["  no event came near it"] * (len(lines) == 1)))


def all_in_words(twin: MatcherTwin) -> str:
    """Every event, then every open wait."""
    events = [event_in_words(twin, state) for state in twin.events.values()]
    waits = [wait_in_words(twin, wait) for wait in twin.waits.values() if wait.open]
    return "\n".join([*(events or ["no event was published"]), *(waits or ["no wait is open"])])


def near_misses(twin: MatcherTwin, state: EventState) -> Sequence[NearMiss]:
    """The waits that an event nearly met, the most telling first."""
    tenant, name = state.event.tenant, state.event.name
    waits = [wait for wait in twin.waits.values() if wait.terms.tenant == tenant]
    scalars = tuple(scalars_of(state.event.payload.value))
    elsewhere = {scalar.key for scalar in scalars} | {state.event.event_id}
    seen = [(wait.terms.event_name == name, wait.seen()) for wait in waits]
    return near_misses_of(
        Findings(
            event=state.event,
            keys=state.keys,
            received_at=state.received_at,
            met=frozenset(each.wait.terms.wait_id for each in twin.deliveries_of(state)),
            exact=_those(seen, state.keys, same_name=True),
            same_key=_those(seen, state.keys, same_name=False),
            beside=[wait for same, wait in seen if same and wait.correlation_key not in state.keys],
            elsewhere=_those(seen, elsewhere, same_name=True),
            scalars=scalars,
            another_tenant=_another_tenant(twin, state),
            names=frozenset(wait.terms.event_name for wait in waits),
        )
    )


def _those(
    seen: Sequence[tuple[bool, WaitSeen]], keys: Collection[str], *, same_name: bool
) -> list[WaitSeen]:
    return [wait for same, wait in seen if same is same_name and wait.correlation_key in keys]


def _another_tenant(twin: MatcherTwin, state: EventState) -> bool:
    return any(
        wait.terms.tenant != state.event.tenant
        and wait.terms.event_name == state.event.name
        and wait.terms.correlation_key in state.keys
        for wait in twin.waits.values()
    )


def _keys_in_words(state: EventState) -> str:
    resolution = state.resolution
    if isinstance(resolution, Resolved):
        return f"key {', '.join(map(repr, resolution.keys))}, found at {resolution.detail}"
    return f"no key: {resolution.detail}"


def _handed(twin: MatcherTwin, state: EventState) -> Iterator[str]:
    deliveries = twin.deliveries_of(state)
    for each in deliveries:
        yield f"handed to {named(each.wait.seen())}: {_state(each)}"
    taker = next((each.wait for each in deliveries if each.wait.exclusive), None)
    met = [each.wait for each in deliveries]
    for wait in twin.waits.values():
        if taker is not None and wait not in met and _passed_over(wait, taker, state):
            yield (
                f"not to {named(wait.seen())}: it is exclusive, and {named(taker.seen())} comes "
                "before it"
            )


def _passed_over(wait: WaitState, taker: WaitState, state: EventState) -> bool:
    return (
        wait.exclusive
        and wait.position > taker.position
        and wait.terms.event_name == state.event.name
        and wait.terms.correlation_key in state.keys
        and wait.seen().open_at(state.received_at)
    )


def _state(delivery: DeliveryState) -> str:
    return f"{delivery.status}, {delivery.disposition}" if delivery.disposition else delivery.status


def _missed(misses: Sequence[NearMiss]) -> list[str]:
    if not misses:
        return []
    return ["  nearly:", *(f"  - {miss.sentence} {miss.what_to_do}" for miss in misses)]
