"""`docs/reasons.md`: the closed list of reasons, what each means and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from correlation.reason import Reason
from routing.explain_advice import ADVICE

PAGE: Final = """\
# Reasons

Why an event, an entry, a wait, a launch or a delivery ended as it did: one closed list of short
words, the same in the audit, in metrics, in the API and in the console. Free text stands beside
them. `pointsman explain event ID` says what applies to one event.

This page is made by `pointsman reference reasons`.
"""

MEANINGS: Final[Mapping[str, Mapping[Reason, str]]] = {
    "An event without a usable correlation key (`unresolved`)": {
        Reason.NO_RULE: "No explicit key, and no derivation path for the event's name.",
        Reason.NO_VALUE: "No explicit key, and no path leads to a value.",
        Reason.NOT_SCALAR: "An object or an array stands where the key should be.",
        Reason.KEY_TOO_LONG: "The key has more than 512 bytes in UTF-8.",
        Reason.CONTROL_CHARACTERS: "The key contains control characters.",
        Reason.NUMBER_UNUSABLE: "The number is not finite, or has more than 64 digits.",
        Reason.TOO_MANY_KEYS: "The paths yield more than 64 keys, or visit too many places.",
    },
    "An entry that cannot be decoded (`malformed`)": {
        Reason.EMPTY_ENTRY: "The entry has no field that an event has.",
        Reason.NOT_UTF8: "A field is not UTF-8.",
        Reason.NUL_CHARACTER: "A field contains a NUL character.",
        Reason.MISSING_TENANT: "No tenant is named.",
        Reason.MISSING_EVENT_ID: "No event id is given.",
        Reason.MISSING_EVENT_NAME: "No event name is given.",
        Reason.FIELD_TOO_LONG: "A field is longer than it may be; the detail names it.",
        Reason.FIELD_INVALID: "A field holds what it must not; the detail names it.",
        Reason.ENTRY_TOO_LARGE: "The entry is larger than `POINTSMAN_MAX_ENTRY_BYTES`.",
        Reason.INVALID_JSON: "The payload is not strict JSON.",
        Reason.PAYLOAD_NOT_OBJECT: "The payload is JSON, but no object.",
        Reason.TOO_DEEP: "The payload is nested too deeply.",
        Reason.INVALID_TIMESTAMP: "`timestamp` is not RFC 3339 with an offset.",
        Reason.INVALID_CLOUDEVENT: "What says that it is a CloudEvent 1.0 is none.",
    },
    "An entry that was understood and refused (`rejected`)": {
        Reason.CONFLICTING_DUPLICATE: "The same event id came before with other content.",
        Reason.TRIMMED: "The entry was removed from the stream while it was pending.",
        Reason.SCHEMA_INVALID: "The payload does not fit the schema of its event name.",
        Reason.SCHEMA_TOO_COSTLY: "Judging the payload by its schema, or the answer by its form, "
        "takes more than a budget allows; the detail names the budget.",
        Reason.ANSWER_INVALID: "The answer does not fit the form of the task that it completes.",
        Reason.TASK_COMPLETED: "The task that it completes has been answered already.",
        Reason.FOREIGN_TENANT: "The entry names another tenant than its stream is bound to.",
        Reason.POISON: "A healthy database refuses the entry, alone and repeatedly.",
        Reason.KILLS_PROCESS: "The process died whenever it tried the entry, also alone.",
    },
    "An event that nobody waits for (`no_wait`)": {
        Reason.NO_OPEN_WAIT: "No open wait has the event's tenant, name and key.",
        Reason.BUFFER_EXPIRED: "No wait took the event before its buffer time ended.",
    },
    "A wait that ended without its workflow saying so": {
        Reason.WAIT_EXPIRED: "Its `expires_at` has passed.",
        Reason.CLOSED_BY_HAND: "An operator closed it; its workflow was not told.",
    },
    "A trigger that was considered and launches nothing": {
        Reason.FILTER_REFUSED: "The event does not meet the trigger's `where`.",
        Reason.WAIT_TOOK_EVENT: "`only_without_wait` is set, and a wait took the event.",
        Reason.TRIGGER_UNUSABLE: "This release cannot read the trigger as it is stored.",
    },
    "A delivery or launch that is not, or not yet, through": {
        Reason.ALREADY_STARTED: "Temporal has a workflow of the launch's id already.",
        Reason.WAIT_CLOSED: "The wait was closed before the event was signalled.",
        Reason.RUN_CLOSED: "The workflow has ended, or the chain of runs that the wait belongs to.",
        Reason.RUN_NOT_FOUND: "Temporal knows no workflow of this id, also after the grace.",
        Reason.SIGNAL_LIMIT: "The run has taken as many signals as Temporal allows.",
        Reason.PAYLOAD_TOO_LARGE: "Temporal refuses a payload of this size.",
        Reason.INVALID_TARGET: "Temporal refuses the workflow id or signal name itself.",
        Reason.NAMESPACE_NOT_FOUND: "The namespace does not exist (yet).",
        Reason.NAMESPACE_NOT_SERVED: "The process that was asked does not serve the namespace.",
        Reason.PERMISSION_DENIED: "Temporal refuses Pointsman's credentials.",
        Reason.TEMPORAL_UNAVAILABLE: "Temporal cannot be reached.",
        Reason.TEMPORAL_TIMEOUT: "Temporal did not answer in time.",
        Reason.TEMPORAL_BUSY: "Temporal's limits are exhausted at the moment.",
        Reason.TEMPORAL_ERROR: "Any other answer of Temporal.",
        Reason.CODEC_UNAVAILABLE: "The namespace's codec or its keys cannot be reached.",
        Reason.CODEC_REFUSED: "The namespace's codec fails on this payload.",
    },
}


def reasons_markdown() -> str:
    """The page."""
    return PAGE + "".join(_section(title, of) for title, of in MEANINGS.items())


def _section(title: str, meanings: Mapping[Reason, str]) -> str:
    rows = "".join(
        f"| `{reason}` | {meaning} | {ADVICE[reason]} |\n" for reason, meaning in meanings.items()
    )
    return f"\n## {title}\n\n| reason | meaning | what to do |\n|---|---|---|\n{rows}"
