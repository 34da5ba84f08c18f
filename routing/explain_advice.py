"""What an operator can do about each reason: one plain sentence for every word of the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from correlation.reason import Reason

_KEY_FIX = "Let the publisher send workflow_correlation_key"
_REPLAY = "then replay the event"

ADVICE: Final[Mapping[Reason, str]] = {
    Reason.NO_RULE: f"Add a derivation path for the event's name to the rules, {_REPLAY}; or let "
    "the publisher send workflow_correlation_key.",
    Reason.NO_VALUE: "Compare the paths with the payload: correct the rules or the publisher, "
    f"{_REPLAY}.",
    Reason.NOT_SCALAR: "Let the path go on to a text or number inside the object or array, "
    f"{_REPLAY}.",
    Reason.KEY_TOO_LONG: f"{_KEY_FIX} of at most 512 bytes; wait for the same.",
    Reason.CONTROL_CHARACTERS: f"{_KEY_FIX} without control characters.",
    Reason.NUMBER_UNUSABLE: f"{_KEY_FIX} as text, or a number of at most 64 digits.",
    Reason.TOO_MANY_KEYS: "Narrow the path so that it yields at most 64 keys, or publish several "
    "events.",
    Reason.EMPTY_ENTRY: "Let the publisher write the fields of the event; nothing can be done "
    "about this entry.",
    Reason.NOT_UTF8: "Let the publisher encode its fields as UTF-8 and publish the event again.",
    Reason.NUL_CHARACTER: "Let the publisher leave out NUL characters and publish the event again.",
    Reason.MISSING_TENANT: "Let the publisher fill in `tenant` and publish the event again.",
    Reason.MISSING_EVENT_ID: "Let the publisher fill in `event_id` and publish the event again.",
    Reason.MISSING_EVENT_NAME: "Let the publisher fill in `event_type` and publish the event "
    "again.",
    Reason.FIELD_TOO_LONG: "Let the publisher shorten the field that the detail names.",
    Reason.FIELD_INVALID: "Let the publisher correct the field that the detail names.",
    Reason.ENTRY_TOO_LARGE: "Publish a reference instead of the content, or raise "
    "POINTSMAN_MAX_ENTRY_BYTES.",
    Reason.INVALID_JSON: "Let the publisher write strict JSON and publish the event again.",
    Reason.PAYLOAD_NOT_OBJECT: "Let the publisher wrap the payload in a JSON object.",
    Reason.TOO_DEEP: "Let the publisher nest the payload less deeply.",
    Reason.INVALID_TIMESTAMP: "Let the publisher write `timestamp` as RFC 3339 with its offset.",
    Reason.INVALID_CLOUDEVENT: "Let the publisher send a CloudEvent 1.0 with JSON data.",
    Reason.CONFLICTING_DUPLICATE: "Let the publisher give each event an id of its own; the first "
    "event of this id stands.",
    Reason.FOREIGN_TENANT: "Publish it on the stream of its own tenant, or correct the tenant that "
    "this stream is bound to (POINTSMAN_STREAM_TENANT).",
    Reason.TRIMMED: "Stop whoever trims the stream before it is read. Publish the event again.",
    Reason.POISON: "Look at the dead letter's detail, mend the cause, then requeue it.",
    Reason.KILLS_PROCESS: "Give the process more memory or mend what kills it, then requeue it.",
    Reason.SCHEMA_INVALID: "Let the publisher send what the schema asks for, or correct the "
    "schema, and publish the event again under a new id.",
    Reason.SCHEMA_TOO_COSTLY: "Let the publisher send less in one event, or simplify the schema or "
    "form: fewer patterns, no schema that refers to itself. The budgets are settings.",
    Reason.ANSWER_INVALID: "Let the publisher send what the task's form asks for, under a new id; "
    "the detail names the places.",
    Reason.TASK_COMPLETED: "Nothing: a task is answered once, and its first answer stands.",
    Reason.NO_OPEN_WAIT: "If a workflow should have woken: see that it waits for this name and "
    "key before the event comes, or with a look-back.",
    Reason.BUFFER_EXPIRED: "Hand it to a wait by hand, or raise POINTSMAN_BUFFER_TTL if workflows "
    "look back further than that.",
    Reason.CLOSED_BY_HAND: "Ask who closed it: their name and reason stand beside the wait.",
    Reason.WAIT_EXPIRED: "Give the wait more time, or see why the event came too late.",
    Reason.TRIGGER_UNUSABLE: "Correct the trigger as the detail says, and apply it again.",
    Reason.FILTER_REFUSED: "Nothing, if the trigger is not meant for it; else correct its `where` "
    "or the payload. What the trigger refused once is not launched later.",
    Reason.WAIT_TOOK_EVENT: "Nothing: the trigger launches only when no wait takes the event.",
    Reason.ALREADY_STARTED: "Nothing: the workflow that the launch would have started is there.",
    Reason.WAIT_CLOSED: "Nothing, if another event or a time-out woke the workflow; else let it "
    "wait longer.",
    Reason.RUN_CLOSED: "Nothing can reach a run that has ended; start it anew if it ended too "
    "early.",
    Reason.RUN_NOT_FOUND: "Check the workflow id and the Temporal namespace that the wait was "
    "registered with.",
    Reason.SIGNAL_LIMIT: "Let the workflow continue as new before it has taken 10,000 signals.",
    Reason.PAYLOAD_TOO_LARGE: "Publish a reference instead of the content: Temporal takes 2 MiB.",
    Reason.INVALID_TARGET: "Correct the workflow id or signal name that the wait was registered "
    "with, or the trigger's workflow and task queue.",
    Reason.NAMESPACE_NOT_FOUND: "Create the Temporal namespace or correct "
    "TEMPORAL_NAMESPACE; it is tried again until then.",
    Reason.NAMESPACE_NOT_SERVED: "Add the namespace to TEMPORAL_NAMESPACE, or ask a process that "
    "serves it.",
    Reason.PERMISSION_DENIED: "Give Pointsman's credentials the right to signal and to start "
    "workflows; it is tried again until then.",
    Reason.TEMPORAL_UNAVAILABLE: "Nothing: it is tried again until Temporal answers. See that "
    "Temporal is up.",
    Reason.TEMPORAL_TIMEOUT: "Nothing: it is tried again. See that Temporal is not overloaded.",
    Reason.TEMPORAL_BUSY: "Nothing: it is tried again. See Temporal's rate limits.",
    Reason.TEMPORAL_ERROR: "Nothing: it is tried again. The detail says what Temporal answered.",
    Reason.CODEC_UNAVAILABLE: "Nothing: it is tried again until the codec answers. See that the "
    "codec server and the keys can be reached (docs/encryption.md).",
    Reason.CODEC_REFUSED: "Mend the codec: the detail says how it failed. It is tried again until "
    "then (docs/encryption.md).",
}


def advice_on(reason: str | None) -> str | None:
    """What to do about a reason; None when there is none, or it is not of the list."""
    try:
        return ADVICE[Reason(reason)] if reason else None
    except ValueError:
        return None
