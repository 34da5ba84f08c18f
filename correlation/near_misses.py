"""From the waits that were found to what they tell about an event: pure, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from .event import Event
from .places import Scalar
from .resemblance import Lookalikes, Resemblance, closest
from .wait_seen import NearMiss, NearMissKind, WaitSeen

MOST_OF_A_KIND: Final = 10
MOST_ENDED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found around one event."""

    event: Event
    keys: Sequence[str]
    """Its keys as recorded, then those that the rules in force give it besides."""
    received_at: datetime
    met: frozenset[str]
    """Ids of the waits that the event was handed to."""
    exact: Sequence[WaitSeen]
    """Waits of its name and one of its keys."""
    same_key: Sequence[WaitSeen]
    """Waits of one of its keys, under other names."""
    beside: Sequence[WaitSeen]
    """Waits of its name whose keys stand beside one of its keys, or spell one of them otherwise."""
    elsewhere: Sequence[WaitSeen]
    """Waits of its name whose key is a value of the payload, or the event's id."""
    scalars: Sequence[Scalar]
    another_tenant: bool
    names: frozenset[str]
    """Every event name that the tenant has a wait for."""


def near_misses_of(found: Findings) -> tuple[NearMiss, ...]:
    """Every near miss, the most telling first."""
    return (
        *_exact(found),
        *_spelt_otherwise(found),
        *_elsewhere(found),
        *_other_names(found),
        *_another_tenant(found),
        *_name_spellings(found),
    )


def span(duration: timedelta) -> str:
    """A duration for a person: `340 ms`, `2.5 s`, `4 min`, `3 h`, `2 days`."""
    seconds = abs(duration.total_seconds())
    for limit, unit, size in (
        (1, "ms", 0.001),
        (120, "s", 1.0),
        (7200, "min", 60.0),
        (172_800, "h", 3600.0),
    ):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 86_400:.3g} days"


def named(wait: WaitSeen) -> str:
    """A wait for a person: whose it is, and its id."""
    return f"{wait.workflow_id} (wait {wait.wait_id})"


def ending(wait: WaitSeen) -> str:
    """How a wait ended, as a clause: `it timed out`, `it accepted an event`."""
    return _ENDINGS.get(wait.end, f"it was closed ({wait.end})")


_ENDINGS: Final[Mapping[str, str]] = {
    "accepted": "it accepted an event",
    "timed_out": "it timed out",
    "cancelled": "the workflow withdrew it",
    "wait_expired": "it expired",
    "closed_by_hand": "an operator closed it",
    "run_closed": "its run ended",
    "run_not_found": "its run was found to be gone",
    "closed": "it was closed",
}


def _exact(found: Findings) -> Iterator[NearMiss]:
    missed = [wait for wait in found.exact if wait.wait_id not in found.met]
    ended = 0
    for wait in missed:
        end = wait.closed_at or wait.expires_at
        if wait.registered_at > found.received_at:
            yield _opened_after(wait, found.received_at)
        elif end is not None and end <= found.received_at and ended < MOST_ENDED:
            ended += 1
            yield _closed_before(wait, end, found.received_at)


def _opened_after(wait: WaitSeen, received_at: datetime) -> NearMiss:
    gap = wait.registered_at - received_at
    back = wait.lookback
    began = f"{named(wait)} began to wait for this key {span(gap)} after the event came"
    if back < gap:
        looks = f"looks back {span(back)} only" if back else "does not look back"
        short = f"; that is {span(gap - back)} too short" if back else ""
        sentence = f"{began} and {looks}{short}."
        fix = f"Register the wait earlier, or with a look-back of more than {span(gap)}"
    else:
        sentence = (
            f"{began}; its look-back of {span(back)} reaches the event, and yet it did not get it: "
            "the event had no such key then, was no longer buffered, or was taken already."
        )
        fix = "Replay the event"
    if wait.status == "waiting":
        fix += f"; to wake it now, hand the event to wait {wait.wait_id}"
    return _of_wait(NearMissKind.OPENED_AFTER, wait, sentence, f"{fix}.")


def _closed_before(wait: WaitSeen, end: datetime, received_at: datetime) -> NearMiss:
    why = wait.end if wait.status == "closed" else "wait_expired"
    sentence = (
        f"{named(wait)} waited for this key until {span(received_at - end)} before the event came "
        f"({why})."
    )
    fix = {
        "accepted": "Nothing, if one event was enough; to take several, let the workflow wait "
        "again or use a wait of kind stream.",
        "timed_out": f"Let the workflow wait at least {span(received_at - end)} longer.",
        "wait_expired": f"Let the wait expire at least {span(received_at - end)} later.",
        "cancelled": "Nothing, if the workflow meant to withdraw the wait.",
        "closed_by_hand": "Ask who closed it: their name and reason stand beside the wait.",
    }.get(why, "See why the workflow's run ended before the event came.")
    return _of_wait(NearMissKind.CLOSED_BEFORE, wait, sentence, fix)


