"""Trying rules on events, without any server."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pointsman.correlation.event import Event
from pointsman.correlation.places import places_of
from pointsman.correlation.resolution import Resolution, Resolved, resolve
from pointsman.correlation.rules import NO_RULES, Rules, RulesError, compile_rules
from pointsman.domain_event import DomainEvent
from pointsman.testing.events import RecordedEvent, event_of

RulesSource: TypeAlias = Rules | Mapping[str, Any] | str | Path | None
"""Compiled rules, `{event name: path or paths}`, or the path of a .toml or .json file of those."""

AnyEvent: TypeAlias = DomainEvent | RecordedEvent | Event


@dataclass(frozen=True, slots=True)
class ChangedKeys:
    """An event whose keys are others under new rules."""

    event: str
    """Its name and id."""
    before: tuple[str, ...]
    after: tuple[str, ...]


def rules_of(source: RulesSource) -> Rules:
    """Compile rules as the service does. Raises RulesError, which names every wrong entry."""
    if source is None:
        return NO_RULES
    if isinstance(source, Rules):
        return source
    if isinstance(source, Mapping):
        return compile_rules(source)
    path = Path(source)
    readers = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix not in readers:
        raise RulesError(["only .toml and .json files are read; give a mapping"], source=str(path))
    return compile_rules(readers[path.suffix](path.read_text(encoding="utf-8")))


def keys_of(event: AnyEvent, rules: RulesSource) -> tuple[str, ...]:
    """The keys that an event has under rules, the primary one first; none if it is unresolved."""
    return _keys(resolve(_event(event), rules_of(rules)))


def assert_keys(event: AnyEvent, rules: RulesSource, *keys: str) -> None:
    """Fail unless an event has these keys, in this order; without any: unless it has one at all.

    The failure lists every place that was read and what stood there.
    """
    __tracebackhide__ = True
    found = keys_of(event, rules)
    if found != keys if keys else not found:
        wanted = f"the keys {', '.join(map(repr, keys))}" if keys else "a key"
        raise AssertionError(f"expected {wanted}\n{explain_keys(event, rules)}")


def explain_keys(event: AnyEvent, rules: RulesSource) -> str:
    """How an event's keys are worked out: every place in the order of reading."""
    the_event, compiled = _event(event), rules_of(rules)
    resolution = resolve(the_event, compiled)
    if isinstance(resolution, Resolved):
        end = f"resolved to {', '.join(map(repr, resolution.keys))}"
    else:
        end = f"unresolved ({resolution.reason}): {resolution.detail}"
    lines = [f"{the_event.name} {the_event.event_id!r} is {end}"]
    for place in places_of(the_event, compiled):
        keys = f" {', '.join(map(repr, place.keys))}" if place.keys else ""
        detail = f" ({place.detail})" if place.detail else ""
        lines.append(f"  {place.place}: {place.found}{keys}{detail}")
    return "\n".join(lines)


def changed_keys(
    events: Iterable[AnyEvent], *, before: RulesSource, after: RulesSource
) -> list[ChangedKeys]:
    """The events whose keys a change of the rules would change: what a review wants to see."""
    old, new = rules_of(before), rules_of(after)
    compared = [(each, keys_of(each, old), keys_of(each, new)) for each in map(_event, events)]
    return [
        ChangedKeys(f"{event.name} {event.event_id!r}", was, now)
        for event, was, now in compared
        if was != now
    ]


def _event(event: AnyEvent) -> Event:
    if isinstance(event, DomainEvent):
        return event_of(event)
    return event.event if isinstance(event, RecordedEvent) else event


def _keys(resolution: Resolution) -> tuple[str, ...]:
    return resolution.keys if isinstance(resolution, Resolved) else ()
