"""Working out an event's correlation keys.

The order, first hit decides: the envelope's own key, `workflowCorrelationKey` and `correlationKey`
in the payload, then all the derivation paths of the event's name and of `*`. The event id is never
a key: it is not looked at here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

import msgspec

from pointsman.contract import MAX_KEYS_PER_EVENT

from .event import Event
from .key import CanonicalKey, CorrelationKey, NoValue, RefusedKey, canonical_key
from .path import ABSENT, DerivationPath, read_all, read_one
from .reason import Reason
from .rules import Rules

ENVELOPE_KEY: Final = "event.workflow_correlation_key"
"""`Resolved.detail` of an event whose envelope names the key."""

PAYLOAD_KEYS: Final = ("workflowCorrelationKey", "correlationKey")
"""The members of a payload that name the key, in the order of reading."""

MAX_PLACES_VISITED: Final = 10_000
"""How many places in one payload all the branching paths together may lead through."""

_PAYLOAD_KEYS: Final = frozenset(PAYLOAD_KEYS)
_MAX_REMARKS: Final = 10
_MAX_DETAIL_CHARACTERS: Final = 2000


class KeySource(StrEnum):
    """Where an event's key came from."""

    EXPLICIT = "explicit"
    DERIVED = "derived"
    MISSING = "missing"
    """Nowhere: the event is unresolved."""


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """An event with its keys."""

    key: CorrelationKey
    """The primary key, stored with the event."""
    keys: tuple[CorrelationKey, ...]
    """All keys, the primary one first, none twice; the event is matched under each."""
    source: KeySource
    detail: str
    """Where the primary key was found: `payload.correlationKey`, `INVOICE_PAID: invoice.id`, …"""
    notes: tuple[str, ...] = ()
    """What was passed over because it cannot be a key."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An event without a usable key: it wakes nobody, and triggers still fire.

    `detail` tells an operator which places were read and what was found in each; it never quotes
    the payload.
    """

    reason: Reason
    detail: str


Resolution: TypeAlias = Resolved | Unresolved


def resolve(event: Event, rules: Rules) -> Resolution:
    """Work out an event's keys. Never raises, and is bounded in time, whatever the payload."""
    if event.explicit_key is None and _PAYLOAD_KEYS.isdisjoint(event.payload.value):
        return _derive(event, rules, [])
    passed_over: list[_Refusal | str] = []
    for place, value in _explicit_places(event):
        reading = canonical_key(value)
        if isinstance(reading, CanonicalKey):
            return Resolved(
                reading.key, (reading.key,), KeySource.EXPLICIT, place, _shortened(passed_over)
            )
        if isinstance(reading, RefusedKey):
            if reading.reason is not Reason.NOT_SCALAR:
                # A publisher that names a key means it: guessing another would wake a stranger.
                return Unresolved(reading.reason, f"{place}: {reading.detail}")
            passed_over.append(_Refusal(place, reading))
    return _derive(event, rules, passed_over)


def _explicit_places(event: Event) -> Sequence[tuple[str, object]]:
    payload = event.payload.value
    in_payload = ((f"payload.{name}", payload[name]) for name in PAYLOAD_KEYS if name in payload)
    envelope = () if event.explicit_key is None else ((ENVELOPE_KEY, event.explicit_key),)
    return (*envelope, *in_payload)


@dataclass(frozen=True, slots=True)
class _Refusal:
    place: str
    reading: RefusedKey

    def __str__(self) -> str:
        return f"{self.place}: {self.reading.detail}"


@dataclass(slots=True)
class _Findings:
    """What the places read so far led to."""

    passed_over: list[_Refusal | str]
    """What was no key, in the order of reading: a refused value, or a remark on an empty place."""
    keys: dict[CorrelationKey, DerivationPath] = field(default_factory=dict)

    def refusals(self) -> list[_Refusal]:
        return [passed for passed in self.passed_over if isinstance(passed, _Refusal)]

    def add(self, path: DerivationPath, value: object) -> None:
        if value is ABSENT:
            self.passed_over.append(f"{path.label}: nothing there")
            return
        reading = canonical_key(value)
        match reading:
            case CanonicalKey():
                self.keys.setdefault(reading.key, path)
            case NoValue():
                self.passed_over.append(f"{path.label}: {'null' if value is None else 'blank'}")
            case RefusedKey():
                self.passed_over.append(_Refusal(path.label, reading))
            case _:
                assert_never(reading)

    def add_all(self, path: DerivationPath, values: Sequence[object]) -> None:
        for value in values or (ABSENT,):
            self.add(path, value)


def _derive(event: Event, rules: Rules, passed_over: list[_Refusal | str]) -> Resolution:
    paths = rules.paths_for(event.name)
    if len(paths) == 1 and not passed_over and (found := _at_once(event, paths[0])):
        return found
    findings = _Findings(passed_over)
    overflow = _read_paths(event, paths, findings)
    if overflow is not None:
        return overflow
    if not findings.keys:
        return _without_key(paths, findings)
    keys = tuple(findings.keys)
    found_at = findings.keys[keys[0]].label
    return Resolved(keys[0], keys, KeySource.DERIVED, found_at, _shortened(findings.refusals()))


def _at_once(event: Event, path: DerivationPath) -> Resolved | None:
    """The key of most events: a single path leads to it, and there is nothing to remark upon."""
    if path.branches:
        return None
    reading = canonical_key(read_one(path, event.payload.value))
    if not isinstance(reading, CanonicalKey):
        return None
    return Resolved(reading.key, (reading.key,), KeySource.DERIVED, path.label)


def _read_paths(
    event: Event, paths: Sequence[DerivationPath], findings: _Findings
) -> Unresolved | None:
    payload = event.payload.value
    places = MAX_PLACES_VISITED
    for path in paths:
        if path.branches:
            reached = read_all(path, payload, places)
            if reached is None:
                return _too_many(path, f"visits more than {MAX_PLACES_VISITED} places")
            values, places = reached
            findings.add_all(path, values)
        else:
            findings.add(path, read_one(path, payload))
        if len(findings.keys) > MAX_KEYS_PER_EVENT:
            return _too_many(path, f"brings the event to more than {MAX_KEYS_PER_EVENT} keys")
    return None


def _too_many(path: DerivationPath, what: str) -> Unresolved:
    return Unresolved(Reason.TOO_MANY_KEYS, f"{path.label}: {what}")


def _without_key(paths: Sequence[DerivationPath], findings: _Findings) -> Unresolved:
    refusals = findings.refusals()
    if refusals:
        reason = refusals[0].reading.reason
    else:
        reason = Reason.NO_VALUE if paths else Reason.NO_RULE
    remarks = ["no usable explicit key", *_shortened(findings.passed_over)]
    if not paths:
        remarks.append("no derivation path is configured for this event name")
    return Unresolved(reason, "; ".join(remarks)[:_MAX_DETAIL_CHARACTERS])


def _shortened(remarks: Sequence[_Refusal | str]) -> tuple[str, ...]:
    if not remarks:
        return ()
    shown = tuple(str(remark) for remark in remarks[:_MAX_REMARKS])
    more = len(remarks) - _MAX_REMARKS
    return (*shown, f"and {more} more") if more > 0 else shown
