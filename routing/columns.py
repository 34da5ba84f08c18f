"""Batches as the parallel arrays that the statements take: one list per column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import blake2b
from typing import TypeAlias

from correlation.event import NO_CONTEXT, Event, EventContext
from correlation.key import lock_hash
from correlation.resolution import KeySource, Resolved, Unresolved
from routing.incoming import Identity, IncomingEvent, RejectedEntry

Columns: TypeAlias = dict[str, object]


def content_digest(event: Event) -> bytes:
    """16 bytes that differ when an event's name, explicit key or payload text does."""
    name, key = event.name.encode(), str(event.explicit_key or "").encode("utf-8", "replace")
    digest = blake2b(b"%d %d " % (len(name), len(key)), digest_size=16)
    digest.update(name)
    digest.update(key)
    digest.update(event.payload.text.encode())
    return digest.digest()


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
    """What MATCH_EVENTS takes, but for its terms."""
    rows = [_event_row(incoming) for incoming in batch]
    columns: Columns = dict(zip(_EVENT_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    further = [
        (ordinal, key)
        for ordinal, incoming in enumerate(batch, start=1)
        for key in keys_of(incoming)[1:]
    ]
    columns["further_ordinals"] = [ordinal for ordinal, _ in further]
    columns["further_keys"] = [key for _, key in further]
    return columns


_EVENT_COLUMNS = (
    "tenants",
    "event_ids",
    "names",
    "payloads",
    "digests",
    "contexts",
    "streams",
    "entry_ids",
    "occurred",
    "rules_versions",
    "reasons",
    "details",
    "keys",
    "all_keys",
    "further_hashes",
    "sources",
    "key_details",
)


def _event_row(incoming: IncomingEvent) -> tuple[object, ...]:
    event = incoming.event
    return (
        event.tenant,
        event.event_id,
        event.name,
        event.payload.text,
        content_digest(event),
        _context(event.context),
        incoming.origin.stream,
        incoming.origin.entry_id,
        event.occurred_at,
        incoming.rules_version,
        *_resolution_row(incoming),
    )


def _resolution_row(incoming: IncomingEvent) -> tuple[object, ...]:
    """reason, detail, primary key, all keys, hashes of the further keys, source, key detail."""
    resolution = incoming.resolution
    if isinstance(resolution, Unresolved):
        missing = KeySource.MISSING.value
        return resolution.reason.value, resolution.detail, None, None, None, missing, None
    notes = "; ".join(resolution.notes) or None
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


def _context(context: EventContext) -> str | None:
    if context == NO_CONTEXT:
        return None
    return json.dumps({name: text for name, text in asdict(context).items() if text is not None})


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
