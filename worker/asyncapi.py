"""The AsyncAPI 3 document: the stream, its dead letters, and what goes to and from Temporal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ingress.letter import ADDED_FIELDS, SUFFIX
from pointsman.contract import (
    CLOSE_WAIT,
    CLOSE_WAITS,
    CONSUMER_GROUP,
    EVENT_SIGNAL,
    HUMAN_TASK_COMPLETED,
    HUMAN_TASK_SIGNAL,
    REGISTER_WAIT,
    STREAM,
    TASK_QUEUE,
)
from worker.contract_schemas import Schema

VERSION: Final = "1.0.0"
"""Of the contracts, not of the program: it changes when a publisher or a workflow has to."""

ENTRY_FORMS: Final[Mapping[str, str]] = {
    "nativeEntry": "stream_entry_native",
    "structuredCloudEventEntry": "stream_entry_cloudevent_structured",
    "binaryCloudEventEntry": "stream_entry_cloudevent_binary",
}


def asyncapi_document(schemas: Mapping[str, Schema]) -> dict[str, Any]:
    """The document, with every schema inside of it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Pointsman",
            "version": VERSION,
            "description": "Business events come in on a Redis stream; each resumes the Temporal "
            "workflows that wait for it.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": {name: _embedded(name, schema) for name, schema in schemas.items()},
        },
    }


def _channels() -> dict[str, Any]:
    return {
        "events": _channel(
            STREAM,
            "Redis stream",
            f"Read by the consumer group `{CONSUMER_GROUP}`. A publisher needs nothing but XADD; "
            "stream and group are settings (POINTSMAN_STREAM, POINTSMAN_GROUP).",
            *ENTRY_FORMS,
        ),
        "deadLetters": _channel(
            f"{STREAM}{SUFFIX}",
            "Redis stream of dead letters",
            "Entries that a healthy database refuses again and again, whole, beside "
            f"{', '.join(sorted(f'`{field.decode()}`' for field in ADDED_FIELDS))}.",
            "deadLetter",
        ),
        "workflow": _channel(
            EVENT_SIGNAL,
            "Temporal signal",
            "To the workflow that registered the wait; the signal's name may be chosen with it. At "
            "least once: a receiver ignores a pair of wait and event that it has seen.",
            "eventSignal",
        ),
        "humanTasks": _channel(
            HUMAN_TASK_SIGNAL,
            "Temporal signal",
            "To the workflow that asked a person: the answer, however it came in. As every other "
            "signal of an event, at least once.",
            "humanTaskSignal",
        ),
        "activities": _channel(
            TASK_QUEUE,
            "Temporal task queue",
            f"The activities `{REGISTER_WAIT}`, `{CLOSE_WAIT}` and `{CLOSE_WAITS}`, for any "
            "Temporal SDK.",
            "registerWait",
            "closeWait",
            "closeWaits",
        ),
        "activityResults": _channel(
            None,
            "Result of an activity",
            "Comes back to the workflow that called.",
            "registeredWait",
            "closedWait",
            "closedWaits",
        ),
    }


def _channel(address: str | None, title: str, description: str, *messages: str) -> dict[str, Any]:
    return {
        "address": address,
        "title": title,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operations() -> dict[str, Any]:
    return {
        "receiveEvents": _operation("receive", "events", "Take events in.", *ENTRY_FORMS),
        "setAside": _operation(
            "send", "deadLetters", "Set an entry aside for an operator.", "deadLetter"
        ),
        "signalWorkflow": _operation(
            "send", "workflow", "Bring an event to a workflow that waits for it.", "eventSignal"
        ),
        "answerWorkflow": _operation(
            "send", "humanTasks", "Bring a person's answer to the workflow.", "humanTaskSignal"
        ),
        "registerWait": _operation("receive", "activities", "Register a wait.", "registerWait")
        | {"reply": _reply("registeredWait")},
        "closeWait": _operation(
            "receive", "activities", "Say what became of a wait or an event.", "closeWait"
        )
        | {"reply": _reply("closedWait")},
        "closeWaits": _operation(
            "receive", "activities", "Say what became of several.", "closeWaits"
        )
        | {"reply": _reply("closedWaits")},
    }


def _operation(action: str, channel: str, summary: str, *messages: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _reply(message: str) -> dict[str, Any]:
    return {
        "channel": {"$ref": "#/channels/activityResults"},
        "messages": [{"$ref": f"#/channels/activityResults/messages/{message}"}],
    }


def _messages() -> dict[str, Any]:
    messages = {name: _message(schema) for name, schema in ENTRY_FORMS.items()}
    return messages | {
        "deadLetter": {
            "title": "A dead letter",
            "summary": "The original fields as they came, which need be no event, and ours.",
            "payload": {
                "type": "object",
                "properties": {
                    field.decode(): {"type": "string"} for field in sorted(ADDED_FIELDS)
                },
                "additionalProperties": True,
            },
        },
        "eventSignal": _message("event_signal"),
        "humanTaskSignal": {
            "title": f"An event {HUMAN_TASK_COMPLETED} as a signal",
            "payload": {
                "allOf": [
                    {"$ref": "#/components/schemas/event_signal"},
                    {
                        "properties": {
                            "payload": {"$ref": "#/components/schemas/human_task_completed"}
                        }
                    },
                ]
            },
        },
        "registerWait": _message("register_wait"),
        "registeredWait": _message("registered_wait"),
        "closeWait": _message("close_wait"),
        "closedWait": _message("closed_wait"),
        "closeWaits": _message("close_waits"),
        "closedWaits": _message("closed_waits"),
    }


def _message(schema: str) -> dict[str, Any]:
    return {"payload": {"$ref": f"#/components/schemas/{schema}"}}


def _embedded(name: str, schema: Any) -> Any:
    """The schema inside of the document: its own references point further down there."""
    if isinstance(schema, dict):
        return {
            key: (
                value.replace("#/", f"#/components/schemas/{name}/", 1)
                if key == "$ref"
                else _embedded(name, value)
            )
            for key, value in schema.items()
            if key != "$schema"
        }
    if isinstance(schema, list):
        return [_embedded(name, each) for each in schema]
    return schema
