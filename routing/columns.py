"""Batches as the parallel arrays that the statements take: one for each column."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from correlation.event import NO_CONTEXT, Event, EventContext
from correlation.key import lock_hash
from correlation.resolution import KeySource, Resolved, Unresolved
from routing.arrays import (
    bigint_array,
    bytea_array,
    repeating_text_array,
    text_array,
    timestamptz_array,
)
from routing.incoming import Identity, IncomingEvent, RejectedEntry

Columns: TypeAlias = dict[str, object]


def content_digest(event: Event) -> bytes:
    """16 bytes that differ when an event's name, explicit key or payload text does."""
    key = event.explicit_key
    digest = _begun(event.name, str(key)) if key else _begun_without_key(event.name).copy()
    digest.update(event.payload.text.encode())
    return digest.digest()


@lru_cache(maxsize=1024)
def _begun_without_key(name: str) -> blake2b:
    return _begun(name, "")


def _begun(name: str, explicit_key: str) -> blake2b:
    named, key = name.encode(), explicit_key.encode("utf-8", "replace")
    return blake2b(b"%d %d %b%b" % (len(named), len(key), named, key), digest_size=16)


def keys_of(incoming: IncomingEvent) -> Sequence[str]:
    """The event's keys, the primary one first; empty when it is unresolved."""
    resolution = incoming.resolution
    return resolution.keys if isinstance(resolution, Resolved) else ()


def lock_hashes(batch: Iterable[IncomingEvent]) -> list[int]:
    """The sorted locks of every key in the batch."""
    return sorted(
        {
            lock_hash(incoming.event.tenant, incoming.event.name, key)
            for incoming in batch
            for key in keys_of(incoming)
        }
    )


def event_columns(batch: Sequence[IncomingEvent]) -> Columns:
    """What MATCH_EVENTS takes, but for its terms: a list for each column."""
    events = [incoming.event for incoming in batch]
    rows = [_resolution_row(incoming) for incoming in batch]
    resolutions = zip(*rows, strict=True) if rows else ((),) * len(_RESOLUTION_COLUMNS)
    further = [
        (ordinal, key)
        for ordinal, incoming in enumerate(batch, start=1)
        for key in keys_of(incoming)[1:]
    ]
    return {
        "tenants": [event.tenant for event in events],
        "event_ids": [event.event_id for event in events],
        "names": [event.name for event in events],
        "payloads": [event.payload.text for event in events],
        "digests": [content_digest(event) for event in events],
        "contexts": [_context(each.event.context, each.judged_by) for each in batch],
        "streams": [incoming.origin.stream for incoming in batch],
        "entry_ids": [incoming.origin.entry_id for incoming in batch],
        "occurred": [event.occurred_at for event in events],
        "rules_versions": [incoming.rules_version for incoming in batch],
        **dict(zip(_RESOLUTION_COLUMNS, map(list, resolutions), strict=True)),
        "further_ordinals": [ordinal for ordinal, _ in further],
        "further_keys": [key for _, key in further],
    }


def event_arrays(batch: Sequence[IncomingEvent]) -> Columns:
    """The same, ready to be sent; `%(name)b` in a statement."""
    return {name: _ARRAYS[name](column) for name, column in event_columns(batch).items()}


_RESOLUTION_COLUMNS: Final = (
    "reasons",
    "details",
    "keys",
    "all_keys",
    "further_hashes",
    "sources",
    "key_details",
)

_ARRAYS: Final[Mapping[str, Callable[[Any], object]]] = {
    "tenants": repeating_text_array,
    "event_ids": text_array,
    "names": repeating_text_array,
    "payloads": text_array,
    "digests": bytea_array,
    "contexts": repeating_text_array,
    "streams": repeating_text_array,
    "entry_ids": text_array,
    "occurred": timestamptz_array,
    "rules_versions": repeating_text_array,
    "reasons": repeating_text_array,
    "details": repeating_text_array,
    "keys": text_array,
    "all_keys": repeating_text_array,
    "further_hashes": repeating_text_array,
    "sources": repeating_text_array,
    "key_details": repeating_text_array,
    "further_ordinals": bigint_array,
    "further_keys": text_array,
}

_ResolutionRow: TypeAlias = tuple[
    str | None, str | None, str | None, str | None, str | None, str, str | None
]


def _resolution_row(incoming: IncomingEvent) -> _ResolutionRow:
    """In the order of _RESOLUTION_COLUMNS: what became of the search for a key."""
    resolution = incoming.resolution
    if isinstance(resolution, Unresolved):
        missing = KeySource.MISSING.value
        return resolution.reason.value, resolution.detail, None, None, None, missing, None
    notes = "; ".join(resolution.notes) if resolution.notes else None
    all_keys = further = None
    if len(resolution.keys) > 1:
        event = incoming.event
        all_keys = _array(resolution.keys)
        further = _array(
            str(lock_hash(event.tenant, event.name, key)) for key in resolution.keys[1:]
        )
    source = resolution.source.value
    return None, notes, resolution.key, all_keys, further, source, resolution.detail


def _array(texts: Iterable[str]) -> str:
    """A Postgres array literal: unnest() cannot yield arrays, so they travel as text."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _context(context: EventContext, judged_by: str | None) -> str | None:
    if judged_by is None and (context is NO_CONTEXT or context == NO_CONTEXT):
        return None
    facts = {**asdict(context), "judged_by": judged_by}
    return json.dumps({name: text for name, text in facts.items() if text is not None})


def identity_columns(identities: Sequence[Identity]) -> Columns:
    """(tenant, event id) pairs."""
    return {
        "tenants": [tenant for tenant, _ in identities],
        "event_ids": [event_id for _, event_id in identities],
    }


def rejected_columns(entries: Sequence[RejectedEntry]) -> Columns:
    """What RECORD_REJECTED takes."""
    return {
        "tenants": [entry.tenant for entry in entries],
        "streams": [entry.origin.stream for entry in entries],
        "entry_ids": [entry.origin.entry_id for entry in entries],
        "outcomes": [entry.outcome.value for entry in entries],
        "reasons": [entry.reason.value for entry in entries],
        "details": [entry.detail for entry in entries],
        "event_ids": [entry.event_id for entry in entries],
        "names": [entry.event_name for entry in entries],
        "raws": [entry.raw for entry in entries],
    }