_DIFFERENCES: Final[Mapping[str, tuple[str, str]]] = {
    Resemblance.CASE: (
        "differs in upper and lower case only",
        "Keys are compared case-sensitively: write it alike on both sides.",
    ),
    Resemblance.ZERO_PADDING: (
        "differs in leading zeros only",
        "Text keeps its zeros: pad on both sides alike, or send the number as a number.",
    ),
    Resemblance.NUMBER_FORMAT: (
        "is the same number, written otherwise",
        "Text stays as it is: send the number as a JSON number, or write it alike on both sides.",
    ),
    Resemblance.UNICODE_FORM: (
        "has other Unicode characters for the same letters",
        "Use the same characters on both sides; only canonical (NFC) forms are brought together.",
    ),
    Resemblance.PUNCTUATION: (
        "differs in spaces or punctuation only",
        "Write the separators alike on both sides.",
    ),
    Resemblance.LOOK_ALIKE: (
        "has a letter where that has a digit that looks alike, or the other way round",
        "Correct the key at its source: it seems to be mistyped.",
    ),
    Resemblance.AFFIX: (
        "is the same with a little more or less before or behind",
        "If both mean the same thing, write it alike on both sides.",
    ),
}


def difference(resemblance: str) -> tuple[str, str]:
    """How keys differ, and what to do about it."""
    return _DIFFERENCES[resemblance]


def _spelt_otherwise(found: Findings) -> Iterator[NearMiss]:
    waits = _relevant(found.beside, found)
    lookalikes = Lookalikes(wait.correlation_key for wait in waits)
    for key in found.keys:
        resembling = lookalikes.closest(key, MOST_OF_A_KIND)
        for other, resemblance in resembling:
            for wait in _first_of_each_workflow(w for w in waits if w.correlation_key == other):
                differs, fix = difference(resemblance)
                yield NearMiss(
                    kind=NearMissKind.OTHER_KEY,
                    sentence=f"{_waiting(wait, found)} for the key '{other}'; the event's '{key}' "
                    f"{differs}.",
                    what_to_do=fix,
                    resemblance=resemblance.value,
                    event_key=key,
                    wait=wait,
                )


def _elsewhere(found: Findings) -> Iterator[NearMiss]:
    paths: dict[str, list[str]] = {}
    for scalar in found.scalars:
        paths.setdefault(scalar.key, []).append(scalar.path)
    for wait in _relevant(found.elsewhere, found):
        key = wait.correlation_key
        if key in found.keys:
            continue
        if key == found.event.event_id:
            yield _of_wait(
                NearMissKind.EVENT_ID_AS_KEY,
                wait,
                f"{_waiting(wait, found)} for the key '{key}', which is the event's id; an event's "
                "id is never a key.",
                "Let the workflow wait for the business key, or the publisher send the id as "
                "workflow_correlation_key, too.",
            )
        for path in paths.get(key, ())[:1]:
            yield NearMiss(
                kind=NearMissKind.KEY_ELSEWHERE,
                sentence=f"{_waiting(wait, found)} for the key '{key}', which stands in the "
                f"payload at {path}, where no rule reads it as the event's key.",
                what_to_do=_rule_for(path, found),
                wait=wait,
                path=path,
            )


def _rule_for(path: str, found: Findings) -> str:
    name = found.event.name
    if found.keys:
        return f"If {path} is the key: correct the explicit key or the rules for {name}."
    return f"Add the path {path} to the rules for {name}, then replay the event."


def _other_names(found: Findings) -> Iterator[NearMiss]:
    waits = _first_of_each_workflow(_relevant(found.same_key, found))
    for wait in waits[:MOST_OF_A_KIND]:
        yield _of_wait(
            NearMissKind.OTHER_NAME,
            wait,
            f"{_waiting(wait, found)} for the key '{wait.correlation_key}' under another event "
            f"name, {wait.name}.",
            f"If {found.event.name} should wake it, let the workflow wait for that name as well.",
        )


def _another_tenant(found: Findings) -> Iterator[NearMiss]:
    if found.another_tenant:
        yield NearMiss(
            kind=NearMissKind.OTHER_TENANT,
            sentence="A wait of another tenant has, or had, this name and key.",
            what_to_do=tenants_apart(found.event.tenant, "workflow"),
        )


def _name_spellings(found: Findings) -> Iterator[NearMiss]:
    name = found.event.name
    if name in found.names:
        return
    for other, _ in closest(name, found.names, MOST_ENDED):
        yield NearMiss(
            kind=NearMissKind.NAME_SPELLING,
            sentence=f"Nobody waits for {name}; there are waits for {other}.",
            what_to_do="Write the event's name alike in the publisher and in the workflow.",
        )


def _relevant(waits: Iterable[WaitSeen], found: Findings) -> Sequence[WaitSeen]:
    """Those that the event would have met or could still meet."""
    return [
        wait
        for wait in waits
        if wait.wait_id not in found.met
        and (wait.open_at(found.received_at) or wait.status == "waiting")
    ]


def _first_of_each_workflow(waits: Iterable[WaitSeen]) -> Sequence[WaitSeen]:
    first: dict[tuple[str, str], WaitSeen] = {}
    for wait in waits:
        first.setdefault((wait.workflow_id, wait.name), wait)
    return list(first.values())


def _waiting(wait: WaitSeen, found: Findings) -> str:
    if wait.status != "waiting":
        return f"{named(wait)} waited, until {ending(wait)},"
    when = "" if wait.open_at(found.received_at) else " since after the event came"
    return f"{named(wait)} waits{when}"


def _of_wait(kind: NearMissKind, wait: WaitSeen, sentence: str, what_to_do: str) -> NearMiss:
    return NearMiss(kind=kind, sentence=sentence, what_to_do=what_to_do, wait=wait)


def tenants_apart(tenant: str, other_side: str) -> str:
    """What to do where only the tenant differs; `other_side` is who may spell it otherwise."""
    return (
        f"Events and waits of different tenants never meet: see whether '{tenant}' is the right "
        f"tenant, spelt as the {other_side} spells it."
    )
