"""The one closed list of reasons that the audit gives.

A reason is a short machine word; the free text that stands beside it says what exactly was found.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why an event, an entry, a wait or a delivery ended the way it did."""

    # That of its text, which is written in C: hundreds of ends are counted at a time.
    __hash__ = str.__hash__

    # An event without a usable correlation key.
    NO_RULE = "no_rule"
    """No explicit key, and no derivation path is configured for the event's name."""
    NO_VALUE = "no_value"
    """No explicit key, and no configured path led to a value."""
    NOT_SCALAR = "not_scalar"
    """What stands where the key should be is an object or an array."""
    KEY_TOO_LONG = "key_too_long"
    CONTROL_CHARACTERS = "control_characters"
    NUMBER_UNUSABLE = "number_unusable"
    """A number that is not finite, or has more than 64 digits."""
    TOO_MANY_KEYS = "too_many_keys"
    """The derivation paths yield more than 64 keys, or visit too many places."""

    # An entry that cannot be decoded.
    EMPTY_ENTRY = "empty_entry"
    NOT_UTF8 = "not_utf8"
    NUL_CHARACTER = "nul_character"
    MISSING_TENANT = "missing_tenant"
    MISSING_EVENT_ID = "missing_event_id"
    MISSING_EVENT_NAME = "missing_event_name"
    FIELD_TOO_LONG = "field_too_long"
    FIELD_INVALID = "field_invalid"
    ENTRY_TOO_LARGE = "entry_too_large"
    INVALID_JSON = "invalid_json"
    PAYLOAD_NOT_OBJECT = "payload_not_object"
    TOO_DEEP = "too_deep"
    INVALID_TIMESTAMP = "invalid_timestamp"
    INVALID_CLOUDEVENT = "invalid_cloudevent"

    # An entry that was understood and refused.
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    """The same event id came before with other content."""
    TRIMMED = "trimmed"
    """The entry was removed from the stream while it was pending."""
    SCHEMA_INVALID = "schema_invalid"
    """The payload is not what the schema of its event name asks for."""
    SCHEMA_TOO_COSTLY = "schema_too_costly"
    """Judging the payload by its schema, or an answer by its form, exceeds a budget of time or
    memory; the detail names the budget."""
    ANSWER_INVALID = "answer_invalid"
    """The event completes a human task, and its answer does not fit the task's form."""
    TASK_COMPLETED = "task_completed"
    """The event completes a human task that is completed already."""
    FOREIGN_TENANT = "foreign_tenant"
    """The entry names another tenant than the one that its stream is bound to."""
    POISON = "poison"
    """Recording the entry fails by itself in a healthy database; it is dead-lettered."""
    KILLS_PROCESS = "kills_process"
    """The process ended whenever it tried the entry, alone at last; it is dead-lettered."""

    # An event that nobody waits for.
    NO_OPEN_WAIT = "no_open_wait"
    BUFFER_EXPIRED = "buffer_expired"
    """No wait took the event before its buffer time ended."""

    # A wait that ended without its workflow saying so.
    WAIT_EXPIRED = "wait_expired"
    CLOSED_BY_HAND = "closed_by_hand"
    """An operator closed the wait; its workflow was not told."""

    # A trigger that was considered and launches nothing.
    FILTER_REFUSED = "filter_refused"
    """The event does not meet the trigger's conditions."""
    WAIT_TOOK_EVENT = "wait_took_event"
    """The trigger launches only when no wait took the event, and one did."""
    TRIGGER_UNUSABLE = "trigger_unusable"
    """The trigger as it is stored cannot be read by this release: apply it again."""

    # A delivery or launch that is not (yet) through.
    ALREADY_STARTED = "already_started"
    """Temporal had a workflow of the launch's id: nothing was started twice."""
    WAIT_CLOSED = "wait_closed"
    """The wait was closed before the event was signalled."""
    RUN_CLOSED = "run_closed"
    RUN_NOT_FOUND = "run_not_found"
    SIGNAL_LIMIT = "signal_limit"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    INVALID_TARGET = "invalid_target"
    """Temporal refuses the workflow id or signal name itself."""
    NAMESPACE_NOT_FOUND = "namespace_not_found"
    NAMESPACE_NOT_SERVED = "namespace_not_served"
    """The process that was asked does not serve the Temporal namespace."""
    PERMISSION_DENIED = "permission_denied"
    TEMPORAL_UNAVAILABLE = "temporal_unavailable"
    TEMPORAL_TIMEOUT = "temporal_timeout"
    TEMPORAL_BUSY = "temporal_busy"
    TEMPORAL_ERROR = "temporal_error"
    """Any other answer of Temporal; tried again."""
    CODEC_UNAVAILABLE = "codec_unavailable"
    """The namespace's codec, or its keys, cannot be reached; tried again, nothing goes in clear."""
    CODEC_REFUSED = "codec_refused"
    """The namespace's codec does not encode this payload; tried again, it does not go in clear."""


REASONS_OF_TARGETS: Final = frozenset(
    {
        Reason.ALREADY_STARTED,
        Reason.WAIT_CLOSED,
        Reason.WAIT_EXPIRED,
        Reason.CLOSED_BY_HAND,
        Reason.RUN_CLOSED,
        Reason.RUN_NOT_FOUND,
        Reason.SIGNAL_LIMIT,
        Reason.PAYLOAD_TOO_LARGE,
        Reason.INVALID_TARGET,
        Reason.NAMESPACE_NOT_FOUND,
        Reason.PERMISSION_DENIED,
        Reason.TEMPORAL_UNAVAILABLE,
        Reason.TEMPORAL_TIMEOUT,
        Reason.TEMPORAL_BUSY,
        Reason.TEMPORAL_ERROR,
        Reason.CODEC_UNAVAILABLE,
        Reason.CODEC_REFUSED,
    }
)
"""Reasons of deliveries and launches, which no event has itself."""
REASONS_OF_THE_WAY: Final = REASONS_OF_TARGETS | {
    Reason.FILTER_REFUSED,
    Reason.WAIT_TOOK_EVENT,
    Reason.TRIGGER_UNUSABLE,
    Reason.SCHEMA_INVALID,
}
"""The same with those of triggers that launch nothing; `schema_invalid` is an entry's, too."""


class Outcome(StrEnum):
    """The one end that every event or entry has in the audit."""

    __hash__ = str.__hash__

    MATCHED = "matched"
    NO_WAIT = "no_wait"
    UNRESOLVED = "unresolved"
    MALFORMED = "malformed"
    REJECTED = "rejected"
